"""Pipelines in the layout of released ones whose U-Net is of one level and of random numbers.

What compiles long in a U-Net is its depth, which tests have no need of that compare no numbers.
"""

import json
import math
import shutil

import numpy as np

from score_sde.formats import safetensors
from score_sde.interop.components import COMPONENTS, base, motion

ONE_LEVEL = {
    "block_out_channels": [8],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
    "layers_per_block": 1,
}


def pipeline(source, target, unet=None):
    """A copy of the pipeline in a folder, with one level of its U-Net, or of that in `unet`."""
    copy = {"copy_function": shutil.copyfile, "ignore": shutil.ignore_patterns("unet")}
    shutil.copytree(source, target, **copy)
    for folder in (target, *filter(lambda path: path.is_dir(), target.rglob("*"))):
        folder.chmod(0o755)
    config = json.loads(((unet or source / "unet") / "config.json").read_text())
    deep = len(config["block_out_channels"])
    each = {n: v[:1] for n, v in config.items() if isinstance(v, list) and len(v) == deep}
    config |= each | ONE_LEVEL
    _write(target / "unet", config, _random(COMPONENTS[config["_class_name"]], config))
    return target


def motion_adapter(source, target, unet):
    """As the adapter in a folder, for such a U-Net, that in `unet`."""
    config = json.loads((source / "config.json").read_text())
    config |= {"block_out_channels": [8], "motion_layers_per_block": 1}
    joint = motion.joined(json.loads((unet / "config.json").read_text()), config)
    arrays = _random(motion.COMPONENT, joint)
    _write(target, config, {name: a for name, a in arrays.items() if "motion_modules" in name})
    return target


def steering(source, target):
    """As the ControlNet or the T2I-adapter in a folder, for such a U-Net."""
    config = json.loads((source / "config.json").read_text())
    few = ONE_LEVEL | {"channels": [8], "num_res_blocks": 1}
    config |= {name: value for name, value in few.items() if name in config}
    _write(target, config, _random(COMPONENTS[config["_class_name"]], config))
    return target


def image_prompt(arrays):
    """As the IP-Adapter of these arrays, for the four attentions of such a U-Net to its text."""
    widths = {f"{2 * i + 1}.to_{to}_ip.weight": 8 for i in range(4) for to in "kv"}
    layers = {f"ip_adapter.{name}": arrays[f"ip_adapter.{name}"][:n] for name, n in widths.items()}
    return {name: a for name, a in arrays.items() if "image_proj" in name} | layers


def _random(component, config):
    """Numbers that keep the size of what they multiply, by the released names."""
    rng, slots = np.random.default_rng(0), component.slots(base.abstract(component, config))
    shapes = {name: shape for slot in slots for name, shape in slot.shapes.items()}
    return {name: _numbers(rng, name, shape) for name, shape in shapes.items()}


def _numbers(rng, name, shape):
    numbers = rng.standard_normal(shape, np.float32)
    if len(shape) > 1:
        return numbers / np.float32(math.prod(shape[1:]) ** 0.5)
    return np.float32(name.endswith("weight")) + numbers / 10


def _write(folder, config, arrays):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.save(folder / "diffusion_pytorch_model.safetensors", arrays, {})
