"""DINOv2's image encoders against the formula, from files that have the released names."""

import components
import jax
import numpy as np
import pytest
from vision import DINOV2, GATED, arrays_of_dinov2, class_token, saved

from score_sde.interop.components import COMPONENTS
from score_sde.interop.components.dinov2 import options

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("config", [DINOV2, GATED], ids=["plain", "gated, with registers"])
def test_the_image_encoder_is_the_formula(config, tmp_path):
    """Of images of another size: fewer rows of patches than positions are for, more columns."""
    given = saved(tmp_path / "model", config, arrays_of_dinov2(config))
    component = COMPONENTS[config["architectures"][0]]
    network, placed, _ = components.opened(component, tmp_path / "model")
    images = np.random.default_rng(1).normal(size=(2, 8, 20, 3)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        found = jax.jit(network.apply)(*placed, images)
    assert components.relative(found, [class_token(given, one) for one in images]) < 2e-6
    with pytest.raises(ValueError, match="width 9 is no multiple of the patch"):
        network.apply(*placed, images[:, :, :9])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 15}, "no multiple of num_attention_heads"),
        ({"num_channels": 1}, "an image here has 3"),
        ({"use_swiglu_ffn": "yes"}, "must be true or false"),
        ({"hidden_act": "relu"}, "is not known here"),
        ({"mlp_ratio": 0}, "must be a number above 0"),
    ],
)
def test_what_is_not_known_is_said(change, said):
    """By the name of the value."""
    with pytest.raises(ValueError, match=said):
        options(DINOV2 | change, registers=False)
