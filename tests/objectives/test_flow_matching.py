"""Flow matching: it is the shared loss, and its paths are the reference's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import VP, CosineVP, RectifiedFlow, TrigFlow, analytic
from score_sde.objectives import Denoising, FlowMatching
from score_sde.prediction import PARAMETRIZATIONS, Prediction

KEY = jax.random.key(3)


def test_without_coupling_it_is_denoising_on_the_velocity():
    """Bit by bit, with the same options."""
    sde = RectifiedFlow()
    model = analytic.gaussian(sde, jnp.zeros(2), 1.3)
    x0 = jax.random.normal(jax.random.key(0), (8, 2))
    options = {"times": "logit_normal", "time_mean": 0.3, "stratified": True}
    plain = Denoising(weighting="uniform", quantity="velocity", **options)
    losses = [objective(KEY, model, sde, x0) for objective in (plain, FlowMatching(**options))]
    np.testing.assert_array_equal(*losses)


def test_the_coupling_is_that_of_the_loss(x64):
    """Of x_0 = m + s eps the velocity is known: near the monotone coupling its error is small."""
    mean, std, sde = 0.5, 0.3, RectifiedFlow()

    def straight(x, t, cond=None):
        """eps and x_0 of the line through x: x = (1 - t) (m + s eps) + t eps."""
        t = t[:, None]
        eps = (x - (1 - t) * mean) / ((1 - t) * std + t)
        return Prediction(mean + std * eps, eps)

    x0 = mean + std * jax.random.normal(jax.random.key(0), (300, 1))
    far, near = (
        FlowMatching(coupling=name)(KEY, straight, sde, x0).mean()
        for name in ("independent", "optimal_transport")
    )
    assert near < 0.05 * far


def test_options_of_another_coupling_are_refused():
    """Sinkhorn's, and the names."""
    with pytest.raises(ValueError, match="regularization is of coupling=sinkhorn, not of coupling"):
        FlowMatching(regularization=0.1)
    with pytest.raises(ValueError, match="iterations is of coupling=sinkhorn"):
        FlowMatching(coupling="immiscible", iterations=3)
    with pytest.raises(ValueError, match="unknown coupling 'sinkhor': did you mean 'sinkhorn'"):
        FlowMatching(coupling="sinkhor")
    with pytest.raises(ValueError, match="immiscible is of the data, which teacher=runs/a replac"):
        FlowMatching(coupling="immiscible", teacher="runs/a")
    with pytest.raises(ValueError, match="regularization=1e-40 must be at least"):
        FlowMatching(coupling="sinkhorn", regularization=1e-40)  # every row would be NaN
    assert FlowMatching(coupling="sinkhorn", regularization=0.1, iterations=3).couple()


# By the reference's name, with the rate of its clock: its time is 1 - t, from noise to data.
PATHS = {
    "linear": (RectifiedFlow(t_max=1.0), 1.0),
    "vp": (VP(), 1.0),
    "gvp": (CosineVP(t_max=1.0), 1.0),
    "trigonometric": (TrigFlow(), np.pi / 2),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_the_reference_s(x64, shared, name):
    """alpha, sigma, their derivatives, x_t and its target; score and noise of a velocity."""
    sde, clock = PATHS[name]
    key = f"path/{'gvp' if name == 'trigonometric' else name}_"
    with np.load(shared / "golden" / "modern" / "objectives.npz") as arrays:
        golden = {n.removeprefix(key): arrays[n] for n in arrays.files if n.startswith(key)}
        t = jnp.asarray(1 - arrays["path/t"]) * clock
        data, noise = (jnp.asarray(arrays[f"path/{n}"]) for n in ("x1_data", "x0_noise"))
        given = jnp.asarray(arrays["path/velocity"])
    close = {"rtol": 1e-6, "atol": 1e-9}
    np.testing.assert_allclose(sde.alpha(t), golden["alpha"].ravel(), **close)
    np.testing.assert_allclose(sde.sigma(t), golden["sigma"].ravel(), **close)
    np.testing.assert_allclose(-clock * sde.alpha_dot(t), golden["alpha_dot"].ravel(), **close)
    np.testing.assert_allclose(-clock * sde.sigma_dot(t), golden["sigma_dot"].ravel(), **close)
    mean, std = sde.marginal(data, t)
    np.testing.assert_allclose(mean + std[:, None, None] * noise, golden["x_t"], **close)
    target = -clock * Prediction(data, noise).velocity(sde, t)
    np.testing.assert_allclose(target, golden["u_t"], **close)
    x = jnp.asarray(golden["x_t"])
    pair = PARAMETRIZATIONS["velocity"]().prediction(sde, x, t, -given / clock)
    np.testing.assert_allclose(pair.eps, golden["noise_from_velocity"], **close)
    np.testing.assert_allclose(pair.score(sde, t), golden["score_from_velocity"], **close)
