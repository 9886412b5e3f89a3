"""The loss at several resolutions, against what it is for errors that are easy to see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.objectives import Denoising, multiscale
from score_sde.objectives.denoising import REDUCTIONS
from score_sde.prediction import Prediction
from score_sde.processes import VP


def counted(error, factors):
    return multiscale.reduced(error, factors, REDUCTIONS["mean"])


def test_an_error_counts_where_it_can_be_seen(x64):
    """A constant one at each size, with the weight of its factor; a checkerboard once."""
    constant = 0.3 * jnp.ones((1, 8, 12, 2))
    np.testing.assert_allclose(counted(constant, (2, 4)), 0.09 * (1 + 2 + 4), rtol=1e-14)
    i, j = np.indices((8, 12))
    checkered = jnp.asarray((-1.0) ** (i + j))[None, :, :, None]
    np.testing.assert_allclose(counted(checkered, (2, 4)), 1, rtol=1e-14)
    error = jax.random.normal(jax.random.key(0), (3, 4, 6, 2))
    squares = np.asarray(error).reshape(3, 2, 2, 3, 2, 2).mean(axis=(2, 4))
    by_hand = (np.asarray(error) ** 2).mean(axis=(1, 2, 3)) + 2 * (squares**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(counted(error, (2,)), by_hand, rtol=1e-14)


def test_the_loss_of_denoising_has_it(x64):
    """Of white noise as the error, each mean over f by f pixels has 1 / f^2 of the variance."""
    zero = lambda x, t, cond=None: Prediction(jnp.zeros_like(x), jnp.zeros_like(x))  # noqa: E731
    x0, key = jnp.zeros((512, 8, 8, 1)), jax.random.key(1)
    plain, both = (
        Denoising(weighting="uniform", quantity="eps", multiscale=factors)(key, zero, VP(), x0)
        for factors in ((), (2, 4))
    )
    expected = 1 + 2 / 4 + 4 / 16
    error = np.std(both / plain) / np.sqrt(len(x0))
    assert abs(np.mean(both / plain) - expected) < 4 * error


@pytest.mark.parametrize(
    ("shape", "message"), [((8, 6, 1), "4 does not divide 8x6"), ((5,), "data here are vectors")]
)
def test_data_that_cannot_be_averaged_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        Denoising(multiscale=(2, 4), shape=shape)
