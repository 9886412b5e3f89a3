"""The table of released weights has the real sizes: networks as released, built without arrays.

Those that the developers' folder counted are in test_catalogue.py.
"""

import functools

import jax
import pytest
from flax import nnx

from score_sde.data.base import Info
from score_sde.interop import proposal
from score_sde.interop.catalogue import CATALOGUE
from score_sde.interop.components import base, dinov2, mdlm, oobleck, t2i_adapter
from score_sde.models import functional
from score_sde.models.ncsn import NCSN, NCSNv2
from score_sde.runs import build

pytestmark = pytest.mark.slow


def counted(module):
    return sum(array.size for array in jax.tree.leaves(nnx.state(module, nnx.Param)))


def component(made, **config):
    """By what its config.json says, where that is not usual."""
    return counted(base.abstract(made, config))


def alone(network):
    """Of 32x32 colour images."""
    made = functools.partial(network, shape=(32, 32, 3))
    return counted(functional.abstract(lambda rngs: made(rngs=rngs)))


def run(network, shape, classes, values, **model):
    """By a config with these values, and these in its section `model`."""
    values = proposal.data(shape, classes) | values
    values |= {f"model.{name}": value for name, value in model.items()}
    config = proposal.config(network, values)
    fields = proposal.described(shape, classes)
    return build.experiment(config, Info(config.data.name, "train", 0, fields)).parameters


LATENT, PHOTO = (32, 32, 4), (256, 256, 3)
DDPM = {"sde.name": "ddpm", "model.parametrization": "eps", "model.noise_label": "time"}
LEARNED = DDPM | proposal.learned_variance(True)
DROPPED = {"conditions.label.dropout": 0.1}  # so that a row means no class
VELOCITY = {
    "sde.name": "rectified_flow",
    "model.parametrization": "velocity",
    "model.noise_label": "time",
    "objective.name": "flow_matching",
}
CLASSIFYING = {
    "sde.name": "ddpm",
    "conditions.fields": (),
    "objective.name": "classification",
    "objective.classification.noise_label": "time",
    "model.noise_label": "time",
}
VIT_L = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
ADM = {
    "channel_mult": (1, 1, 2, 2, 4, 4),
    "num_res_blocks": 2,
    "attn_resolutions": (32, 16, 8),
    "head_channels": 64,
    "resblock_resample": True,
    "group_size": 1,
}
IMPROVED = {
    "channels": 128,
    "channel_mult": (1, 2, 2, 2),
    "num_res_blocks": 3,
    "attn_resolutions": (16, 8),
    "heads": 4,
    "resblock_resample": False,
    "group_size": 1,
}
COUNTED = {
    "NCSN, CIFAR-10 and others": lambda: alone(NCSN),
    "NCSNv2, CIFAR-10 and others": lambda: alone(NCSNv2),
    "DiT-XL/2, ImageNet 256x256": lambda: run("dit", LATENT, 1000, LEARNED | DROPPED, size="XL/2"),
    "SiT-XL/2, ImageNet 256x256": lambda: run("dit", LATENT, 1000, VELOCITY | DROPPED, size="XL/2"),
    "U-ViT": lambda: run("uvit", LATENT, 1000, DDPM | DROPPED, size="H/2", final_conv=False),
    # Theirs has no row that means no class.
    "guided-diffusion (ADM)": lambda: (
        run("adm", PHOTO, 1000, LEARNED, channels=256, **ADM) - 4 * 256
    ),
    "guided-diffusion, classifiers": lambda: run(
        "adm_classifier", PHOTO, 1000, CLASSIFYING, channels=128, **ADM
    ),
    "improved-diffusion": lambda: run("adm", (32, 32, 3), 0, LEARNED, **IMPROVED),
    "Stable Audio Open 1.0, its autoencoder": lambda: component(oobleck.COMPONENT),
    "MDLM, OpenWebText": lambda: component(mdlm.COMPONENT),
    "T2I-Adapter": lambda: component(t2i_adapter.COMPONENT),
    "DINOv2, ViT-L/14 and others": lambda: component(dinov2.DINOV2, image_size=518, **VIT_L),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_size_is_that_of_the_network(name):
    """To the parameter."""
    (one,) = (one for one in CATALOGUE if one.name == name)
    assert one.parameters == COUNTED[name]()
