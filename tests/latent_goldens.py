"""The components of ../shared/golden/latent: as networks of ours, and what they are to give."""

import functools

import jax
import numpy as np
from filled import quick_jit

from score_sde.interop.components import COMPONENTS, folder
from score_sde.interop.components.base import place
from score_sde.models.functional import functional

# What the released networks are called with, and what ours are told.
NAMES = {
    "encoder_hidden_states": "text",
    "text_embeds": "pooled",
    "time_ids": "sizes",
    "class_labels": "label",
    "timestep_cond": "guidance",
}


@functools.cache
def network(path):
    """(apply, parameters, constants) of the component in a folder, in float32."""
    config = folder.config(path)
    model, arrays = place(COMPONENTS[config["_class_name"]], config, folder.arrays(path))
    return functional(lambda rngs: model).apply, *arrays


def compiled(path, call):
    """A function of `call(network, *args)`, compiled soon, with the most precise products."""
    apply, params, constants = network(path)

    def run(params, *args):
        with jax.default_matmul_precision("highest"):
            return call(functools.partial(apply, params, constants), *args)

    return functools.partial(quick_jit(run), params)


def golden(shared, name, prefix=""):
    """Arrays of a file that begin with the prefix, without it; images as NHWC."""
    with np.load(shared / "golden" / "latent" / "golden" / f"{name}.npz") as file:
        return {k.removeprefix(prefix): nhwc(file[k]) for k in file if k.startswith(prefix)}


def nhwc(array):
    """Images of PyTorch's order as ours; other arrays as they are."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def told(case):
    """(x, noise label, cond) of a call of a U-Net; channels beside the latents are "concat"."""
    cond = {NAMES[k]: v for k, v in case.items() if k in NAMES}
    x = case["sample"]
    if x.shape[-1] > 4:
        x, cond["concat"] = x[..., :4], x[..., 4:]
    return x, np.broadcast_to(case["timestep"], len(x)).astype(np.float32), cond


def error(ours, theirs):
    """Relative L2 error."""
    return np.linalg.norm(np.asarray(ours, np.float64) - theirs) / np.linalg.norm(theirs)
