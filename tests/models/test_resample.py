"""Resampling against direct sums over the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.signal import convolve2d, correlate2d

from score_sde.models.resample import Downsample, Upsample, double, halve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

FIR = (1, 2, 4, 1)  # not symmetric, so that its direction is tested


def image(dtype=jnp.float64):
    return jax.random.normal(jax.random.key(0), (2, 6, 8, 3), dtype)


def filter_2d(fir, gain):
    fir = np.asarray(fir) / np.sum(fir)
    return gain * np.outer(fir, fir)


def spread(plane):
    out = np.zeros((2 * plane.shape[0], 2 * plane.shape[1]))
    out[::2, ::2] = plane
    return out


def test_plain_resampling(x64):
    x = image()
    np.testing.assert_allclose(halve(x)[1, 1, 2, 0], x[1, 2:4, 4:6, 0].mean(), rtol=1e-12)
    np.testing.assert_array_equal(double(x)[:, ::2, 1::2], x)
    np.testing.assert_allclose(halve(double(x)), x, rtol=1e-12)


def test_filtered_halving_is_a_convolution_at_every_second_pixel(x64):
    x = image()
    full = convolve2d(np.asarray(x[1, :, :, 2]), filter_2d(FIR, 1))
    # Full convolution starts 3 pixels early; the filter is centred between its middle taps.
    np.testing.assert_allclose(halve(x, FIR)[1, :, :, 2], full[2:-1:2, 2:-1:2], rtol=1e-12)


def test_filtered_doubling_is_a_convolution_of_the_spread_image(x64):
    x = image()
    full = convolve2d(spread(np.asarray(x[1, :, :, 2])), filter_2d(FIR, 4))
    np.testing.assert_allclose(double(x, FIR)[1, :, :, 2], full[1:-2, 1:-2], rtol=1e-12)
    np.testing.assert_allclose(
        double(x, FIR, margin=1)[1, :, :, 2], full[0:-1, 0:-1], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("cls", [Downsample, Upsample])
def test_filter_and_convolution_commute_with_the_edge_in_between(x64, cls):
    # StyleGAN2 convolves first when it doubles and filters first when it halves; on an unbounded
    # plane the order is free, so both equal one convolution with the product of the two kernels.
    x = image()
    layer = cls(3, 5, fir=FIR, param_dtype=jnp.float64, rngs=nnx.Rngs(1))
    kernel = np.asarray(layer.conv.kernel[...])
    down = cls is Downsample
    expected = 0
    for channel in range(3):
        plane = np.asarray(x[1, :, :, channel])
        full = convolve2d(plane if down else spread(plane), filter_2d(FIR, 1 if down else 4))
        expected = expected + correlate2d(full, kernel[:, :, channel, 4], mode="full")
    # `full` twice starts 3 + 2 pixels early.
    expected = expected[3:-3:2, 3:-3:2] if down else expected[2:-3, 2:-3]
    out = layer(x)[1, :, :, 4]
    np.testing.assert_allclose(out, expected[: out.shape[0], : out.shape[1]], atol=1e-12)


@pytest.mark.parametrize("fir", [None, FIR])
def test_shapes_with_and_without_convolution(fir):
    x = image(jnp.float32)
    for with_conv, n_out in ((True, 5), (False, 3)):
        make = {"n_out": n_out, "fir": fir, "with_conv": with_conv}
        for cls, sides in ((Downsample, (3, 4)), (Upsample, (12, 16))):
            out = jax.eval_shape(
                lambda x, cls=cls, make=make: cls(3, **make, rngs=nnx.Rngs(0))(x), x
            )
            assert out.shape == (2, *sides, n_out)


def test_doubling_to_an_odd_size_leaves_the_last_pixels_out(x64):
    """Before the convolution, which sees zeros beyond them: the way back from a halved odd size."""
    x = image()
    layer = Upsample(3, 5, fir=None, param_dtype=jnp.float64, rngs=nnx.Rngs(1))
    np.testing.assert_array_equal(layer(x, (11, 16)), layer.conv(double(x)[:, :11]))
    np.testing.assert_array_equal(layer(x, (12, 16)), layer(x))
    halved = Downsample(5, 5, fir=None, edge=(1, 1), rngs=nnx.Rngs(1))(layer(x, (11, 15)))
    assert halved.shape == (2, 6, 8, 5)
