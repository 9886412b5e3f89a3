"""Log p while sampling: orders against closed forms and `log_likelihood`, its cost, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables
from sampler_oracles import Counted, mixture
from scipy import stats

from score_sde import analytic, guidance, log_likelihood, samplers
from score_sde.divergence import Divergence
from score_sde.processes import EDM, VP, RectifiedFlow
from score_sde.samplers import GRIDS
from score_sde.samplers.logp import Traced

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
BUMPS = np.array([[-1.0], [1.0]]), np.array([0.25, 0.25]), np.ones(2) / 2
EXACT = {"divergence": "exact"}


def solver(name, **options):
    return samplers.get(name, **{"denoise_final": "none", "lower_order_final": False, **options})


def drawn(sampler, denoise, sde, x, **options):
    return samplers.with_logp(sampler, **EXACT | options)(KEY, denoise, sde, x_init=x)


@pytest.mark.parametrize(
    ("sde", "grid", "name", "order"),
    [
        (VP(), "log_snr", "ddim", 1),
        (VP(), "log_snr", "dpmpp_2m", 2),
        (EDM(), "karras", "heun", 2),
        (EDM(), "karras", "deis", 3),
    ],
)
def test_order_on_two_bumps(x64, sde, grid, name, order):
    """Towards log p at the end of the ODE, from the densities of the mixture:

    the flow takes p_max to p_min, so that it takes pi to  p_min(x) pi(z) / p_max(z).
    """
    start = jnp.array(tables.START * sde.prior_std)
    ends, denoise = jnp.array(tables.ENDS[sde])[:, None], analytic.gaussian_mixture(sde, *BUMPS)

    def density(x, t):
        return analytic.gaussian_mixture_logp(sde, *BUMPS, x, t)

    stated = density(ends, sde.t_min) + sde.prior_logp(start) - density(start, sde.t_max)
    options = Divergence("exact")
    predicts = solver(name).PREDICTS

    def logp(steps):
        """In NumPy along the table, of pairs (x, L): one function is compiled for all steps."""
        cut = solver(name, grid=grid, steps=steps)
        state = samplers.with_logp(cut, **EXACT).begin(KEY, sde, x_init=start)
        traced = Traced(denoise, predicts, sde, options, keys, cut.grid_points(sde)[-1])
        pairs = jax.jit(lambda x, t: getattr(traced((x[:, :1], x[:, 1]), t), predicts))

        def both(x, t):
            d, rate = pairs(x, np.full(len(x), t))
            return 2 * (np.column_stack([d, rate]),)

        states, _ = tables.walk(cut.table(sde), both, np.column_stack([start, 0 * start]))
        return state.start + states[-1, :, 1]

    keys = jax.random.split(KEY, len(start))
    errors = [abs(logp(steps) - stated).max() for steps in (40, 80)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)


def test_log_likelihood_of_the_samples(x64):
    """At the same x, of two dimensions, to 1e-2 nats; they differ by 2."""
    sde = VP()
    out = drawn(solver("heun", steps=160), mixture(sde), sde, jax.random.normal(KEY, (8, 2)))
    other = log_likelihood(KEY, mixture(sde), sde, out.x, "exact", rtol=1e-6, atol=1e-6).logp
    assert other.std() > 0.5
    np.testing.assert_allclose(out.logp, other, atol=1e-2)


@pytest.mark.parametrize(
    ("sde", "options", "name", "error"),
    [
        (VP(), {"times": tuple(GRIDS["log_snr"](VP(t_max=0.5), 101))}, "heun", 2e-3),
        (RectifiedFlow(t_min=0.2, t_max=1.0), {"grid": "uniform"}, "euler", 4e-2),
    ],
    ids=["a grid that begins below t_max", "from alpha = 0"],
)
def test_drawn_from_the_prior(x64, sde, options, name, error):
    """The affine flow of a Gaussian, from the prior shrunk to the grid's first noise level."""
    mean, std = tables.GAUSSIAN
    sampler = solver(name, steps=100, **options)
    denoise = analytic.gaussian(sde, np.full(2, mean), std)
    out = samplers.with_logp(sampler, **EXACT)(KEY, denoise, sde, shape=(4, 2))
    points = sampler.grid_points(sde)
    (m_first, s_first), (m_last, s_last) = (tables.marginal(points[i]) for i in (0, -1))
    x = m_first + (out.x - m_last) * s_first / s_last
    shrunk = points.sigma[0] / sde.sigma(np.float64(sde.t_max))
    stated = stats.norm.logpdf(x, 0, shrunk).sum(1) + 2 * np.log(s_first / s_last)
    np.testing.assert_allclose(out.logp, stated, atol=error)


COVARIANCE = 0.3 * np.array(
    [[1.0, 0.9, 0.2, 0.1], [0.9, 1.2, 0.3, 0.0], [0.2, 0.3, 0.7, -0.4], [0.1, 0.0, -0.4, 0.8]]
)


@pytest.mark.parametrize("probe", ["rademacher", "gaussian"])
def test_hutchinson_is_unbiased(x64, probe):
    """Its mean over 2048 examples is the exact trace's log p, within 3 standard errors."""
    sde, n = VP(), 2048
    denoise = analytic.correlated_gaussian(sde, np.zeros(4), COVARIANCE)
    x, sampler = jnp.broadcast_to(jnp.array([0.3, -0.2, 0.5, 0.1]), (n, 4)), solver("ddim", steps=8)
    options = {"divergence": "hutchinson", "probe": probe}
    estimates = np.asarray(drawn(sampler, denoise, sde, x, **options).logp)
    stated = float(drawn(sampler, denoise, sde, x[:1]).logp[0])
    error = estimates.std() / np.sqrt(n)
    assert 0 < error < 0.5
    assert abs(estimates.mean() - stated) < 3 * error


def test_the_same_samples_in_pieces(x64):
    """x is the solver's own, of every key; in two pieces all of it is the same."""
    sde, sampler = VP(), solver("unipc", steps=6)
    denoise, cut = mixture(sde), samplers.with_logp(sampler, probes=2)
    whole = cut(KEY, denoise, sde, shape=(3, 2))
    state = cut.begin(KEY, sde, shape=(3, 2))
    for first, last in ((0, 4), (4, cut.pieces(sde))):
        state = cut.advance(KEY, state, denoise, sde, first, last)
    np.testing.assert_allclose(whole.x, sampler(KEY, denoise, sde, shape=(3, 2)).x, rtol=1e-12)
    np.testing.assert_allclose(whole.logp, cut.finish(state).logp, rtol=1e-12)


def test_nfe_counts_real_evaluations():
    """One for D and all three products; of guidance two, and none where it is off."""
    sde, sampler = VP(), solver("heun", steps=3)
    counted = Counted(mixture(sde))
    out = samplers.with_logp(sampler, probes=3)(KEY, counted, sde, shape=(1, 2))
    assert int(out.nfe) == counted.count == 6
    labels = {"label": jnp.zeros(1, int)}
    guided = guidance.classifier_free(mixture(sde), 3.0, labels, interval=(0.1, 10.0))
    out = samplers.with_logp(sampler)(KEY, guided, sde, shape=(1, 2), cond=labels)
    assert 6 < int(out.nfe) < 12
    assert out.nfe == sampler(KEY, guided, sde, shape=(1, 2), cond=labels).nfe


def test_clipped(x64):
    """The trace is that of what is clipped: with x0 constant, x / sigma only shrinks."""
    sde, x = VP(), jnp.array([[1.0, 2.0]])
    far = analytic.gaussian(sde, np.full(2, 9.0), 0.5)
    sampler = solver("ddim", steps=5, clip=1.0)
    points = sampler.grid_points(sde)
    out = drawn(sampler, far, sde, x)
    np.testing.assert_allclose(
        out.logp, sde.prior_logp(x) + 2 * np.log(points.sigma[0] / points.sigma[-1]), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        (samplers.get("rk45"), {}, "for solvers with fixed steps, not RK45: use one"),
        (samplers.get("ddim"), {}, "give the sampler denoise_final='none'"),
        (solver("ddim", eta=1.0), {}, "DDIM adds noise"),
        (solver("ddim"), {"divergence": "exactly"}, "did you mean 'exact'"),
        (solver("ddim"), {"probes": 0}, "probes must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be(sampler, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        samplers.with_logp(sampler, **options)(KEY, mixture(VP()), VP(), shape=(1, 2))
    assert "\n" not in str(caught.value)
