"""A set's order changes nothing, nor do rows that are no points."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde import fields
from score_sde.models.conditions import Make, Number
from score_sde.models.functional import functional
from score_sde.models.neighbours import Neighbours
from score_sde.models.set_transformer import SetTransformer

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
        called = quick_jit(made.apply)
        yield lambda x: called(*arrays, x, jnp.full(len(x), 300.0), COND)


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
    called = quick_jit(made.apply)
    out, other = (called(*arrays, one, jnp.ones(1), None) for one in (x, x[:, order]))
    assert float(jnp.abs(other - out[:, order]).max()) > 1e-2


def test_places_are_seen_at_several_scales():
    """Equation (1): the places, sines of 1, 2 and 4 times them, and cosines."""
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    found = SetTransformer._waves(SimpleNamespace(waves=3), jnp.asarray(x))
    expected = [x, *(f(k * x) for f in (np.sin, np.cos) for k in (1, 2, 4))]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=-1), atol=1e-6)


def test_only_for_sets():
    with pytest.raises(ValueError, match="this network is for sets"):
        functional(lambda rngs: SetTransformer(shape=(4, 4, 1), rngs=rngs)).shapes  # noqa: B018


def test_neighbours_are_told_of_and_moved_along():
    """See models.neighbours: the network has a number of (2) for each, and needs an order."""
    options = {"shape": (6, 3), "ordered": True, "neighbours": 2}
    network = functional(
        lambda rngs: SetTransformer(channels=8, depth=1, heads=2, rngs=rngs, **options)
    )
    assert network.shapes[0]["dense_in/kernel"].shape == (5 * 9 * 3 + 4 * 9 + 6 + 2, 8)
    params, constants = filled(network)
    x, noise = jax.random.normal(KEY, (2, 6, 3)), jnp.full(2, 300.0)
    only, still = (
        {name: np.asarray(array) * (left not in name) for name, array in params.items()}
        for left in ("dense_out", "dense_along")
    )
    called = quick_jit(network.apply)
    both, along, out = (called(p, constants, x, noise) for p in (params, only, still))
    np.testing.assert_allclose(both, along + out, atol=1e-6)
    # The first is moved in the plane of the two ways after it.
    places, first = np.asarray(x), np.asarray(along)[:, 0]
    normal = np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0])
    np.testing.assert_allclose((normal * first).sum(axis=1), 0, atol=1e-5)
    assert np.abs(first).min() > 1e-3
    # Of numbers that are the same everywhere, w, it is equation (2).
    w = np.float32([0.5, -1.0, 2.0, 0.25])
    alone = {name: 0 * np.asarray(array) for name, array in params.items()}
    alone |= {"dense_along/bias": w}
    chain = Neighbours(2, 4)
    _, u = quick_jit(lambda x: chain.told(*chain.apart(x, None)))(x)
    expected = np.einsum("j,bpjx->bpx", w, u)
    np.testing.assert_allclose(called(alone, constants, x, noise), expected, atol=1e-6)
    for wrong in ({"ordered": False}, {"shape": (6, 4)}):
        with pytest.raises(ValueError, match="neighbours=2 is of points with an order and 3 coord"):
            functional(lambda rngs, o=options | wrong: SetTransformer(rngs=rngs, **o))
