"""Objectives and networks of today: the gradient of a step can be taken, forward mode too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_info import image_info

from score_sde.runs import build
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow

INFO = image_info("digits", "train", 9, (8, 8, 1), 10, 17)
SIZES = {
    "unet": {"channels": 8, "channel_mult": (1,), "num_res_blocks": 1},
    "adm": {"channels": 8, "channel_mult": (1,), "num_res_blocks": 1, "attn_resolutions": (8,)},
    "edm2": {"channels": 8, "channel_mult": (1,), "num_res_blocks": 1, "attn_resolutions": (8,)},
    "dit": {"channels": 8, "depth": 2, "heads": 2},
    "uvit": {"channels": 8, "depth": 3, "heads": 2},
}
# What goes with each objective: its process, what the network gives, and the sampler.
OBJECTIVES = {
    "denoising": ("vp", "eps", "dpmpp_2m"),
    "flow_matching": ("rectified_flow", "velocity", "dpmpp_2m"),
    "mean_flow": ("rectified_flow", "velocity", "jump"),
    "shortcut": ("rectified_flow", "velocity", "jump"),
    "ect": ("edm", "edm", "jump"),
    "ict": ("edm", "edm", "jump"),
    "scm": ("trig_flow", "velocity", "jump"),
}


def experiment(objective, network):
    """One by names alone, but for the sizes."""
    config = configs.default()
    process, output, sampler = OBJECTIVES[objective]
    for path, value in {
        "data.name": "digits",
        "conditions.fields": ("label",),
        "objective.name": objective,
        "sde.name": process,
        "sde.t_max": 1.0 if objective in ("mean_flow", "shortcut") else None,
        "sampling.sampler": sampler,
        "model.name": network,
        "model.parametrization": output,
        **{f"model.{name}": size for name, size in SIZES[network].items()},
    }.items():
        configs.set_field(config, path, value)
    return build.experiment(config, INFO)


# Each network with an objective of plain calls, and with each that differentiates it forward, of
# which the mean flow tells it two times; of any network, the others ask for no more.
PAIRS = [
    (objective, network)
    for objective in OBJECTIVES
    for network in SIZES
    if network == "unet" or objective in ("denoising", "mean_flow", "scm")
]


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_a_gradient_of_an_objective_on_a_network(objective, network):
    """Abstractly: of the network's arrays, each of its own shape."""
    found = experiment(objective, network)
    batch = {
        "image": jax.ShapeDtypeStruct((2, 8, 8, 1), np.uint8),
        "label": jax.ShapeDtypeStruct((2,), np.int32),
    }
    params, constants = found.network.shapes

    def loss(params, constants, key, batch, step):
        return jnp.mean(found.loss(key, params, constants, found.fixed, batch, step))

    key = jax.eval_shape(lambda: jax.random.key(0))
    step = jax.ShapeDtypeStruct((), np.int32)
    gradient = jax.eval_shape(jax.grad(loss), params, constants, key, batch, step)
    assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)
