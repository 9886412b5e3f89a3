"""EGNN turns, mirrors, shifts and permutes with its points, to 1e-10 in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde import fields
from score_sde.models.conditions import Make, Number
from score_sde.models.egnn import EGNN, EGNNLayer
from score_sde.models.functional import functional

COND = {"size": jnp.array([6.0, 4.0])}
THERE = np.arange(6)[None] < np.array([[6], [4]])
OPTIONS = {"channels": 16, "depth": 3, "waves": 2, "neighbours": 4.0, "size_condition": "size"}


@pytest.fixture(scope="module")
def network():
    """(x, noise label, cond) to the output, with parameters that are not zero; float64."""
    told = {"size": Make(Number(scale=4.0), fields.number("size"))}
    with jax.enable_x64(True):
        made = functional(
            lambda rngs: EGNN(
                shape=(6, 5), conditions=told, param_dtype=jnp.float64, rngs=rngs, **OPTIONS
            )
        )
        params, constants = filled(made)
        yield jax.jit(lambda x: made.apply(params, constants, x, jnp.full(len(x), 300.0), COND))


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return np.where(THERE[..., None], rng.standard_normal((2, 6, 5)), 0)


def moved(points, matrix, shift):
    """Places R x + v of the points that there are, beside features as they were."""
    places = points[..., :3] @ matrix.T + shift
    return np.where(THERE[..., None], np.concatenate([places, points[..., 3:]], -1), 0)


def swish(x):
    return x / (1 + np.exp(-x))


def test_a_layer_is_equation_1():
    """Pair by pair in NumPy, of three points that there are and one that is none."""
    rng, n = np.random.default_rng(2), 2.5
    x, h, first = (rng.standard_normal(shape) for shape in ((4, 3), (4, 4), (4, 4, 5)))
    pairs = np.zeros((4, 4, 1))
    pairs[:3, :3, 0] = 1 - np.eye(3)
    with jax.enable_x64(True):
        made = functional(
            lambda rngs: EGNNLayer(4, 10, neighbours=n, param_dtype=jnp.float64, rngs=rngs)
        )
        params, constants = filled(made)
        batch = (jnp.asarray(a)[None] for a in (x, h, pairs))
        called = quick_jit(lambda *args: made.apply(params, constants, *args, 2, first[None]))
        places, features = called(*batch)
    p = {name: np.asarray(array) for name, array in params.items()}

    def dense(name, x):
        return x @ p[f"{name}/kernel"] + p.get(f"{name}/bias", 0)

    moved, gathered = np.zeros((4, 3)), np.zeros((4, 4))
    for i, j in itertools.permutations(range(3), 2):
        d = np.linalg.norm(x[i] - x[j])
        r = np.array([d**2, np.sin(d), np.sin(2 * d), np.cos(d), np.cos(2 * d), *first[i, j]])
        m = swish(dense("own", h[i]) + dense("other", h[j]) + dense("radial", r))
        m = swish(dense("message", m))
        gathered[i] += m / (1 + np.exp(-dense("gate", m))) / n
        moved[i] += (x[i] - x[j]) / (d + 1) * dense("step_1", swish(dense("step_0", m))) / n
    hidden = swish(dense("update/dense_0", np.concatenate([h, gathered], axis=1)))
    np.testing.assert_allclose(places[0], x + moved, atol=1e-12)
    np.testing.assert_allclose(features[0], h + dense("update/dense_1", hidden), atol=1e-12)
    assert np.abs(moved[:3]).min() > 1e-3


@pytest.mark.parametrize("sign", [1, -1], ids=["rotation", "reflection"])
def test_equivariant_to_rotations_reflections_and_shifts(network, points, sign):
    """Equation (2): places turn as the input's, features and the shift change nothing."""
    rng = np.random.default_rng(1)
    matrix, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    matrix *= sign * np.sign(np.linalg.det(matrix))
    with jax.enable_x64(True):
        found = np.asarray(network(points))
        turned = network(moved(points, matrix, rng.standard_normal(3)))
    np.testing.assert_allclose(turned, moved(found, matrix, 0), atol=1e-10, rtol=0)
    assert np.abs(found[..., :3]).max() > 0.05
    assert np.abs(turned - found).max() > 0.01


def test_equivariant_to_permutations(network, points):
    """Of the points that there are."""
    order = np.array([[3, 0, 5, 1, 4, 2], [2, 3, 1, 0, 4, 5]])[..., None]
    with jax.enable_x64(True):
        found = np.take_along_axis(np.asarray(network(points)), order, axis=1)
        permuted = network(np.take_along_axis(points, order, axis=1))
    np.testing.assert_allclose(permuted, found, atol=1e-10, rtol=0)


def test_rows_that_are_no_points_are_not_seen(network, points):
    """Whatever they hold, and they stay zero; points that there are matter to each other."""
    other, nearer = points.copy(), points.copy()
    other[1, 4:] += 7
    nearer[1, 3] += 0.5
    with jax.enable_x64(True):
        found, seen = np.asarray(network(points)), np.asarray(network(nearer))
        np.testing.assert_array_equal(network(other), found)
    np.testing.assert_array_equal(found[1, 4:], 0)
    assert np.abs(seen - found)[1, 0].max() > 1e-4
    np.testing.assert_array_equal(seen[0], found[0])


def test_the_gradient_is_finite_where_points_meet(network, points):
    """The distance of two has no gradient there; and none where there are no points."""
    points = points.copy()
    points[0, 1] = points[0, 0]
    with jax.enable_x64(True):
        total = quick_jit(jax.grad(lambda x: jnp.sum(network(x) ** 2)))
        gradient = total(jnp.asarray(points))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(np.asarray(gradient)[1, 4:], 0)


def test_places_alone_are_points_too():
    """As of backbones; what is no set of points in space is refused."""
    made = functional(lambda rngs: EGNN(shape=(5, 3), channels=8, depth=1, rngs=rngs))
    out = jax.eval_shape(made.apply, *made.shapes, jnp.zeros((2, 5, 3)), jnp.ones(2), None)
    assert out.shape == (2, 5, 3)
    for shape in ((4, 2), (8, 8, 3)):
        with pytest.raises(ValueError, match="this network is for points"):
            functional(lambda rngs, shape=shape: EGNN(shape=shape, rngs=rngs)).shapes  # noqa: B018
