"""The transformer of tokens: what it looks at, and that it is the network of LLaDA at its size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde import fields
from score_sde.models import TokenTransformer
from score_sde.models.conditions import Label
from score_sde.models.functional import Maker, functional
from score_sde.processes import MASK

pytestmark = pytest.mark.slow

SMALL = {"shape": (6,), "vocabulary": 5, "channels": 16, "depth": 2, "heads": 2}


def made(**options):
    """A network, as a function of tokens and the rest, and its arrays."""
    network = functional(Maker(TokenTransformer, {**SMALL, **options}))
    arrays = jax.jit(network.init)(jax.random.key(0))
    return jax.jit(functools.partial(network.apply, *arrays)), arrays[0]


@pytest.fixture(scope="module")
def small():
    return made()


X = jnp.array([[0, 4, MASK, 2, MASK, 1]])
T = jnp.ones(1)


def test_every_token_sees_every_other(small):
    """A change of one token changes the logits of all; where they stand matters too."""
    network, params = small
    out = network(X, T)
    assert out.shape == (1, 6, 5)
    assert out.dtype == jnp.float32
    for x in (X.at[0, 5].set(3), X.at[0, 0].set(MASK)):
        assert (np.abs(network(x, T) - out).max(axis=(0, 2)) > 1e-6).all()
    assert (np.abs(network(X[:, ::-1], T)[:, ::-1] - out).max(axis=(0, 2)) > 1e-6).all()
    assert params["table"].shape == (6, 16)
    np.testing.assert_array_equal(network(X, 0 * T), out)  # it is not told the time


def test_positions_are_relative(small):
    """Where all tokens are one, no place differs: a rotation does not move what is the same."""
    same = small[0](jnp.full((1, 6), 3), T)
    np.testing.assert_allclose(same, jnp.broadcast_to(same[:, :1], same.shape), atol=2e-6)


def test_a_modulated_block_is_told_the_noise_level_and_begins_as_nothing():
    """What modulates is zero at first, so that each block adds nothing."""
    network, params = made(timed=True, modulated=4)
    assert params["blocks/block/modulation/kernel"].shape == (2, 4, 96)
    np.testing.assert_allclose(network(X, 5 * T), network(X, T), atol=1e-4)  # it begins at 1e-10
    other = {name: np.float32(array) + np.float32(0.1) for name, array in params.items()}
    model = functional(Maker(TokenTransformer, {**SMALL, "timed": True, "modulated": 4}))
    called = quick_jit(model.apply)
    out = [called(other, {}, X, label * T) for label in (0.5, 5.0)]
    assert (np.abs(out[1] - out[0]).max(axis=(0, 2)) > 1e-4).all()
    with pytest.raises(ValueError, match="modulated=4 is of a network that is told a time"):
        made(modulated=4)


def test_places_tell_apart_what_is_masked():
    """With `absolute`, where all tokens are one."""
    network, params = made(absolute=True)
    out = network(jnp.full((1, 6), MASK), T)
    assert params["places"].shape == (6, 16)
    assert (np.abs(out - out[:, :1]).max(axis=(0, 2))[1:] > 1e-4).all()


def test_tokens_that_there_are_not(small):
    """Are no numbers, and none of the mask."""
    assert np.isnan(small[0](X.at[0, 0].set(6), T)).all()


def test_it_can_be_told():
    """The time, and a condition, each by its own embedding."""
    label = functools.partial(Label().embedding, fields.label(3))
    network, _ = made(timed=True, conditions={"label": label}, depth=1)
    out = network(X, T, {"label": jnp.array([1])})
    for t, told in (
        (500 * T, {"label": jnp.array([1])}),
        (T, {"label": jnp.array([2])}),
        (T, None),
    ):
        assert np.abs(network(X, t, told) - out).max() > 1e-6


def test_the_parameters_of_llada():
    """8,015,581,184, of which no array is made; arXiv 2502.09992, Table 1 and its released file."""
    options = {"shape": (4096,), "vocabulary": 126_336, "channels": 4096, "depth": 32, "heads": 32}
    options |= {"rows": 126_464, "mlp_ratio": 4.5}
    network = functional(Maker(TokenTransformer, options))
    assert sum(array.size for array in network.shapes[0].values()) == 8_015_581_184


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": (2, 3)}, "is for tokens"),
        ({"heads": 3}, "must be a multiple of 2 heads=6"),
        ({"rows": 5}, "and the mask have more"),
    ],
)
def test_what_cannot_be(options, said):
    with pytest.raises(ValueError, match=said):
        made(**options)
