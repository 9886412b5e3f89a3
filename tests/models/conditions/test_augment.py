"""The numbers of an augmentation: a linear map, of which none is zero."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.models.conditions.augment import AugmentEmbedding


def test_no_augmentation_adds_nothing():
    """None, zeros and NaN; and numbers their multiples of the rows."""
    embed = AugmentEmbedding(9, 4, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(embed(None, 2, None), jnp.zeros((2, 4)))
    value = jnp.zeros((3, 9)).at[1].set(jnp.nan).at[2, 5].set(2.0)
    out = embed(value, 3, None)
    np.testing.assert_array_equal(out[:2], jnp.zeros((2, 4)))
    np.testing.assert_allclose(out[2], 2 * embed.kernel[...][5], rtol=1e-6)
    with pytest.raises(ValueError, match=r"of shape \(2, 9\); this augmentation takes \(3, 9\)"):
        embed(jnp.zeros((2, 9)), 3, None)
