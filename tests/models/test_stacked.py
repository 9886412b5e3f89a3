"""Blocks in one loop: the same numbers as one after the other, and no larger a program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde.models import DiT, UViT
from score_sde.models.functional import functional
from score_sde.models.layers import Dense
from score_sde.models.stacked import Stacked


def stacked(depth=3, remat=False):
    return Stacked(lambda rngs: Dense(2, 2, rngs=rngs), depth, remat=remat, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("depth", "remat"), [(3, False), (3, True), (1, False), (1, True)])
def test_blocks_follow_one_another_with_what_is_theirs(depth, remat):
    """Block i has its own array, the i-th of xs and fold_in(key, i), and gives its own y."""
    key, xs = jax.random.key(1), 1 + jnp.arange(float(depth))

    def step(block, h, x, key):
        h = block(h) + x
        return h, (h, jax.random.uniform(key))

    def run():
        blocks = stacked(depth, remat)
        return blocks.scan(step, jnp.ones((1, 2)), key, xs), blocks.block.kernel[...]

    (h, (ys, uniform)), kernel = quick_jit(run)()
    assert (ys.shape, uniform.shape) == ((depth, 1, 2), (depth,))
    expected = jnp.ones((1, 2))
    for i in range(depth):
        expected = expected @ kernel[i] + xs[i]
        np.testing.assert_allclose(ys[i], expected, rtol=1e-5)
        np.testing.assert_allclose(uniform[i], jax.random.uniform(jax.random.fold_in(key, i)))
    np.testing.assert_allclose(h, expected, rtol=1e-5)


def test_no_two_blocks_start_alike():
    """Each is made with a key of its own, as a block by itself is."""
    kernel = np.asarray(quick_jit(lambda: stacked().block.kernel[...])())
    assert kernel.shape == (3, 2, 2)
    assert np.abs(kernel[0] - kernel[1]).min() > 0
    assert np.abs(kernel).max() <= np.sqrt(3 / 2)  # uniform of variance 1 / 2


def test_one_block_is_no_loop():
    """Where a block is made again it is one, from which XLA need not be kept to share."""
    for depth, remat, loop in ((1, False, False), (1, True, True), (3, True, True)):
        blocks = stacked(depth, remat)
        text = jax.jit(
            lambda h, blocks=blocks: blocks.scan(lambda block, h, *_: (block(h), None), h, None)
        ).lower(jnp.ones((1, 2)))
        assert ("stablehlo.while" in text.as_text()) == loop


@pytest.mark.parametrize("network", [DiT, UViT])
def test_a_deep_network_is_no_larger_a_program(network):
    """Its gradient with 25 blocks, in at most 1.01 times the text of that with 5."""
    small = {"shape": (4, 4, 1), "channels": 8, "heads": 2, "dropout": 0.1, "remat": True}

    def program(depth):
        model = functional(lambda rngs: network(**small, depth=depth, rngs=rngs))
        x, noise, key = jnp.zeros((2, 4, 4, 1)), jnp.ones(2), jax.random.key(0)
        loss = lambda p, c: (model.apply(p, c, x, noise, key=key) ** 2).sum()  # noqa: E731
        return len(str(jax.make_jaxpr(jax.grad(loss))(*model.shapes)))

    assert program(25) < 1.01 * program(5)
