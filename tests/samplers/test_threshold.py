"""Keeping the predicted data in their range: clipping, and dynamic thresholding as published."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import samplers
from score_sde.prediction import Prediction
from score_sde.samplers.threshold import thresholded

VP = score_sde.VP()
T = jnp.array([0.2, 0.5, 0.9])


def limited(x0, limit, percentile):
    """What becomes of a denoiser that predicts x0, at some state; and that state."""
    x0 = jnp.asarray(x0)
    x = jnp.asarray(np.random.default_rng(0).normal(size=x0.shape))

    def denoise(x, t, cond=None):
        return Prediction(x0, x)  # eps is made anew

    composite = thresholded(denoise, limit, percentile)
    return composite.bound(VP)(x, T), x


@pytest.mark.parametrize("percentile", [0.9, 0.995])
def test_dynamic_thresholding_is_the_published_one(x64, shared, percentile):
    """But for the cap of 3 on the limit, which the paper has not and the third image passes."""
    golden = np.load(shared / "golden" / "modern" / "objectives.npz")
    x0, expected = golden["threshold/x"], golden[f"threshold/p{percentile}_max3"]
    assert np.abs(expected - golden[f"threshold/p{percentile}_max1"]).max() > 0.1
    found, _ = limited(x0, 1.0, percentile)
    np.testing.assert_allclose(found.x0[:2], expected[:2], rtol=1e-6, atol=1e-7)
    limit = np.quantile(np.abs(x0[2]), percentile)
    assert limit > 3
    np.testing.assert_allclose(found.x0[2], np.clip(x0[2] / limit, -1, 1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("percentile", [0.0, 0.5])
def test_the_limit_is_in_the_units_of_the_model_and_the_pair_stays_consistent(x64, percentile):
    """By hand: of 0 .. 8 the median is 4, which becomes the limit 2; below it only clips."""
    x0 = np.broadcast_to(np.arange(9.0), (3, 9)).copy()
    x0[1] /= 4  # whose median is below the limit
    found, x = limited(x0, 2.0, percentile)
    wide = np.clip(x0[0], -4, 4) / 2 if percentile else np.clip(x0[0], -2, 2)
    np.testing.assert_allclose(found.x0[0], wide, rtol=1e-12)
    np.testing.assert_allclose(found.x0[1], np.clip(x0[1], -2, 2), rtol=1e-12)
    alpha, sigma = (np.asarray(level(T))[:, None] for level in (VP.alpha, VP.sigma))
    np.testing.assert_allclose(alpha * found.x0 + sigma * found.eps, x, rtol=1e-12)


def test_a_sampler_has_it(x64):
    """Predictions beyond the limit end there; a share without a limit is refused."""

    def denoise(x, t, cond=None):
        return Prediction(jnp.full_like(x, 5.0), x)

    sampler = samplers.get("dpmpp_2m", steps=4, clip=1.5)
    out = sampler(jax.random.key(0), denoise, VP, shape=(2, 3))
    np.testing.assert_array_equal(out.x, np.full((2, 3), 1.5))
    with pytest.raises(ValueError, match="threshold is a share of what clip limits: give clip too"):
        samplers.get("dpmpp_2m", threshold=0.9)
