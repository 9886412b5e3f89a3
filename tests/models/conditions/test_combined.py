"""The sum of several conditions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde import fields
from score_sde.models.conditions import Label, Number
from score_sde.models.conditions.combined import make_embeddings
from score_sde.models.functional import functional

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SIZE, LABEL = fields.number("size"), fields.label(5)
MAKE = {
    "size": functools.partial(Number(dropout=0.5).embedding, SIZE),
    "label": functools.partial(Label(dropout=0.5).embedding, LABEL),
}


def embeddings(make):
    return make_embeddings(make, 8, param_dtype=jnp.float32, rngs=nnx.Rngs(0))


def test_it_is_the_sum_of_its_conditions():
    """The i-th by name has the key fold_in(key, i); what is not given is missing for all."""
    both, key = embeddings(MAKE), jax.random.key(1)
    cond = {"size": jnp.linspace(0, 1, 64), "label": jnp.arange(64) % 5}
    label = both.label(cond["label"], 64, jax.random.fold_in(key, 0))
    size = both.size(cond["size"], 64, jax.random.fold_in(key, 1))
    np.testing.assert_array_equal(both(cond, 64, key), label + size)
    label, null = both.label(cond["label"], 64, None), both.size(None, 64, None)
    np.testing.assert_array_equal(both({"label": cond["label"]}, 64, None), label + null)
    np.testing.assert_array_equal(both(None, 2, None), both({"label": None}, 2, None))


def test_the_order_of_a_dictionary_means_nothing():
    """Parameters are made in the order of the names, and stand under them."""
    ours, theirs = (
        functional(lambda rngs, m=m: make_embeddings(m, 8, param_dtype=jnp.float32, rngs=rngs))
        for m in (MAKE, dict(reversed(MAKE.items())))
    )
    one, other = ours.init(jax.random.key(0)), theirs.init(jax.random.key(0))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))
    assert {name.split("/")[0] for name in one[0]} == {"label", "size"}
    assert "label/table" in one[0]


def test_what_it_is_not_told_is_refused():
    """The message lists what it is told."""
    assert embeddings({}) is None
    with pytest.raises(ValueError, match="is not told pose: it is told label, size"):
        embeddings(MAKE)({"pose": jnp.zeros(2)}, 2, None)
