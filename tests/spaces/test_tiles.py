"""A decoder that is applied tile by tile."""

import jax
import numpy as np
import pytest

from score_sde.spaces.tiles import tiled

pytestmark = pytest.mark.slow

SIDE = 16  # whose eighth is 2 latents


def local(reach):
    """Doubles the sides; a pixel is of the latents so near to its own, and 0 is beyond an image."""

    def decode(z):
        z = jax.nn.relu(z.repeat(2, axis=1).repeat(2, axis=2))
        size = 4 * reach + 1
        window = (1, size, size, 1)
        return jax.lax.reduce_window(z, 0.0, jax.lax.add, window, (1, 1, 1, 1), "SAME")

    return decode


@pytest.mark.parametrize("shape", [(16, 16), (17, 16), (40, 23), (12, 60), (33, 33)])
def test_tiles_of_a_local_decoder_are_exact(shape):
    """Of one that sees an eighth of a tile's side; one that sees more is not."""
    z = jax.random.normal(jax.random.key(0), (2, *shape, 3))
    whole = np.asarray(local(2)(z))
    found = np.asarray(jax.jit(lambda z: tiled(local(2), z, SIDE, 2))(z))
    assert found.shape == (2, 2 * shape[0], 2 * shape[1], 3)
    np.testing.assert_allclose(found, whole, atol=2e-4)  # of sums of about 40
    if max(shape) > SIDE:
        farther = tiled(local(4), z, SIDE, 2) - local(4)(z)
        assert np.abs(farther).max() > 0.1


def test_a_state_no_larger_than_a_tile_is_decoded_at_once():
    """As it is without tiles, bit for bit."""
    z = jax.random.normal(jax.random.key(0), (1, 16, 9, 1))
    np.testing.assert_array_equal(tiled(local(4), z, SIDE, 2), local(4)(z))
