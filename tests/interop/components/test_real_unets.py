"""The real U-Nets, autoencoders and ControlNets: every array has its place, none is made."""

import gzip
import json

import numpy as np
import pytest

from score_sde.interop import slots
from score_sde.interop.components import COMPONENTS
from score_sde.interop.components.base import abstract
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

UNETS = ("sd15", "sd15_inpainting", "sd21", "sdxl_base", "sdxl_refiner", "x4_upscaler")
NAMES = (
    *(f"{name}_unet" for name in UNETS),
    *(f"{name}_vae" for name in ("sd15", "sdxl", "sd3", "flux")),
    *(f"controlnet_{name}" for name in ("sd15", "sdxl")),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_the_number_of_parameters(shared, name):
    """Those of the released file."""
    real = shared / "golden" / "latent" / "real_configs"
    said = json.loads((real / f"{name}.json").read_text())
    shapes = json.loads(gzip.decompress((real / f"{name}.shapes.json.gz").read_bytes()))
    component = COMPONENTS[said["config"]["_class_name"]]
    model = abstract(component, said["config"])
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    prepared = component.prepare(arrays, said["config"])
    slots.check(component.slots(model), {key: array.shape for key, array in prepared.items()})
    params, constants = functional(lambda rngs: model).shapes
    assert not constants
    assert sum(array.size for array in params.values()) == said["parameters"]
