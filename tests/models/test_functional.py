"""Models as pure functions: the random streams that they are made of."""

import jax
import numpy as np
from flax import nnx

from score_sde.models.functional import streams


def test_the_streams_have_the_keys_of_flax():
    """In the same order, whatever they are asked for, traced or not: initial values stay."""

    def drawn(make):
        rngs = make(jax.random.key(3))
        return [jax.random.key_data(key()) for key in (rngs.params, rngs.constants, rngs.params)]

    expected = np.array(drawn(nnx.Rngs))
    np.testing.assert_array_equal(drawn(streams), expected)
    np.testing.assert_array_equal(jax.jit(lambda: drawn(streams))(), expected)
