"""Released text encoders as the tests of their components open and compare them."""

import gzip
import json
import math

import jax
import numpy as np
from filled import quick_jit

from score_sde.interop import slots
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.models.functional import functional


def opened(path):
    """(network, (parameters, constants)) of a component's folder."""
    values = folder.config(path)
    (name,) = values["architectures"]
    model, arrays = base.place(COMPONENTS[name], values, folder.arrays(path))
    return functional(lambda rngs: model), arrays


def encode(network, arrays, *args, **kwargs):
    """What a network gives, in full precision."""
    with jax.default_matmul_precision("highest"):
        return quick_jit(lambda *a: network.apply(*a, **kwargs))(*arrays, *args)


def distance(found, expected):
    """Relative L2 error."""
    expected = np.asarray(expected, np.float64)
    return np.linalg.norm(np.asarray(found, np.float64) - expected) / np.linalg.norm(expected)


def check_real_size(shared, name):
    """Every name and shape of a real model has its slot, and so many numbers are there."""
    real = shared / "golden" / "latent" / "real_configs"
    told = json.loads((real / f"{name}.json").read_text())
    shapes = json.loads(gzip.decompress((real / f"{name}.shapes.json.gz").read_bytes()))
    component = COMPONENTS[told["config"]["architectures"][0]]
    model = base.abstract(component, told["config"])
    slots.check(component.slots(model), {n: tuple(shape) for n, shape in shapes.items()})
    ours = [one for group in functional(lambda rngs: model).shapes for one in group.values()]
    assert sum(math.prod(one.shape) for one in ours) == told["parameters"]
