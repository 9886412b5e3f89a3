"""Low-rank factors as the parameters of a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde.errors import UserError
from score_sde.models.functional import functional
from score_sde.models.layers import Constant, Conv, Dense
from score_sde.models.lora import LoRA, factors, product
from score_sde.models.stacked import Stacked


class Layers(nnx.Module):
    """A convolution, two stacked layers and a linear one, with a constant."""

    def __init__(self, rngs):
        self.conv = Conv(2, 4, rngs=rngs)
        self.blocks = Stacked(lambda rngs: Dense(4, 4, rngs=rngs), 2, remat=False, rngs=rngs)
        self.head = Dense(4, 3, rngs=rngs)
        self.shift = Constant(jnp.ones(2))

    def __call__(self, x):
        h = self.conv(x + self.shift[...].reshape(1, 1, 1, 2))
        h, _ = self.blocks.scan(lambda block, h, x, key: (jnp.tanh(block(h)), None), h, None)
        return self.head(h)


BASE = functional(Layers)
KERNELS = {
    "conv/kernel": ((3, 3, 2, 5), (5, 4)),
    "blocks/block/kernel": ((2, 4, 5), (2, 5, 4)),
    "head/kernel": ((4, 5), (5, 3)),
}


def test_it_begins_as_the_network_and_only_factors_are_its_parameters():
    """Bit for bit, with the arrays of the network among its constants; of the shapes it says."""
    network = LoRA(rank=5, alpha=2.0).adapted(BASE)
    key, x = jax.random.key(1), jax.random.normal(jax.random.key(2), (1, 4, 4, 2))
    begin = quick_jit(lambda key: (network.init(key), BASE.init(key)))
    (params, constants), before = begin(key)
    assert constants.keys() == before[0].keys() | before[1].keys()
    for path, array in (before[0] | before[1]).items():
        np.testing.assert_array_equal(constants[path], array)
    np.testing.assert_array_equal(network.apply(params, constants, x), BASE.apply(*before, x))
    shapes = {path: (down.shape, up.shape) for path, (down, up) in factors(params).items()}
    assert shapes == KERNELS
    for found, said in zip((params, constants), network.shapes, strict=True):
        assert {path: (a.shape, a.dtype) for path, a in found.items()} == {
            path: (a.shape, a.dtype) for path, a in said.items()
        }
    down = factors(params)["conv/kernel"][0]
    assert abs(float(jnp.std(down)) - (1 / 18) ** 0.5) < 4 * (1 / 18) ** 0.5 / (2 * 90) ** 0.5


def test_weights_are_those_of_the_equation():
    """W + (alpha / rank) down up of each layer of a stack, and of each tap of a convolution."""
    lora = LoRA(rank=5, alpha=2.0)
    network = lora.adapted(BASE)
    params, constants = filled(network)
    merged = lora.merged(params, {path: constants[path] for path in BASE.shapes[0]})
    for path, w in merged.items():
        if path not in KERNELS:
            assert w is constants[path]
            continue
        down, up = (np.asarray(a, np.float64) for a in factors(params)[path])
        letters = "bir,bro->bio" if "block" in path else "...r,ro->...o"
        expected = np.asarray(constants[path]) + 2 / 5 * np.einsum(letters, down, up)
        np.testing.assert_allclose(w, expected, atol=2e-6)
    x = jnp.ones((1, 4, 4, 2))
    rest = {"shift": constants["shift"]}
    np.testing.assert_allclose(
        network.apply(params, constants, x), BASE.apply(merged, rest, x), atol=1e-6
    )


def test_layers_are_chosen_by_patterns():
    """Of those whose path matches one; with none there is nothing to train."""
    found = LoRA(rank=1, layers=("conv", "*block")).adapted(BASE).shapes[0]
    assert {path.split("/")[1] for path in found} == {"conv", "blocks"}
    assert LoRA().adapted(BASE) is BASE
    with pytest.raises(ValueError, match=r"layers=\('odd',\) are none of the network's, such as"):
        LoRA(rank=1, layers=("odd",)).adapted(BASE)
    with pytest.raises(UserError, match=r"config\.training\.lora\.rank"):
        LoRA(rank=-1)


def test_a_product_is_of_the_shape_of_its_kernel():
    assert product(jnp.ones((2, 3, 3, 4, 5)), jnp.ones((2, 5, 6))).shape == (2, 3, 3, 4, 6)
