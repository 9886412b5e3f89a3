"""The sampler of flow maps: exact on a Gaussian however many jumps, and refused elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import EDM, VP, RectifiedFlow, analytic, guidance, samplers
from score_sde.flow_map import Consistency

pytestmark = pytest.mark.slow

KEY = jax.random.key(8)
MEAN, STD = 0.3, 0.5


def model(sde):
    return analytic.GaussianFlowMap(sde, np.full(1, MEAN), STD)


@pytest.mark.parametrize(
    "sde", [VP(), EDM(), RectifiedFlow(t_max=1.0)], ids=lambda sde: type(sde).__name__
)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_composed_jumps_are_one(x64, sde, steps):
    """Each number of steps gives the end of the path, with as many evaluations."""
    x = sde.prior_std * jax.random.normal(KEY, (20, 1))
    grid = "karras" if isinstance(sde, EDM) else "uniform"
    out = samplers.get("jump", steps=steps, grid=grid)(KEY, model(sde), sde, x_init=x)
    v = (sde.alpha(sde.t_max) * STD) ** 2 + sde.sigma(sde.t_max) ** 2
    expected = MEAN + STD * (x - sde.alpha(sde.t_max) * MEAN) / np.sqrt(v)
    np.testing.assert_allclose(out.x, expected, rtol=1e-9)
    assert int(out.nfe) == steps


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_noise_that_is_drawn_anew_keeps_the_distribution(x64, eta):
    """Mean and standard deviation of the data, within 4 standard errors; and it is drawn."""
    sde, n = VP(), 20_000
    x = sde.prior_sample(KEY, (n, 1))
    jump = samplers.get("jump", steps=3, eta=eta)
    out = jump(KEY, model(sde), sde, x_init=x)
    assert abs(out.x.mean() - MEAN) < 4 * STD / np.sqrt(n)
    assert abs(out.x.std() - STD) < 4 * STD / np.sqrt(2 * n)
    correlation = np.corrcoef(x[:, 0], out.x[:, 0])[0, 1]
    # Each of two returns keeps the share sqrt(1 - eta^2) of the noise ratio, and the signal's.
    assert abs(correlation) < 0.95
    assert abs(correlation) > 0.2 or eta == 1
    again = jump(jax.random.key(9), model(sde), sde, x_init=x)
    assert jnp.abs(again.x - out.x).min() > 0


def test_a_consistency_model_draws_its_noise_anew(x64):
    """Two steps by hand; eta below 1 is refused."""
    sde = EDM()
    ends = Consistency(sde, lambda x, t, cond: model(sde).average(x, t, jnp.zeros_like(t)))
    x = 80 * jax.random.normal(KEY, (4, 1))
    sampler = samplers.get("jump", times=(80.0, 0.8))
    out = sampler(KEY, ends, sde, x_init=x)
    first = MEAN + STD * (x - MEAN) / np.sqrt(STD**2 + 80**2)
    noise = samplers.get("jump", times=(80.0, 0.8), eta=1.0)(KEY, model(sde), sde, x_init=x)
    np.testing.assert_allclose(out.x, noise.x, rtol=1e-9)
    z = ((out.x - MEAN) / STD * np.sqrt(STD**2 + 0.8**2) + MEAN - first) / 0.8
    assert 0.1 < jnp.abs(z).mean() < 3
    assert int(out.nfe) == 2
    with pytest.raises(ValueError, match="jumps to the data alone"):
        samplers.get("jump", steps=2, eta=0.0)(KEY, ends, sde, x_init=x)


def test_pieces_are_the_whole(x64):
    """One jump after the other."""
    sde, sampler = VP(), samplers.get("jump", steps=3, eta=0.5)
    x = jax.random.normal(KEY, (4, 1))
    whole = sampler(KEY, model(sde), sde, x_init=x)
    state = sampler.begin(KEY, sde, x_init=x)
    assert sampler.pieces(sde) == 3
    for i in range(3):
        state = sampler.advance(KEY, state, model(sde), sde, i, i + 1)
    np.testing.assert_allclose(sampler.finish(state).x, whole.x, rtol=1e-13)


def test_what_is_no_flow_map_is_refused():
    """A denoiser, and a flow map that is guided; other samplers take one as a denoiser."""
    sde = VP()
    with pytest.raises(ValueError, match="takes a flow map"):
        samplers.get("jump")(KEY, analytic.gaussian(sde, np.zeros(1), 1.0), sde, shape=(2, 1))
    guided = guidance.classifier_free(model(sde), 2.0)
    with pytest.raises(ValueError, match="or one that is guided"):
        samplers.get("jump")(KEY, guided, sde, shape=(2, 1))
    x = jax.random.normal(KEY, (3, 1))
    ddim = samplers.get("ddim", steps=8)
    ours, plain = (
        ddim(KEY, d, sde, x_init=x).x
        for d in (model(sde), analytic.gaussian(sde, np.full(1, MEAN), STD))
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-5)
