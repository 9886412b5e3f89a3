"""EDM2's network under its own names gives its numbers, also after a step's normalisation."""

import functools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde import fields, models
from score_sde.interop import edm2, slots
from score_sde.models.conditions import Label, Make
from score_sde.models.functional import functional, streams
from score_sde.prediction import PredictionOptions
from score_sde.processes import EDM

pytestmark = pytest.mark.slow

FORCED = "unet.enc.16x16_conv.weight"


def test_denoised_and_log_variance_and_a_normalised_weight(shared):
    """To 1e-5; each array goes back to where it was."""
    path = shared / "golden/modern/edm2_cond"
    arguments = json.loads(path.with_suffix(".json").read_text())["constructor"]
    arrays = dict(np.load(path.with_suffix(".npz")))
    state = {k.removeprefix("state/"): a for k, a in arrays.items() if k.startswith("state/")}
    found = edm2.fields(arguments)
    options = {k.partition(".")[2]: v for k, v in found.items() if k.startswith("model.")}
    names = ("parametrization", "noise_label", "sigma_data")
    predicts = PredictionOptions(**{name: options.pop(name) for name in names})
    options |= {"shape": found["shape"]}
    options["conditions"] = {"label": Make(Label(), fields.label(found["classes"]))}
    network = models.NETWORKS[options.pop("name")]
    make = lambda rngs: network(**options, rngs=rngs)  # noqa: E731
    abstract, model = nnx.eval_shape(lambda: make(streams(0))), functional(make)
    places = list(edm2.slots(abstract))
    params, constants = slots.to_params(abstract, places, state)
    assert (params.keys(), constants.keys()) == tuple(s.keys() for s in model.shapes)
    back = slots.from_params(abstract, places, params, constants)
    assert back.keys() == state.keys()
    assert all((back[k] == state[k]).all() for k in state)

    x = jnp.asarray(arrays["x_nchw"].transpose(0, 2, 3, 1))
    sigma = jnp.asarray(arrays["sigma"])
    cond = {"label": jnp.asarray(arrays["class_labels"].argmax(axis=1))}
    denoise = predicts.denoiser(EDM())(functools.partial(model.apply, params, constants))
    x0 = quick_jit(denoise)(x, sigma, cond).x0
    expected = arrays["y_denoised"].transpose(0, 2, 3, 1)
    for one, reference in zip(x0, expected, strict=True):
        assert np.linalg.norm(one - reference) < 1e-5 * np.linalg.norm(reference)
    u = model.apply(params, constants, jnp.log(sigma) / 4, method="log_variance")
    np.testing.assert_allclose(u, arrays["y_logvar"][:, 0, 0, 0], rtol=1e-4, atol=1e-5)

    forced = slots.from_params(abstract, places, model.project(params), constants)
    np.testing.assert_allclose(forced[FORCED], arrays[f"forced/{FORCED}"], rtol=1e-5)
    gains = [name for name in state if name.endswith("gain")]
    assert all((forced[name] == state[name]).all() for name in gains)
