"""Products with a kernel: JAX's own derivatives to rounding, and nothing transposed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.models.linear import linear


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]


def assert_same(derivative, *args):
    """Of f(x, w) = sum sin(x w) with its own rules and with those of tensordot."""

    def found(product):
        return quick_jit(derivative(lambda x, w: jnp.sin(product(x, w)).sum()))(*args)

    pair = found(linear), found(lambda x, w: jnp.tensordot(x, w, 1))
    for own, other in zip(*map(jax.tree.leaves, pair), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", [(5, 7), (5, 2, 3)], ids=["whole", "in parts"])
@pytest.mark.parametrize("x", [(5,), (4, 5), (2, 3, 4, 5), (0, 5)], ids=str)
def test_values_and_derivatives_in_both_modes(x64, x, kernel):
    x, w, dx, dw = arrays(x, kernel, x, kernel)
    np.testing.assert_allclose(linear(x, w), jnp.tensordot(x, w, 1), rtol=1e-12)
    assert_same(lambda f: jax.grad(f, (0, 1)), x, w)
    assert_same(lambda f: lambda *a: jax.jvp(f, a, (dx, dw)), x, w)
    assert_same(lambda f: lambda *a: jax.jvp(jax.grad(f, (0, 1)), a, (dx, dw)), x, w)


def test_third_derivatives(x64):
    x, w = arrays((3, 2), (2, 2))
    assert_same(lambda f: jax.jacfwd(jax.jacrev(jax.grad(f, 1), 0), 1), x, w)


@pytest.mark.parametrize("axes", [(1, None), (None, -1), (0, 0)])
def test_vmap_over_each_argument(x64, axes):
    x, w = arrays(*(((3, 3, 5), (5, 4, 3)) if axes != (0, 0) else ((3, 2, 5), (3, 5, 4))))
    x, w = x if axes[0] is not None else x[0], w if axes[1] is not None else w[..., 0]
    assert_same(lambda f: jax.vmap(jax.grad(f, (0, 1)), axes), x, w)


def test_nothing_by_nothing_is_zeros():
    x, w = jnp.ones((3, 2, 0)), jnp.ones((0, 4))
    np.testing.assert_array_equal(linear(x, w), np.zeros((3, 2, 4)))
    np.testing.assert_array_equal(jax.vmap(linear, (0, None))(x, w), np.zeros((3, 2, 4)))
    assert jax.grad(lambda w: linear(x, w).sum())(w).shape == (0, 4)


def test_arrays_of_different_types_are_refused():
    with pytest.raises(TypeError, match="both must be the same"):
        linear(jnp.ones((2, 3)), jnp.ones((3, 4), jnp.bfloat16))


def test_nothing_is_transposed():
    def loss(x, w):
        return jnp.sin(linear(x, w)).sum()

    x, w = arrays((2, 3, 5), (5, 4))
    text = jax.jit(jax.grad(loss, (0, 1))).lower(x, w).as_text()
    assert text.count("dot_general") == 3
    assert "transpose" not in text
