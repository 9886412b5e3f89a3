"""What a GPU is given of a sampler: one loop over its steps, and no word to the host in it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers

VP = score_sde.VP()
OPTIONS = {
    "ddim": {"eta": 1.0},
    "dpmpp_2m": {},
    "heun": {},
    "predictor_corrector": {"corrector": "langevin", "snr": 0.1},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_all_steps_are_one_loop(name):
    """Whose first and last step are told as it runs, so that pieces of it are one program."""
    denoise = analytic.gaussian_mixture(VP, np.array([[-1.0], [1.0]]), np.full(2, 0.25), np.ones(2))
    sampler = samplers.get(name, steps=50, **OPTIONS[name])

    def advance(key, state, first, last):
        return sampler.advance(key, state, denoise, VP, first, last, None)

    key, numbers = jax.random.key(0), (jnp.int32(3), jnp.int32(17))
    state = jax.eval_shape(lambda: sampler.begin(key, VP, shape=(4, 1)))
    step = jax.jit(advance, donate_argnums=1).trace(key, state, *numbers)
    text = step.lower(lowering_platforms=("cuda",)).as_text()
    # A corrector has a loop over its own steps, in that of the sampler.
    assert len(re.findall(r"stablehlo\.while", text)) == 1 + (name == "predictor_corrector")
    assert not re.findall(r"custom_call|infeed|outfeed|stablehlo\.(?:send|recv)", text)
    given = {leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim}
    assert text.count("tf.aliasing_output") >= len(given)
