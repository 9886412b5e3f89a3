"""What is told of neighbours in a chain: lengths, angles and turns, by NumPy and by symmetry."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.models.neighbours import Neighbours

SIZES = (6, 4)
OF = Neighbours(2, waves=3)


@pytest.fixture(scope="module")
def chains():
    """Two chains in six rows, and which rows are points."""
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype(np.float32)
    return x, np.arange(6)[None] < np.array(SIZES)[:, None]


def test_of_each_neighbour_that_there_is_and_none_beyond_the_ends(chains):
    x, there = chains
    apart, pairs = OF.apart(jnp.asarray(x), jnp.asarray(there))
    for (example, size), i, (k, step) in itertools.product(
        enumerate(SIZES), range(6), enumerate(OF.steps)
    ):
        inside = i < size and 0 <= i + step < size
        wanted = x[example, i + step] - x[example, i] if inside else np.zeros(3)
        np.testing.assert_array_equal(apart[example, i, k], wanted)
        assert pairs[example, i, k, 0] == inside
    np.testing.assert_array_equal(OF.apart(jnp.asarray(x), None)[1][1], pairs[0])


def test_equation_1_by_hand(chains):
    x, there = chains
    told, u = OF.told(*OF.apart(jnp.asarray(x), jnp.asarray(there)))
    assert told.shape == (2, 6, OF.numbers)
    a = np.stack([x[0, 2 + j] - x[0, 2] for j in (-2, -1, 1, 2)]).astype(float)
    d = np.linalg.norm(a, axis=1)
    directions = a / d[:, None]
    waves = [f(k * d) for f in (np.sin, np.cos) for k in (1, 2, 4)]
    np.testing.assert_allclose(u[0, 2], directions, rtol=1e-5)
    wanted = np.concatenate(
        [
            np.stack([d**2, *waves], axis=1).ravel(),
            [directions[j] @ directions[k] for j, k in itertools.combinations(range(4), 2)],
            [np.linalg.det(directions[j : j + 3]) for j in (0, 1)],
        ]
    )
    np.testing.assert_allclose(told[0, 2], wanted, rtol=1e-4, atol=1e-5)


def test_a_turn_changes_nothing_and_a_mirror_the_sign_of_turns(chains):
    x, there = chains
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0].astype(np.float32)
    q *= np.linalg.det(q)
    told, mirrored = (
        OF.told(*OF.apart(jnp.asarray(x @ (sign * q)), jnp.asarray(there)))[0] for sign in (1, -1)
    )
    plain = OF.told(*OF.apart(jnp.asarray(x), jnp.asarray(there)))[0]
    np.testing.assert_allclose(told, plain, atol=1e-5)
    np.testing.assert_allclose(mirrored[..., :-2], plain[..., :-2], atol=1e-5)
    np.testing.assert_allclose(mirrored[..., -2:], -plain[..., -2:], atol=1e-5)
    assert float(jnp.abs(plain[..., -2:]).max()) > 0.1


def test_points_at_one_place_have_no_infinite_gradient():
    def total(x):
        told, u = OF.told(*OF.apart(x, None))
        return told.sum() + u.sum()

    assert np.isfinite(quick_jit(jax.grad(total))(jnp.zeros((1, 5, 3)))).all()
