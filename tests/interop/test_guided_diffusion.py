"""Networks of guided-diffusion and improved-diffusion give their numbers under their own names."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde import fields, models
from score_sde.formats import torch_file
from score_sde.interop import guided_diffusion, slots
from score_sde.models.conditions import Label
from score_sde.models.functional import functional, streams

pytestmark = pytest.mark.slow

FILES = ("modern/adm_cond", "modern/adm_uncond_newattn", "modern/adm_classifier")
FILES += ("checkpoints/improved_cond",)


def golden(shared, name):
    """Arguments, arrays of the network, and the others."""
    path = shared / "golden" / name
    arguments = json.loads(path.with_suffix(".json").read_text())["constructor"]
    arrays = dict(np.load(path.with_suffix(".npz")))
    if path.with_suffix(".pt").exists():
        return arguments, torch_file.load(path.with_suffix(".pt")), arrays
    state = {k.removeprefix("state/"): a for k, a in arrays.items() if k.startswith("state/")}
    return arguments, state, arrays


@pytest.mark.parametrize("name", FILES)
def test_output_of_each_network(shared, name):
    """To 1e-5, a gradient of log p(y | x) to 1e-4; each array goes back to where it was."""
    arguments, state, arrays = golden(shared, name)
    arguments.setdefault("image_size", 16)  # improved-diffusion has no such argument
    options = guided_diffusion.fields(arguments)
    network, order = models.NETWORKS[options.pop("name")], options.pop("order")
    if classifies := network is models.ADMClassifier:
        make = lambda rngs: network(**options, rngs=rngs)  # noqa: E731
    else:
        classes = options.pop("classes")
        told = {"label": functools.partial(Label().embedding, fields.label(classes))}
        options["conditions"] = told if classes else {}
        make = lambda rngs: network(**options, rngs=rngs)  # noqa: E731
    abstract, model = nnx.eval_shape(lambda: make(streams(0))), functional(make)
    places = list(guided_diffusion.slots(abstract, order))
    params, constants = slots.to_params(abstract, places, state)
    assert params.keys() == model.shapes[0].keys()
    back = slots.from_params(abstract, places, params, constants)
    assert back.keys() == state.keys()
    assert all((back[k] == state[k]).all() for k in state)

    x, t = jnp.asarray(arrays["x_nchw"].transpose(0, 2, 3, 1)), jnp.asarray(arrays["t"])
    if not classifies:
        cond = {"label": jnp.asarray(arrays["y"], jnp.int32)} if "y" in arrays else None
        out = quick_jit(model.apply)(params, constants, x, t, cond)
        assert distance(out, arrays["y_out"].transpose(0, 2, 3, 1)) < 1e-5
        return

    def chosen(x):
        logits = model.apply(params, constants, x, t)
        log_probs = jax.nn.log_softmax(logits)
        return log_probs[jnp.arange(len(x)), arrays["labels"]].sum(), logits

    gradient, logits = quick_jit(jax.grad(chosen, has_aux=True))(x)
    assert distance(logits, arrays["y_logits"]) < 1e-5
    assert distance(gradient, arrays["y_grad_logp"].transpose(0, 2, 3, 1)) < 1e-4


def distance(found, expected):
    """The relative error of the worst example."""
    pairs = zip(np.asarray(found), expected, strict=True)
    return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs)
