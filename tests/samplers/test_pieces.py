"""A sampler that is advanced in pieces gives what a call gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampler_oracles import mixture

import score_sde
from score_sde import samplers

pytestmark = pytest.mark.slow

VP, KEY, STEPS = score_sde.VP(), jax.random.key(3), 200


@pytest.mark.parametrize(
    ("dtype", "order"), [(jnp.float32, "corrector_first"), (jnp.float64, "predictor_first")]
)
def test_pieces_of_any_size_are_one_call(x64, dtype, order):
    """To the last bit where one compiled function takes all; against a call's to rounding."""
    sampler = samplers.get("predictor_corrector", steps=STEPS, order=order)
    x_init = VP.prior_sample(KEY, (8, 2), dtype)

    @jax.jit
    def advance(state, first, last):
        return sampler.advance(KEY, state, mixture(VP), VP, first, last)

    def in_pieces(*ends):
        state, done = sampler.begin(KEY, VP, x_init=x_init), 0
        for end in ends:
            state, done = advance(state, done, end), end
        return sampler.finish(state)

    assert sampler.pieces(VP) == STEPS
    whole, pieces = in_pieces(STEPS), in_pieces(0, 1, 5, 77, STEPS)
    np.testing.assert_array_equal(whole.x, pieces.x)
    assert whole.x.dtype == dtype
    call = jax.jit(lambda x: sampler(KEY, mixture(VP), VP, x_init=x))(x_init)
    np.testing.assert_allclose(call.x, pieces.x, rtol=1e-3 if dtype == jnp.float32 else 1e-9)
    assert call.nfe == pieces.nfe == 2 * STEPS - (order == "predictor_first")
