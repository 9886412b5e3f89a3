"""Few numbers beside many: the same as broadcasting, but for how the gradient is summed."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.models.spread import spread

X, VALUES = jnp.ones((2, 5, 1, 3), jnp.bfloat16), jnp.arange(6.0).reshape(2, 1, 1, 3)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_it_is_what_broadcasting_gives_in_every_mode(dtype):
    x = X.astype(dtype)
    weights = jax.random.normal(jax.random.key(0), x.shape).astype(dtype)

    def every(spread):
        def loss(values):
            return (jnp.sin(x + spread(values, x)) * weights).astype(jnp.float32).sum()

        def along(values):
            return jax.jvp(loss, (values,), (jnp.cos(values),))[1]

        many = jnp.stack([VALUES, 2 * VALUES], axis=1)
        return (
            jax.grad(loss)(VALUES),
            along(VALUES),
            jax.grad(along)(VALUES),
            jax.vmap(jax.grad(loss), 1, 1)(many),
        )

    found, expected = quick_jit(
        lambda: (every(spread), every(lambda values, x: values.astype(x.dtype)))
    )()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-7, atol=0.1), found, expected
    )
    assert found[0].dtype == jnp.float32


def test_in_half_precision_the_sum_is_in_float32_and_rounded_once():
    """A GPU that adds in bfloat16 would be told to."""

    def gradient(values, x, g):
        return jax.vjp(lambda values: x + spread(values, x), values)[1](g)[0]

    arguments = (VALUES, X, X)
    lowered = jax.jit(gradient).trace(*arguments).lower(lowering_platforms=("cuda",))
    (dtype,) = re.findall(r"stablehlo\.reduce.*, tensor<(\w+)>\) ->", lowered.as_text())
    assert dtype == "f32"
    assert gradient(*arguments).tolist() == [[[[5.0] * 3]]] * 2
