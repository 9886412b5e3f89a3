"""What holds for every condition of numbers: its null, its dropout, NaN, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models.conditions import CONDITIONS, Number, Vector

pytestmark = pytest.mark.slow

FIELDS = {"number": fields.number("size"), "vector": fields.vector(3, "pose")}
each_kind = pytest.mark.parametrize("kind", FIELDS)


def embedding(kind, **options):
    """The module of a kind, float64, with another null than its initial zero."""
    make = CONDITIONS[kind](**options).embedding
    module = make(FIELDS[kind], 8, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    module.null[...] = jnp.arange(8.0)
    return module


def values(kind, batch):
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.standard_normal((batch, *FIELDS[kind].shape)))


def call(module, value, batch, key=None):
    return np.asarray(quick_jit(lambda value: module(value, batch, key))(value))


def dense(layer, x):
    return np.asarray(x) @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])


@each_kind
def test_it_is_two_layers_with_a_swish_between(x64, kind):
    """Against NumPy: on a vector itself, on sines and cosines of a number in units of its scale."""
    module = embedding(kind, **({"scale": 4.0} if kind == "number" else {}))
    inputs = value = np.asarray(values(kind, 5))
    if kind == "number":
        angles = 2 * np.pi * value[:, None] / 4 * np.asarray(module.frequencies[...])
        inputs = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    h = dense(module.dense_0, inputs)
    expected = dense(module.dense_1, h / (1 + np.exp(-h)))
    np.testing.assert_allclose(call(module, jnp.asarray(value), 5), expected, rtol=1e-12)


@each_kind
def test_none_and_nan_are_the_null(x64, kind):
    """None for all, NaN (one is enough) for its own example; the others are as without it."""
    module, value = embedding(kind), values(kind, 4)
    null = np.arange(8.0)
    np.testing.assert_array_equal(call(module, None, 4), np.tile(null, (4, 1)))
    told = call(module, value.at[(1, *(0,) * (value.ndim - 1))].set(jnp.nan), 4)
    np.testing.assert_array_equal(told[1], null)
    rest = np.array([0, 2, 3])
    np.testing.assert_array_equal(told[rest], call(module, value, 4)[rest])


@each_kind
def test_examples_are_dropped_at_their_rate_and_only_with_a_key(x64, kind):
    """Three tenths of 20000, to 4 standard errors; one with a NaN stays null."""
    module, n = embedding(kind, dropout=0.3), 20000
    value = values(kind, n).at[0].set(jnp.nan)

    def nulls(key):
        return (call(module, value, n, key) == np.arange(8.0)).all(axis=1)

    assert nulls(None).sum() == 1
    dropped = nulls(jax.random.key(0))
    assert dropped[0]
    assert abs(float(dropped.mean()) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)


@each_kind
def test_gradients_do_not_meet_nan(x64, kind):
    """The gradient beside an example with a NaN is that of the others, and of the null once."""
    module, value = embedding(kind), values(kind, 3)
    graph, params, rest = nnx.split(module, nnx.Param, ...)

    def loss(params, value):
        return (nnx.merge(graph, params, rest)(value, len(value), None) ** 2).sum()

    gradient = quick_jit(jax.grad(loss, (0, 1)))
    by_params, by_value = gradient(params, value.at[1].set(jnp.nan))
    expected, _ = gradient(params, value[np.array([0, 2])])
    assert jnp.isfinite(by_value).all()
    np.testing.assert_array_equal(by_params.null[...], 2 * module.null[...])
    for layer in ("dense_0", "dense_1"):
        for one, other in zip(
            jax.tree.leaves(by_params[layer]), jax.tree.leaves(expected[layer]), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_whole_numbers_are_numbers():
    """An int32 is embedded as the same float32."""
    make = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    module = Number(scale=10.0).embedding(FIELDS["number"], 8, **make)
    whole = jnp.array([3, 70], jnp.int32)
    np.testing.assert_array_equal(call(module, whole, 2), call(module, whole.astype(float), 2))


def test_what_cannot_work_is_refused(x64):
    """Another kind of field, options out of range, values of another shape."""
    make = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    with pytest.raises(ValueError, match="pose is of kind vector: Number embeds fields of kind nu"):
        Number().embedding(FIELDS["vector"], 8, **make)
    with pytest.raises(ValueError, match="size is of kind number: Vector embeds fields of kind ve"):
        Vector().embedding(FIELDS["number"], 8, **make)
    with pytest.raises(ValueError, match=r"dropout=-0\.1 must be at least 0 and at most 1"):
        Vector(dropout=-0.1)
    with pytest.raises(ValueError, match=r"scale=.* must be above 0"):
        Number(scale=0.0)
    with pytest.raises(ValueError, match=r"of shape \(2, 4\); this vector takes \(2, 3\)"):
        embedding("vector")(jnp.zeros((2, 4)), 2, None)
