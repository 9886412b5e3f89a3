"""Networks of guided- and improved-diffusion say by their shapes what they are made of."""

import numpy as np
import pytest
from flax import nnx

from score_sde.interop import adm_family, adm_shapes, guided_diffusion
from score_sde.interop.released import Released
from score_sde.models import ADM, ADMClassifier
from score_sde.models.functional import streams

pytestmark = pytest.mark.slow

GUIDED = {
    "model_channels": 256,
    "num_res_blocks": 2,
    "attention_resolutions": [32, 16, 8],
    "use_scale_shift_norm": True,
    "resblock_updown": True,
    "num_head_channels": 64,
    "in_channels": 3,
    "out_channels": 6,
}
IMPROVED = {**GUIDED, "resblock_updown": False, "num_head_channels": -1, "num_heads": 4}
# By the names of files, the options that they were published with.
PUBLISHED = {
    "64x64_diffusion": {
        **GUIDED,
        "image_size": 64,
        "model_channels": 192,
        "num_res_blocks": 3,
        "channel_mult": (1, 2, 3, 4),
        "attention_resolutions": [2, 4, 8],
        "dropout": 0.1,
        "use_new_attention_order": True,
    },
    "128x128_diffusion": {
        **GUIDED,
        "image_size": 128,
        "channel_mult": (1, 1, 2, 3, 4),
        "attention_resolutions": [4, 8, 16],
        "num_head_channels": -1,
        "num_heads": 4,
    },
    "512x512_diffusion": {
        **GUIDED,
        "image_size": 512,
        "channel_mult": (0.5, 1, 1, 2, 2, 4, 4),
        "attention_resolutions": [16, 32, 64],
    },
    "cifar10_uncond_50M_500K": {
        **IMPROVED,
        "image_size": 32,
        "model_channels": 128,
        "num_res_blocks": 3,
        "channel_mult": (1, 2, 2, 2),
        "attention_resolutions": [2, 4],
        "dropout": 0.3,
    },
    "lsun_uncond_100M_1200K_bs128": {
        **IMPROVED,
        "image_size": 256,
        "model_channels": 128,
        "channel_mult": (1, 1, 2, 2, 4, 4),
        "attention_resolutions": [16],
        "use_scale_shift_norm": False,
        "num_heads": 1,
    },
}
CLASSIFIERS = {
    "64x64_classifier": {"image_size": 64, "num_res_blocks": 4, "channel_mult": (1, 2, 3, 4)},
    "128x128_classifier": {"image_size": 128, "channel_mult": (1, 1, 2, 3, 4)},
    "512x512_classifier": {"image_size": 512, "channel_mult": (0.5, 1, 1, 2, 2, 4, 4)},
}


def released(name, arguments):
    """A file of this name, whose arrays take no memory, and the options of its network."""
    options = guided_diffusion.fields(arguments)
    network = {"adm": ADM, "adm_classifier": ADMClassifier}[options.pop("name")]
    order = options.pop("order")
    classes = options.pop("classes")
    more = {"classes": classes} if network is ADMClassifier else {}
    model = nnx.eval_shape(lambda: network(**options, **more, rngs=streams(0)))
    places = guided_diffusion.slots(model, order)
    arrays = {
        name: np.broadcast_to(np.float32(0), shape)
        for slot in places
        for name, shape in slot.shapes.items()
    }
    family = "improved_diffusion" if "uncond_" in name else "guided_diffusion"
    family += "_classifier" if more else ""
    return Released("", family, arrays, None), options | {"order": order, "classes": classes}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name, tmp_path):
    """All their options, what leaves no trace by the name of the file."""
    found, options = released(name, PUBLISHED[name])
    known, _ = adm_family._options(Released(tmp_path / f"{name}.pt", found.family, found.ema, None))
    assert known.pop("name") == "adm"
    assert known == options


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_published_classifiers(name):
    """Without a decoder, which would tell the number of blocks."""
    usual = {**GUIDED, "model_channels": 128, "out_channels": 1000, "pool": "attention"}
    arguments = {**usual, **CLASSIFIERS[name]}
    arguments["attention_resolutions"] = [arguments["image_size"] // n for n in (32, 16, 8)]
    found = adm_shapes.describe(released(name, arguments)[0].arrays)
    assert found == {key: arguments[key] for key in found}


def test_an_encoder_that_no_number_of_blocks_fits(shared):
    """Of one whose first block is wider than the others of its size."""
    arguments = {**GUIDED, "model_channels": 32, "channel_mult": (1, 1), "image_size": 16}
    arguments |= {"attention_resolutions": [2], "pool": "attention", "out_channels": 5}
    arrays = dict(released("a", arguments)[0].arrays)
    arrays["input_blocks.1.0.in_layers.2.weight"] = np.zeros((64, 32, 3, 3), np.float32)
    with pytest.raises(ValueError, match="no number of blocks at each size fits its encoder"):
        adm_shapes.describe(arrays)
