"""Clipping by the norm of all arrays: optax's numbers, by one factor."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.training.clipping import clip_by_global_norm, global_norm

TREE = {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(4), "large": jnp.ones((200, 100))}


def test_the_norm_is_that_of_all_numbers():
    assert float(global_norm(TREE)) == pytest.approx(np.sqrt(55 + 4 + 20_000), rel=1e-6)
    # Squares of float16 end at 65,504, and sums of bfloat16 at 256 times the largest of them.
    assert float(global_norm([jnp.full(400, 300.0, jnp.float16)])) == 6000
    assert float(global_norm([jnp.ones(10_000, jnp.bfloat16)])) == 100


@pytest.mark.parametrize("most", [1.0, 1e3])
def test_what_is_longer_is_scaled_and_nothing_else(most):
    clip, reference = clip_by_global_norm(most), optax.clip_by_global_norm(most)
    assert jax.tree.structure(clip.init(TREE)) == jax.tree.structure(reference.init(TREE))
    updates, _ = clip.update(TREE, clip.init(TREE))
    expected, _ = reference.update(TREE, reference.init(TREE))
    for name, array in updates.items():
        if most == 1e3:
            np.testing.assert_array_equal(array, TREE[name])
        np.testing.assert_allclose(array, expected[name], rtol=1e-6, err_msg=name)


def test_a_gradient_of_zeros_stays():
    updates, _ = clip_by_global_norm(1.0).update({"a": jnp.zeros(3)}, optax.EmptyState())
    np.testing.assert_array_equal(updates["a"], 0)
