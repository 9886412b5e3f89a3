"""EDM2's network under its own names, after a step's normalisation; see test_released for more."""

import json

import numpy as np
import pytest
from flax import nnx

from score_sde import fields, models
from score_sde.interop import edm2, slots
from score_sde.models.conditions import Label, Make
from score_sde.models.functional import functional, streams

pytestmark = pytest.mark.slow

FORCED = "unet.enc.16x16_conv.weight"


def test_a_normalised_weight(shared):
    """To 1e-5; each array goes back to where it was."""
    path = shared / "golden/modern/edm2_cond"
    arguments = json.loads(path.with_suffix(".json").read_text())["constructor"]
    arrays = dict(np.load(path.with_suffix(".npz")))
    state = {k.removeprefix("state/"): a for k, a in arrays.items() if k.startswith("state/")}
    found = edm2.fields(arguments)
    options = {k.partition(".")[2]: v for k, v in found.items() if k.startswith("model.")}
    for name in ("parametrization", "noise_label", "sigma_data"):
        del options[name]
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

    forced = slots.from_params(abstract, places, model.project(params), constants)
    np.testing.assert_allclose(forced[FORCED], arrays[f"forced/{FORCED}"], rtol=1e-5)
    gains = [name for name in state if name.endswith("gain")]
    assert all((forced[name] == state[name]).all() for name in gains)
