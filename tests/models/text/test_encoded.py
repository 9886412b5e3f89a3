"""What encoders of texts have in common."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.models.functional import functional
from score_sde.models.text import CLIPText, T5Encoder
from score_sde.models.text.encoded import TokenTable


def test_an_id_beyond_the_table_is_not_a_number():
    """So that a tokeniser of another encoder is seen."""
    table = TokenTable(3, 2, std=1.0, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(np.isnan(table(jnp.array([2, 3, -1]))[:, 0]), [0, 1, 1])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize("kind", [CLIPText, T5Encoder])
def test_the_computation_has_a_dtype_of_its_own(x64, kind, dtype):
    """Of the states and of what is made of them, whatever that of the parameters is."""
    sizes = {"vocabulary": 9, "features": 8, "depth": 2, "heads": 2, "hidden": 16}
    network = functional(lambda rngs: kind(**sizes, dtype=dtype, rngs=rngs))
    out = jax.eval_shape(network.apply, *network.shapes, jnp.zeros((3, 5), int))
    assert out.states.shape == (3, 3, 5, 8)
    assert {one.dtype for one in out if one is not None} == {jnp.dtype(dtype)}
