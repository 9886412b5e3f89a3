"""The released U-ViT's names, shapes and numbers."""

import functools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde import fields
from score_sde.interop import dit, slots, uvit
from score_sde.models import UViT
from score_sde.models.conditions import Label
from score_sde.models.functional import functional


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


def test_the_released_network(golden, official):
    """Its output to a relative L2 of 1e-5 in float32, and export gives back every array."""
    make = made(uvit.describe(state(golden)), official["num_heads"])
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    arrays = slots.to_params(model, uvit.slots(model), state(golden))
    x = jnp.asarray(golden["x_nchw"].transpose(0, 2, 3, 1))
    cond = {"label": jnp.asarray(golden["y"], jnp.int32)}
    out = quick_jit(functional(make).apply)(*arrays, x, jnp.asarray(golden["t"]), cond)
    theirs = golden["y_out"].transpose(0, 2, 3, 1)
    assert np.linalg.norm(out - theirs) < 1e-5 * np.linalg.norm(theirs)
    back = slots.from_params(model, uvit.slots(model), *arrays)
    assert back.keys() == state(golden).keys()
    for key, array in state(golden).items():
        np.testing.assert_array_equal(back[key], array)


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
        "out_channels": official["in_chans"],
        "final_conv": True,
    }


def test_a_network_that_does_not_fit_is_refused(golden):
    """By the first array that differs."""
    make = made(uvit.describe(state(golden)), 4, depth=3)
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"first at in_blocks\.1\.norm1\.weight: the check"):
        slots.to_params(model, uvit.slots(model), state(golden))
