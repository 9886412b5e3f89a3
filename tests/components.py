"""Released components of ../shared/golden/latent: networks with their arrays, and real sizes."""

import gzip
import json
import math

import jax
import numpy as np
from flax import nnx

from score_sde.interop import slots
from score_sde.interop.components import base, folder
from score_sde.models.functional import functional


def opened(component, path):
    """A network as a pure function, its (parameters, constants), and its abstract module."""
    config, arrays = folder.config(path), folder.arrays(path)
    model, placed = base.place(component, config, arrays)
    options = component.options(config)
    return functional(lambda rngs: component.make(**options, rngs=rngs)), placed, model


def relative(found, expected):
    """The relative L2 error."""
    expected = np.asarray(expected, np.float64)
    return np.linalg.norm(np.asarray(found, np.float64) - expected) / np.linalg.norm(expected)


def nhwc(array):
    """Of NCHW."""
    return np.moveaxis(array, 1, -1)


def check_real(shared, component, name):
    """Every name and shape of a real size has its place, no array of ours has none; the count."""
    configs = shared / "golden" / "latent" / "real_configs"
    told = json.loads((configs / f"{name}.json").read_text())
    shapes = json.loads(gzip.decompress((configs / f"{name}.shapes.json.gz").read_bytes()))
    shapes = {key: tuple(shape) for key, shape in {**shapes, **told["buffers_in_file"]}.items()}
    model = base.abstract(component, told["config"])
    every = tuple(component.slots(model))
    slots.check(every, shapes)
    placed = {id(variable) for slot in every for variable in slot.variables}
    assert placed == {id(variable) for variable in variables(model)}
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sum(math.prod(leaf.shape) for leaf in params) == told["parameters"]


def variables(model):
    """All variables of a module."""
    return [v for _, v in nnx.iter_graph(model) if isinstance(v, nnx.Variable)]


def check_back(component, path):
    """What is written is what was read, bit for bit."""
    _, placed, model = opened(component, path)
    arrays = component.prepare(folder.arrays(path), folder.config(path))
    back = slots.from_params(model, component.slots(model), *placed)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], np.asarray(array, np.float32), err_msg=name)
