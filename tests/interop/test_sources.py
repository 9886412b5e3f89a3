"""Where components come from, of more than one folder."""

from types import SimpleNamespace

import numpy as np
import pytest

from score_sde.formats import safetensors
from score_sde.interop.sources import Moving


def test_an_adapter_of_motion_replaces_no_array_of_the_network(tmp_path):
    images = SimpleNamespace(arrays=lambda name: {"conv_in.bias": np.zeros(2, np.float32)})
    for name, collides in (("motion", False), ("conv_in", True)):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "diffusion_pytorch_model.safetensors"
        safetensors.save(file, {f"{name}.bias": np.ones(2, np.float32)}, {})
        source = Moving(images, tmp_path / name)
        if not collides:
            assert sorted(source.arrays("unet")) == ["conv_in.bias", "motion.bias"]
            continue
        with pytest.raises(ValueError, match=r"--motion=.* has conv_in\.bias, which the U-Net"):
            source.arrays("unet")
