"""Where conditions enter: with the features of the noise level, or after its dense layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde import fields
from score_sde.models.conditions import Label
from score_sde.models.embeddings import NoiseEmbedding
from score_sde.models.told import embed, make_early_and_late

pytestmark = pytest.mark.slow

LAYER = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
BOTH = {n: functools.partial(Label(0.5).embedding, fields.label(4, name=n)) for n in ("a", "b")}
NOISE = NoiseEmbedding(8, kind="positional", **LAYER)


def test_early_ones_are_added_before_the_dense_layers_and_late_ones_after():
    early, late = make_early_and_late(BOTH, ("a", "other"), NOISE, 32, **LAYER)
    label, classes = jnp.array([3.0, 700.0]), jnp.array([1, 2])
    told = embed(NOISE, early, late, label, {"a": classes, "b": classes}, None)
    rows = early["a"].table[...][classes], late["b"].table[...][classes]
    assert rows[0].shape == (2, 8)
    expected = jax.nn.silu(NOISE(label, rows[0]) + rows[1])
    np.testing.assert_allclose(told.embedding, expected, rtol=1e-6)
    assert told.tokens is None


def test_they_are_dropped_each_for_itself():
    """Of 4000 examples about a quarter are told neither, to 4 standard errors."""
    early, late = make_early_and_late(BOTH, ("a",), NOISE, 8, **LAYER)
    for module in (early["a"], late["b"]):  # a class is 1 and none is 0
        module.table[...] = jnp.ones((5, 8)).at[4].set(0.0)
    seen = []
    noise = lambda label, told: seen.append(told) or 0 * told  # noqa: E731
    cond = {n: jnp.zeros(4000, int) for n in "ab"}
    told = embed(noise, early, late, jnp.ones(4000), cond, jax.random.key(0)).embedding
    neither = (seen[0][:, 0] == 0) & (told[:, 0] == 0)
    assert abs(float(neither.mean()) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_what_cannot_work_is_refused():
    """Early conditions without a noise level; and a name that is neither."""
    with pytest.raises(ValueError, match="early_conditions enter with the noise level, which this"):
        make_early_and_late(BOTH, ("a",), None, 8, **LAYER)
    early, late = make_early_and_late(BOTH, ("a",), NOISE, 32, **LAYER)
    with pytest.raises(ValueError, match="not told c: it is told a, b"):
        embed(NOISE, early, late, jnp.ones(2), {"c": jnp.ones(2)}, None)
