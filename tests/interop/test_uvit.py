"""The released U-ViT's names and shapes; its numbers are in test_released."""

import functools
import json

import numpy as np
import pytest
from flax import nnx

from score_sde import fields
from score_sde.interop import dit, slots, uvit
from score_sde.models import UViT
from score_sde.models.conditions import Label


def state(golden):
    return {k.removeprefix("state/"): golden[k] for k in golden if k.startswith("state/")}


@pytest.fixture(scope="module")
def golden(shared):
    return dict(np.load(shared / "golden" / "modern" / "uvit.npz"))


@pytest.fixture(scope="module")
def official(shared):
    return json.loads((shared / "golden" / "modern" / "uvit.json").read_text())["constructor"]


def made(described, heads, **more):
    label = {"label": functools.partial(Label().embedding, fields.label(described.classes))}
    options = {**described.options, "heads": heads, "conditions": label, **more}
    return lambda rngs: UViT(shape=described.shape, **options, rngs=rngs)


def test_export_gives_back_what_was_imported(golden, official):
    """Every array, bit for bit, under its name."""
    make = made(uvit.describe(state(golden)), official["num_heads"])
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    arrays = slots.to_params(model, uvit.slots(model), state(golden))
    back = slots.from_params(model, uvit.slots(model), *arrays)
    assert back.keys() == state(golden).keys()
    for key, array in state(golden).items():
        np.testing.assert_array_equal(back[key], array)


def test_a_table_of_classes_alone(golden, official):
    """As many rows as classes: the one that means no class is zero here, and not theirs."""
    described = uvit.describe(state(golden))
    rows = len(state(golden)[uvit.TABLE])
    make = made(described._replace(classes=rows), official["num_heads"])
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    params, constants = slots.to_params(model, uvit.slots(model, rows), state(golden))
    (table,) = (array for name, array in params.items() if name.endswith("label/table"))
    np.testing.assert_array_equal(table[:-1], state(golden)[uvit.TABLE])
    assert not np.any(table[-1])
    back = slots.from_params(model, uvit.slots(model, rows), params, constants)
    np.testing.assert_array_equal(back[uvit.TABLE], state(golden)[uvit.TABLE])


def test_the_shapes_say_all_but_the_heads(golden, official):
    """Ours counts all blocks, the one in the middle too, and no class apart."""
    assert uvit.is_uvit(state(golden))
    assert not dit.is_dit(state(golden))
    found = uvit.describe(state(golden))
    assert found.shape == (official["img_size"],) * 2 + (official["in_chans"],)
    assert found.classes == official["num_classes"] - 1
    assert found.options == {
        "patch": official["patch_size"],
        "channels": official["embed_dim"],
        "depth": official["depth"] + 1,
        "mlp_ratio": official["mlp_ratio"],
        "learn_variance": False,
        "final_conv": True,
    }


def test_a_network_that_does_not_fit_is_refused(golden):
    """By the first array that differs."""
    make = made(uvit.describe(state(golden)), 4, depth=3)
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"first at in_blocks\.1\.norm1\.weight: the check"):
        slots.to_params(model, uvit.slots(model), state(golden))
