"""What preserves magnitudes does: unit variance in, unit variance out."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.layers import unit_rms
from score_sde.models.magnitude import MPDense, MPFourier, mp_cat, mp_silu, mp_sum

X, Y = np.random.default_rng(0).standard_normal((2, 100_000, 3), np.float32)


def test_functions_keep_unit_variance():
    """Of independent standard normals, to 2 percent: swish in the mean square, both sums."""
    np.testing.assert_allclose(np.sqrt((np.asarray(mp_silu(X)) ** 2).mean()), 1, atol=0.02)
    np.testing.assert_allclose(np.asarray(mp_sum(X, Y, 0.3)).std(), 1, atol=0.02)
    both = np.asarray(mp_cat(jnp.asarray(X), jnp.asarray(Y[:, :2]), 0.3))
    np.testing.assert_allclose((both**2).mean(), 1, atol=0.02)
    # Shares of the magnitude, whatever the number of channels.
    parts = (both[:, :3] ** 2).sum(axis=1).mean(), (both[:, 3:] ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(np.sqrt(parts[1] / parts[0]), 0.3 / 0.7, rtol=0.02)


def test_layers_keep_unit_variance():
    """A dense layer whatever the size of its weights; Fourier features of wide labels."""
    layer = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    dense = MPDense(3, 50, **layer)
    dense.kernel[...] = 7 * dense.kernel[...]
    np.testing.assert_allclose(np.asarray(dense(X)).std(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(np.asarray(dense(X, 0.5)).std(axis=0), 0.5, atol=0.01)
    features = MPFourier(50, **layer)(jnp.linspace(-30.0, 30.0, 20_000))
    np.testing.assert_allclose(np.asarray((features**2).mean()), 1, atol=0.02)


def test_unit_size_is_over_all_axes_but_the_last():
    x = jax.random.normal(jax.random.key(0), (3, 3, 4, 5)) * 10
    rms = np.sqrt((np.asarray(unit_rms(x)) ** 2).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(rms, 1, atol=1e-4)
    rms = np.sqrt((np.asarray(unit_rms(x, (3,))) ** 2).mean(axis=3))
    np.testing.assert_allclose(rms, 1, atol=1e-3)
    np.testing.assert_array_equal(unit_rms(jnp.zeros((2, 2))), jnp.zeros((2, 2)))
