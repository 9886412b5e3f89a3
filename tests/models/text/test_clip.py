"""What CLIP's text encoder sees and where its pooled vector is; numbers are in tests/interop."""

import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.functional import functional
from score_sde.models.text import CLIPText

SIZES = {"vocabulary": 9, "tokens": 6, "features": 8, "depth": 2, "heads": 2, "hidden": 16}


def made(**options):
    return functional(lambda rngs: CLIPText(**SIZES, **options, rngs=rngs))


def test_a_token_sees_those_before_it_and_pooling_is_where_the_text_ends():
    """What follows the end changes neither; the end is the largest id, or the first of one id."""
    network = made(projection=3)
    arrays = filled(network)
    ids = jnp.array([[1, 4, 8, 2, 3, 0], [1, 4, 8, 8, 0, 0]])
    encode = quick_jit(network.apply)
    a, b = np.split(np.asarray(encode(*arrays, ids).last), 2)
    np.testing.assert_array_equal(a[:, :3], b[:, :3])
    assert np.abs(a[:, 3:] - b[:, 3:]).max() > 0.1
    pooled = np.asarray(encode(*arrays, ids).pooled)
    assert pooled.shape == (2, 3)
    np.testing.assert_array_equal(pooled[0], pooled[1])
    by_id = np.asarray(quick_jit(made(end=8).apply)(*arrays_without(arrays), ids).pooled)
    np.testing.assert_allclose(by_id, [a[0, 2], b[0, 2]], rtol=1e-5)
    by_id = np.asarray(quick_jit(made(end=4).apply)(*arrays_without(arrays), ids).pooled)
    np.testing.assert_allclose(by_id, [a[0, 1], b[0, 1]], rtol=1e-5)


def arrays_without(arrays):
    """The same network, but for its projection."""
    params, constants = arrays
    return {n: array for n, array in params.items() if "projection" not in n}, constants


def test_what_cannot_be_encoded_is_said():
    """Texts that are too long, more layers skipped than there are."""
    network = made()
    arrays = filled(network)
    for ids, skip, message in (
        (jnp.zeros((1, 7), int), 0, "a text of 7 tokens is too long: this encoder takes 6"),
        (jnp.zeros((1, 6), int), 3, "clip_skip=3: this encoder has 2 layers"),
    ):
        with pytest.raises(ValueError, match=message):
            network.apply(*arrays, ids, skip=skip)
