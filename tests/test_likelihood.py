"""Log-likelihoods: exact transports, the variance of Hutchinson's estimate, no coupling."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of
from sampler_oracles import Counted, mixture
from scipy import stats

import score_sde
from score_sde import analytic, divergence, guidance, log_likelihood

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)
TIGHT = {"divergence": "exact", "rtol": 1e-9, "atol": 1e-9}
POINTS = np.array([-1.4, -0.8, -0.1, 0.3, 0.9, 1.6])
PROCESSES = {
    "vp": score_sde.VP(),
    "subvp": score_sde.SubVP(),
    "ve": score_sde.VE(),
    "rectified_flow": score_sde.RectifiedFlow(),
}
# Processes that end in their prior: what is left of the data at t_max changes log p by < 1e-4.
FORGETFUL = {
    "vp": score_sde.VP(beta_max=50.0),
    "subvp": score_sde.SubVP(beta_max=50.0),
    "ve": score_sde.VE(sigma_max=1e6),
    "rectified_flow": score_sde.RectifiedFlow(t_max=1 - 1e-6),
}

# The Gaussian and the two bumps of ORACLES are mixtures of these, with weights of each example.
MEANS, STDS = np.array([[0.3], [-1.0], [1.0]]), np.array([0.5, 0.25, 0.25])
WEIGHTS = np.repeat([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], len(POINTS), axis=0)
X = np.tile(POINTS, 2)


@functools.partial(jax.jit, static_argnames="options")
def run(sde, x, weights, options):
    def denoise(x, t, weights):
        def one(x, t, weights):
            pair = analytic.gaussian_mixture(sde, MEANS, STDS, weights)(x[None], t[None])
            return jax.tree.map(lambda a: a[0], pair)

        return jax.vmap(one)(x, t, weights)

    return log_likelihood(KEY, denoise, sde, x, **dict(options), cond=weights)


def solve(sde, dtype=np.float64, **options):
    """log p at X of the Gaussian, then of the two bumps, in one solve."""
    among = [*PROCESSES.values(), *FORGETFUL.values()]
    options = tuple((TIGHT | options).items())
    return run(any_of(sde, among), jnp.asarray(X, dtype)[:, None], jnp.asarray(WEIGHTS), options)


def levels(sde, t):
    alpha, sigma = (level(np.float64(t)) for level in (sde.alpha, sde.sigma))
    return float(alpha), float(sigma)


def marginal(sde, t):
    """Distribution functions at time t: (cdf, pdf) of x, an array of the shape of X."""
    alpha, sigma = levels(sde, t)
    means, stds = alpha * MEANS[:, 0], np.sqrt((alpha * STDS) ** 2 + sigma**2)

    def average(function):
        return lambda x: np.sum(WEIGHTS * function(x[:, None], means, stds), axis=1)

    return average(stats.norm.cdf), average(stats.norm.pdf)


def closed_form(sde):
    """In one dimension the flow keeps quantiles, so x goes to z = F_max^-1(F_min(x)), and

        log p(x) = log prior(z) + log dz/dx,    dz/dx = p_min(x) / p_max(z),

    which includes what the process remembers of the data at t_max.
    """
    (cdf_min, pdf_min), (cdf_max, pdf_max) = marginal(sde, sde.t_min), marginal(sde, sde.t_max)
    z = _quantile(cdf_min(X), cdf_max)
    return stats.norm.logpdf(z, 0, sde.prior_std) + np.log(pdf_min(X) / pdf_max(z)), z


@pytest.mark.parametrize("sde", PROCESSES.values(), ids=list(PROCESSES))
def test_the_closed_form(x64, sde):
    """To 1e-5 nats, and the state at t_max to 1e-6."""
    out, (logp, z) = solve(sde), closed_form(sde)
    np.testing.assert_allclose(out.logp, logp, atol=1e-5)
    np.testing.assert_allclose(out.latent[:, 0], z, rtol=1e-6, atol=1e-6)


def test_float32_at_the_default_tolerance(x64):
    """Within 2e-3 nats, and all of it in float32."""
    sde = score_sde.VP()
    out = solve(sde, np.float32, rtol=1e-5, atol=1e-5)
    assert out.logp.dtype == out.latent.dtype == jnp.float32
    np.testing.assert_allclose(out.logp, closed_form(sde)[0], atol=2e-3)


def _quantile(probability, cdf):
    low, high = np.full(len(probability), -1e4), np.full(len(probability), 1e4)
    for _ in range(100):
        middle = (low + high) / 2
        below = cdf(middle) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


@pytest.mark.parametrize("sde", FORGETFUL.values(), ids=list(FORGETFUL))
def test_the_log_density_at_t_min(x64, sde):
    """1e-4 nats from the density at t_min itself, where the process ends in its prior."""
    np.testing.assert_allclose(solve(sde).logp, np.log(marginal(sde, sde.t_min)[1](X)), atol=1e-4)


COVARIANCE = 0.3 * np.array(
    [[1.0, 0.9, 0.2, 0.1], [0.9, 1.2, 0.3, 0.0], [0.2, 0.3, 0.7, -0.4], [0.1, 0.0, -0.4, 0.8]]
)


@pytest.mark.parametrize(("probe", "probes"), [("rademacher", 1), ("gaussian", 3)])
def test_hutchinson_of_a_correlated_gaussian(x64, probe, probes):
    """Mean and variance within 3 standard errors.

    The flow is linear, J depends on t alone and has the eigenvectors of the covariance, so that the
    estimate of the integral is e^T A e averaged over probes, where A = int J dt has the eigenvalues
    log sqrt(v(t_max) / v(t_min)).
    """
    sde, n = score_sde.VP(), 2048
    denoise = analytic.correlated_gaussian(sde, np.zeros(4), COVARIANCE)
    x = jnp.broadcast_to(jnp.array([0.3, -0.2, 0.5, 0.1]), (n, 4))
    out = jax.jit(lambda x: log_likelihood(KEY, denoise, sde, x, probes=probes, probe=probe))(x)
    values, vectors = np.linalg.eigh(COVARIANCE)
    (a_s, s_s), (a_t, s_t) = levels(sde, sde.t_min), levels(sde, sde.t_max)
    growth = 0.5 * np.log((a_t**2 * values + s_t**2) / (a_s**2 * values + s_s**2))
    a = (vectors * growth) @ vectors.T
    trace_free = probe == "rademacher"
    variance = 2 * (np.sum(a**2) - trace_free * np.sum(np.diag(a) ** 2)) / probes
    logp = np.asarray(out.logp)
    z = (np.asarray(x[0]) @ vectors * np.exp(growth)) @ vectors.T
    exact = stats.norm.logpdf(z).sum() + growth.sum()
    assert abs(logp.mean() - exact) < 3 * math.sqrt(variance / n)
    centred = (logp - logp.mean()) ** 2
    assert abs(centred.mean() - variance) < 3 * centred.std() / math.sqrt(n)


def test_the_exact_trace_in_chunks(x64):
    """Six dimensions, of which four, six or more are taken at once: the trace of a full matrix."""
    matrix = jax.random.normal(KEY, (6, 6))
    x = jax.random.normal(KEY, (3, 2))

    def velocity(x):
        return (matrix @ x.ravel()).reshape(x.shape) + x**2

    for chunk in (4, 6, 64):
        v, trace = divergence.exact(chunk)(velocity, x)
        np.testing.assert_allclose(v, velocity(x))
        np.testing.assert_allclose(trace, jnp.trace(matrix) + 2 * x.sum())


def test_an_example_has_the_same_answer_in_every_batch(x64):
    """With others that need other step sizes; a single key is folded with the position."""
    sde = score_sde.VE()
    x = jnp.concatenate([jax.random.normal(KEY, (5, 2)), jnp.array([[30.0, -20.0]])])
    run = jax.jit(lambda key, x: log_likelihood(key, mixture(sde), sde, x))
    together = run(KEY, x)
    assert len(set(together.nfe_each.tolist())) > 1
    assert together.nfe == together.nfe_each.max()
    rows = np.array([4, 1])
    apart = run(jnp.stack([jax.random.fold_in(KEY, row) for row in rows]), x[rows])
    np.testing.assert_allclose(apart.logp, together.logp[rows], rtol=1e-12)
    np.testing.assert_array_equal(apart.nfe_each, together.nfe_each[rows])


def test_keys_of_both_kinds():
    """An old key, two numbers, is one key and not a key for each of two examples."""
    sde, x = score_sde.VP(), jnp.ones((2, 2))
    old = jax.random.PRNGKey(3)
    run = jax.jit(lambda key: log_likelihood(key, mixture(sde), sde, x).logp)
    found, same = run(old), run(jax.random.wrap_key_data(old))
    np.testing.assert_array_equal(found, same)
    with pytest.raises(ValueError, match="2 keys for 3 examples"):
        log_likelihood(jax.random.split(KEY, 2), mixture(sde), sde, jnp.ones((3, 2)))


def test_nfe_counts_real_evaluations(x64):
    """One for the drift and all four products, on the whole batch, rejected steps included."""
    sde = score_sde.VE()
    denoise = Counted(mixture(sde))
    out = jax.jit(lambda x: log_likelihood(KEY, denoise, sde, x, probes=4, rtol=1e-9, atol=1e-9))(
        jnp.ones((1, 2))
    )
    assert int(out.nfe) == denoise.count


@pytest.mark.parametrize(
    "trace",
    [divergence.hutchinson(np.ones((5, 7))), divergence.exact(64)],
    ids=["probes", "exact"],
)
def test_drift_and_products_are_one_linearisation(trace):
    """However many products, the program evaluates the network's nonlinearity once."""
    weight = jax.random.normal(KEY, (7, 7))
    program = jax.make_jaxpr(lambda x: trace(lambda x: jnp.tanh(weight @ x), x))(jnp.ones(7))
    assert str(program).count(" tanh ") == 1


def test_guidance_by_labels(x64):
    """A classifier whose log-probability is linear moves a Gaussian: by Bayes' rule the score of
    N(m, 1) plus c is that of N(m + v c, 1), and the two classes are mirror images."""
    sde = score_sde.VP()

    def log_prob(x, t, label):
        return jnp.sum(x, axis=1) * jnp.where(label == 1, 0.4, -0.4)

    guided = guidance.classifier(analytic.gaussian(sde, np.zeros(2), 1.0), sde, log_prob)
    x, labels = jnp.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]]), jnp.array([1, 0, 0])
    run = jax.jit(lambda x, cond: log_likelihood(KEY, guided, sde, x, **TIGHT, cond=cond).logp)
    logp = run(x, {"label": labels})
    np.testing.assert_allclose(logp[0], logp[1], rtol=1e-10)
    assert abs(logp[0] - logp[2]) > 0.1


def test_classifier_free_guidance_of_gaussians(x64):
    """Of two of the same variance it is the Gaussian with mean mu_u + w (mu_c - mu_u) (ORACLES)."""
    sde, w = FORGETFUL["vp"], 2.5
    means = jnp.array([[0.1], [-0.4], [0.6]])  # of no condition, and of the classes 1 and 2

    def conditional(x, t, cond):
        pair = analytic.gaussian(sde, np.zeros(1), 0.5)
        shift = means[cond["label"]]
        moved = pair(x - sde.alpha(t)[:, None] * shift, t)
        return moved._replace(x0=moved.x0 + shift)

    guided = guidance.classifier_free(conditional, w, {"label": jnp.zeros(2, int)})
    x, labels = jnp.array([[-0.3], [0.9]]), jnp.array([1, 2])
    run = jax.jit(lambda x, cond: log_likelihood(KEY, guided, sde, x, **TIGHT, cond=cond).logp)
    logp = run(x, {"label": labels})
    alpha, sigma = levels(sde, sde.t_min)
    centre = alpha * (means[:1] + w * (means[labels] - means[:1]))[:, 0]
    std = math.sqrt((alpha * 0.5) ** 2 + sigma**2)
    np.testing.assert_allclose(logp, stats.norm.logpdf(x[:, 0], centre, std), atol=1e-4)


def test_an_example_that_is_not_solved_is_an_error():
    sde = score_sde.VP()
    run = jax.jit(lambda x: log_likelihood(KEY, mixture(sde), sde, x, max_steps=3).logp)
    with pytest.raises(RuntimeError, match="not solved in max_steps=3 steps"):
        jax.block_until_ready(run(jnp.ones((2, 2))))


def test_a_nan_of_one_example_is_an_error():
    sde = score_sde.VP()

    def broken(x, t, cond=None):
        return mixture(sde)(jnp.where(x > 2, jnp.nan, x), t)

    with pytest.raises(RuntimeError, match="look for NaN"):
        log_likelihood(KEY, broken, sde, jnp.array([[0.0, 0.0], [9.0, 9.0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divergence": "hutchison"}, "did you mean 'hutchinson'"),
        ({"probe": "normal"}, "unknown probe 'normal'"),
        ({"probes": 0}, "probes must be a whole number of at least 1"),
        ({"rtol": 0.0}, "rtol must be a finite number above 0"),
    ],
)
def test_bad_options_are_named(options, message):
    sde = score_sde.VP()
    with pytest.raises(ValueError, match=message):
        log_likelihood(KEY, mixture(sde), sde, jnp.ones((2, 2)), **options)


def test_pixels_are_no_data():
    sde = score_sde.VP()
    with pytest.raises(ValueError, match="floating dtype, in the model's range, not uint8"):
        log_likelihood(KEY, mixture(sde), sde, jnp.zeros((2, 2), jnp.uint8))


SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from score_sde import VE, log_likelihood
from sampler_oracles import mixture

with jax.enable_x64(True):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    sde, key = VE(), jax.random.key(0)
    x = 2 * jax.random.normal(key, (8, 2))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    run = jax.jit(lambda x: log_likelihood(key, mixture(sde), sde, x))
    whole, parts = run(x), run(sharded)
    assert whole.logp.dtype == np.float64
    assert parts.latent.sharding.is_equivalent_to(sharded.sharding, 2), parts.latent.sharding
    np.testing.assert_allclose(whole.logp, parts.logp, rtol=1e-12)
    np.testing.assert_array_equal(whole.nfe_each, parts.nfe_each)
"""


def test_sharded_batch(eight_devices):
    """On a mesh of eight (virtual) devices a batch in eight parts has the same answers."""
    eight_devices.execute(SHARDED, "sharded")
