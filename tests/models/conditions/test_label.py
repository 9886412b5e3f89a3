"""A class as a row of a table, whose last row is no class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde import fields
from score_sde.models.conditions import Label, Make


def embedding(dropout=0.0):
    field = fields.label(10)
    return Label(dropout).embedding(field, 8, param_dtype=jnp.float32, rngs=nnx.Rngs(0))


def test_a_class_is_its_row_and_everything_else_the_last_row():
    """None, a negative label and the number of classes are no class, each label by itself."""
    embed = embedding()
    table = embed.table[...]
    assert table.shape == (11, 8)
    np.testing.assert_array_equal(embed(None, 3, None), table[jnp.array([10, 10, 10])])
    labels, rows = jnp.array([0, 9, 10, -1, -2]), jnp.array([0, 9, 10, 10, 10])
    np.testing.assert_array_equal(embed(labels, 5, None), table[rows])


def test_a_label_of_other_data_is_not_a_number():
    """Under jit nothing can be raised; a row of the table would be an answer. Dropped or not."""
    embed = embedding(0.5)
    for key in (None, jax.random.key(0)):
        told = jax.jit(embed, static_argnums=1)(jnp.array([11, 3, 2**30]), 3, key)
        assert np.isnan(told).all(axis=1).tolist() == [True, False, True]


def test_labels_are_dropped_at_their_rate_and_only_with_a_key():
    """A fifth of 20000, to 4 standard errors; the others keep their row."""
    embed, label = embedding(0.2), jnp.full(20000, 3)
    assert (embed(label, 20000, None) == embed.table[...][3][None]).all()
    told = embed(label, 20000, jax.random.key(0))
    dropped = (told == embed.table[...][10][None]).all(axis=1)
    assert abs(float(dropped.mean()) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 20000)
    assert (told[~dropped] == embed.table[...][3][None]).all()


def test_a_table_of_unit_size_and_no_class_is_zero():
    """Root mean square 1 over the classes, whatever size the parameters have."""
    make = Make(Label(), fields.label(10))
    embed = make.unit(8, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    embed.table[...] = 5 * embed.table[...]
    rows = np.asarray(embed(jnp.arange(11), 11, None))
    np.testing.assert_allclose((rows[:10] ** 2).mean(axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(rows[10], 0)
    assert np.isnan(embed(jnp.array([11]), 1, None)).all()


def test_what_cannot_work_is_refused():
    """Another kind of field, no classes, no probability, labels of another shape."""
    make = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    with pytest.raises(ValueError, match=r"size is of kind number: Label embeds fields of kind la"):
        Label().embedding(fields.number("size"), 8, **make)
    with pytest.raises(ValueError, match="number of classes of label must be a whole number"):
        Label().embedding(fields.label(0), 8, **make)
    with pytest.raises(ValueError, match="dropout=2 must be at least 0 and at most 1"):
        Label(2)
    with pytest.raises(ValueError, match=r"of shape \(3,\); this label takes \(2,\)"):
        embedding()(jnp.zeros(3, int), 2, None)
