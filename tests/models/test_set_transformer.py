"""A set's order changes nothing, nor do rows that are no points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled

from score_sde import fields
from score_sde.models.conditions import Make, Number
from score_sde.models.functional import functional
from score_sde.models.set_transformer import SetTransformer, _differences

KEY = jax.random.key(2)
SIZES = jnp.array([6.0, 4.0])
COND = {"size": SIZES}


@pytest.fixture(scope="module")
def network():
    """(x, noise label, cond) to the output, with parameters that are not zero; float64."""
    told = {"size": Make(Number(scale=4.0), fields.number("size"))}
    options = {"channels": 16, "depth": 2, "heads": 2, "size_condition": "size"}
    with jax.enable_x64(True):
        made = functional(
            lambda rngs: SetTransformer(
                shape=(6, 4), conditions=told, param_dtype=jnp.float64, rngs=rngs, **options
            )
        )
        arrays = filled(made)
        yield lambda x: made.apply(*arrays, x, jnp.full(len(x), 300.0), COND)


def test_equivariant_to_permutations(network):
    """Of the points that there are; to rounding."""
    with jax.enable_x64(True):
        x = jax.random.normal(KEY, (2, 6, 4))
        order = np.array([[3, 0, 5, 1, 4, 2], [2, 3, 1, 0, 4, 5]])[..., None]
        found = jnp.take_along_axis(network(x), order, axis=1)
        np.testing.assert_allclose(
            network(jnp.take_along_axis(x, order, axis=1)), found, atol=1e-12
        )
        assert float(jnp.abs(found - network(x)).max()) > 1e-3


def test_rows_that_are_no_points_are_not_seen(network):
    """Whatever they hold; points that there are matter to each other."""
    with jax.enable_x64(True):
        x = jax.random.normal(KEY, (2, 6, 4))
        other = x.at[1, 4:].add(7.0)
        np.testing.assert_array_equal(network(other)[1, :4], network(x)[1, :4])
        seen = network(x.at[1, 3].add(1.0))
        assert float(jnp.abs(seen - network(x))[1, 0].max()) > 1e-3
        np.testing.assert_array_equal(seen[0], network(x)[0])


def test_ordered_points_are_told_their_numbers():
    """With the option an exchange of two points is more than an exchange of their outputs."""
    made = functional(
        lambda rngs: SetTransformer(
            shape=(6, 3), channels=16, depth=1, heads=2, ordered=True, rngs=rngs
        )
    )
    arrays = filled(made)
    x = jax.random.normal(KEY, (1, 6, 3))
    order = np.array([1, 0, 2, 3, 4, 5])
    out, other = (made.apply(*arrays, one, jnp.ones(1), None) for one in (x, x[:, order]))
    assert float(jnp.abs(other - out[:, order]).max()) > 1e-2


def test_only_for_sets():
    with pytest.raises(ValueError, match="this network is for sets"):
        functional(lambda rngs: SetTransformer(shape=(4, 4, 1), rngs=rngs)).shapes  # noqa: B018


def test_neighbours_are_told_by_differences():
    """To the points before and after that there are; none beyond the ends."""
    options = {"shape": (6, 3), "ordered": True, "neighbours": 2}
    x, there = jnp.arange(36.0).reshape(2, 6, 3) ** 1.5, jnp.arange(6)[None] < SIZES[:, None]
    for step in (-2, -1, 1, 2):
        found = np.asarray(_differences(x, there, step))
        for example, size in enumerate((6, 4)):
            for i in range(6):
                inside = i < size and 0 <= i + step < size
                wanted = x[example, i + step] - x[example, i] if inside else np.zeros(3)
                np.testing.assert_array_equal(found[example, i], wanted)
    network = functional(
        lambda rngs: SetTransformer(channels=8, depth=1, heads=2, rngs=rngs, **options)
    )
    assert network.shapes[0]["dense_in/kernel"].shape == (5 * 9 * 3, 8)
    with pytest.raises(ValueError, match="neighbours=2 is of points with an order"):
        functional(lambda rngs: SetTransformer(rngs=rngs, **options | {"ordered": False}))
