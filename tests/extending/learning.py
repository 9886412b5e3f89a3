"""The examples of the page that are learnt with: network, process, objective."""

import jax
import jax.numpy as jnp
import numpy as np
from extending.trained import trained
from flax import nnx


def used_network(names):
    """It is affine in x coordinate by coordinate, and told the noise level and conditions."""
    from score_sde.fields import label
    from score_sde.models import NETWORKS
    from score_sde.models.conditions import CONDITIONS

    assert trained("affine")["model"]["name"] == "affine"
    with jax.enable_x64(True):
        network = NETWORKS["affine"](
            shape=(3,),
            channels=16,
            conditions={
                "label": lambda *args, **rest: CONDITIONS["label"]().embedding(
                    label(2), *args, **rest
                )
            },
            param_dtype=jnp.float64,
            rngs=nnx.Rngs(0),
        )

        @jax.jit
        def at(x, level, k):
            """The output, [3], and its Jacobian, [3, 3], at one state."""

            def output(x):
                return network(x[None], jnp.full(1, level), {"label": jnp.full(1, k)})[0]

            return output(x), jax.jacobian(output)(x)

        x = np.array([0.5, -1.0, 2.0])
        (value, slope), (bias, _) = at(x, 500.0, 0), at(0 * x, 500.0, 0)
        assert np.array_equal(slope, np.diag(np.diag(slope)))
        assert (np.diag(slope) != 0).all()
        np.testing.assert_allclose(value, bias + slope @ x, rtol=1e-12)
        for other in ((100.0, 0), (500.0, 1)):
            assert not np.allclose(at(x, *other)[1], slope)


def used_process(names):
    """f, g^2, log SNR and its inverse follow from alpha and sigma, whose squares add up to 1."""
    sde = names["sde"]
    config = trained("linear_log_snr")["sde"]
    assert (config["name"], config["log_snr_max"]) == ("linear_log_snr", sde.log_snr_max)
    with jax.enable_x64(True):
        t, h = np.linspace(sde.t_min, sde.t_max, 20)[1:-1], 1e-5

        def rate(function):
            return (function(t + h) - function(t - h)) / (2 * h)  # its error: h^2 = 1e-10

        f, sigma2 = rate(lambda t: np.log(sde.alpha(t))), sde.sigma(t) ** 2
        np.testing.assert_allclose(sde.alpha(t) ** 2 + sigma2, 1, rtol=1e-14)
        np.testing.assert_allclose(sde.f(t), f, rtol=1e-6)
        g2 = rate(lambda t: sde.sigma(t) ** 2) - 2 * f * sigma2
        np.testing.assert_allclose(sde.g2(t), g2, rtol=1e-6)
        np.testing.assert_allclose(sde.log_snr(t), np.log(sde.alpha(t) ** 2 / sigma2), atol=1e-12)
        np.testing.assert_allclose(sde.time_at_log_snr(sde.log_snr(t)), t, rtol=1e-12)
        np.testing.assert_allclose(sde.alpha(jnp.asarray(t)), sde.alpha(t), rtol=1e-14)
    np.testing.assert_allclose(sde.log_snr(np.array([0.0, 1.0])), [10, -5])


def used_objective(names):
    """Of a known error it is known, the exact denoiser is its minimum, and wide it is a square."""
    import score_sde
    from score_sde import analytic
    from score_sde.objectives import OBJECTIVES, Denoising
    from score_sde.prediction import Prediction

    config = trained("pseudo_huber")["objective"]
    assert (config["name"], config["pseudo_huber"]) == ("pseudo_huber", {"width": 0.05})
    pseudo_huber, sde, key = OBJECTIVES["pseudo_huber"], score_sde.VP(), jax.random.key(0)

    def loss(objective, std, error, x0):
        """Of the exact denoiser of N(1, std^2), but for an error of its eps."""
        exact = analytic.gaussian(sde, jnp.ones(2), std)

        def denoise(x, t, cond):
            return Prediction(None, exact(x, t).eps + error)

        return objective(key, denoise, sde, x0)

    @jax.jit
    def found(x0, error):
        """Losses and the mean gradient, in standard errors, where eps is off by an error."""

        def total(errors):
            return loss(pseudo_huber(), 0.5, errors, x0).sum()

        gradient = jax.grad(total)(jnp.full(x0.shape, error))
        return (
            loss(pseudo_huber(width=0.1), 0.0, error, jnp.ones_like(x0)),
            gradient.mean(0) / (gradient.std(0) / np.sqrt(len(x0))),
            loss(pseudo_huber(width=1e4), 0.5, error, x0),
            loss(Denoising(), 0.5, error, x0),
        )

    with jax.enable_x64(True):
        x0 = 1 + 0.5 * np.random.default_rng(0).standard_normal((10_000, 2))
        for error in (0.0, 0.1):
            known, slope, wide, square = found(x0, error)
            c = 0.1 * np.sqrt(2)
            np.testing.assert_allclose(known, np.sqrt(2 * error**2 + c**2) - c, atol=1e-12)
            # The exact denoiser of a Gaussian is the minimum: there the gradient is 0 within 4
            # standard errors, and only there.
            assert (abs(slope) < 4).all() if error == 0 else (slope > 4).all()
            # With a large c it is the squared error over 2 c, of the same draws.
            c = 1e4 * np.sqrt(2)
            np.testing.assert_allclose(wide * 2 * c, 2 * square, rtol=1e-6, atol=1e-6)
