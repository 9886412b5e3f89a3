"""Models as pure functions: the random streams that they are made of."""

import jax
import numpy as np
from flax import nnx

from score_sde.models.functional import Maker, abstract, functional, streams
from score_sde.models.layers import Dense


def test_the_streams_have_the_keys_of_flax():
    """In the same order, whatever they are asked for, traced or not: initial values stay."""

    def drawn(make):
        rngs = make(jax.random.key(3))
        return [jax.random.key_data(key()) for key in (rngs.params, rngs.constants, rngs.params)]

    expected = np.array(drawn(nnx.Rngs))
    np.testing.assert_array_equal(drawn(streams), expected)
    np.testing.assert_array_equal(jax.jit(lambda: drawn(streams))(), expected)


def test_what_equal_makers_build_is_looked_at_once():
    """But 1, True and 1.0 are not equal: what a network is told may be refused for its type."""
    built = []

    class Counted(nnx.Module):
        def __init__(self, sizes, *, rngs):
            built.append(sizes)
            self.layers = nnx.List([Dense(2, 2, rngs=rngs) for _ in range(sizes["depth"])])

    def structure(*depths):
        return [functional(Maker(Counted, {"sizes": {"depth": depth}})).shapes for depth in depths]

    one, again, another, two = structure(1, 1, True, 2)
    assert one == again == another != two
    assert built == [{"depth": 1}, {"depth": True}, {"depth": 2}]
    copies = [abstract(Maker(Counted, {"sizes": {"depth": 1}})) for _ in range(2)]
    copies[0].layers[0].bias = None
    assert copies[1].layers[0].bias.shape == (2,)  # changing one leaves the next as it was
    assert len(built) == 3
