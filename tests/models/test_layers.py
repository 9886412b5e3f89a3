"""Single layers against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde.models.layers import Dense, GroupNorm, dropout, init_kernel


def test_group_norm_is_its_definition(x64):
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (2, 4, 5, 24), jnp.float64)
    norm = GroupNorm(24, param_dtype=jnp.float64)
    norm.scale[...] = jnp.linspace(0.5, 2, 24)
    norm.bias[...] = jnp.linspace(-1, 1, 24)
    groups = np.asarray(x).reshape(2, 20, 6, 4)
    mean = groups.mean(axis=(1, 3), keepdims=True)
    var = groups.var(axis=(1, 3), keepdims=True)
    expected = ((groups - mean) / np.sqrt(var + 1e-6)).reshape(x.shape)
    expected = expected * np.linspace(0.5, 2, 24) + np.linspace(-1, 1, 24)
    np.testing.assert_allclose(norm(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "size", "groups"),
    [
        *((16, 4, 4), (128, 4, 32), (512, 4, 32), (32, 1, 32)),
        *((144, 4, 24), (130, 4, 26), (10, 4, 2), (131, 4, 1), (3, 4, 1)),
    ],
)
def test_the_groups_are_the_largest_divisor_that_is_allowed(channels, size, groups):
    """At most 32, and at least `size` channels in each: any number of channels has one."""
    assert GroupNorm(channels, group_size=size).groups == groups


def test_groups_that_are_asked_for():
    """Whatever they leave for each; they have to divide the channels."""
    assert GroupNorm(8, groups=4).groups == 4
    with pytest.raises(ValueError, match="10 channels cannot be divided into 4 groups"):
        GroupNorm(10, groups=4)


def test_group_norm_of_bfloat16_has_float32_statistics():
    # In bfloat16 alone, 1000 + a standard deviation of 1 would be constant within rounding steps.
    x = 1000 + 8 * jax.random.normal(jax.random.key(0), (2, 16, 16, 8))
    x = x.astype(jnp.bfloat16)
    y = GroupNorm(8)(x)
    assert y.dtype == jnp.bfloat16
    exact = GroupNorm(8)(x.astype(jnp.float32))
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.02)


def test_dropout_keeps_the_mean_and_the_rate():
    x = jnp.ones((64, 8, 8, 33))
    y = np.asarray(quick_jit(lambda x: dropout(x, 0.1, jax.random.key(0)))(x))
    n, zeros = x.size, float((y == 0).mean())
    assert abs(zeros - 0.1) < 4 * np.sqrt(0.1 * 0.9 / n)  # four standard errors
    np.testing.assert_allclose(y[y != 0], 1 / 0.9, rtol=1e-4)
    # Neighbouring channels share a random word; they must still be independent.
    pair = float((y[..., 0:32:2] * y[..., 1:32:2]).mean())
    assert abs(pair - 1) < 4 * np.sqrt(2 * (1 / 0.9 - 1) / (n / 2))


def test_dropout_without_a_key_is_the_identity():
    x = jnp.ones((2, 3))
    assert dropout(x, 0.5, None) is x


@pytest.mark.parametrize(("scale", "variance"), [(1.0, 1 / 75), (0.0, 1e-10 / 75)])
def test_initial_variance(scale, variance):
    draws = init_kernel(scale)(jax.random.key(0), (100, 50), jnp.float32)
    # A uniform variable's square has relative standard deviation sqrt(4 / 5).
    assert abs(float(draws.var()) / variance - 1) < 4 * np.sqrt(0.8 / draws.size)
    assert float(jnp.abs(draws).max()) <= np.sqrt(3 * variance) * 1.0001


def test_dense_computes_in_the_dtype_of_its_input():
    dense = Dense(3, 4, rngs=nnx.Rngs(0))
    assert dense(jnp.ones((2, 5, 5, 3), jnp.bfloat16)).dtype == jnp.bfloat16
    assert dense.kernel.dtype == jnp.float32
