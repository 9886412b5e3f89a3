"""The released DiT's names and shapes; its numbers are in test_released."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.interop import dit, slots
from score_sde.models import DiT
from score_sde.models.conditions import Label, Number
from score_sde.models.embeddings import cosines_first
from score_sde.models.functional import functional

NAMES = ("dit_p2", "dit_p1_nosigma")


def state(golden):
    return {k.removeprefix("state/"): golden[k] for k in golden if k.startswith("state/")}


def made(described, heads, **more):
    """The network that a file describes, but for its heads."""
    label = {"label": functools.partial(Label().embedding, fields.label(described.classes))}
    options = {**described.options, "heads": heads, "conditions": label, **more}
    return lambda rngs: DiT(shape=described.shape, **options, rngs=rngs)


@functools.cache
def golden(shared, name):
    """The file, its arguments, and what makes the network, with its arrays."""
    file = dict(np.load(shared / "golden" / "modern" / f"{name}.npz"))
    official = json.loads((shared / "golden" / "modern" / f"{name}.json").read_text())
    make = made(dit.describe(state(file)), official["constructor"]["num_heads"])
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    arrays = slots.to_params(model, dit.slots(model), state(file))
    return file, official["constructor"], make, arrays


@pytest.mark.parametrize("name", NAMES)
def test_positions_and_the_time_are_embedded_as_there(shared, name):
    """The fixed positions, which the file has, and cosines and sines of the time."""
    file, _, make, _ = golden(shared, name)
    positions = quick_jit(lambda: make(nnx.Rngs(0)).positions[...])()
    np.testing.assert_allclose(positions, file["state/pos_embed"][0], atol=1e-6)
    ours = cosines_first(jnp.asarray(file["t"]), 256)
    np.testing.assert_allclose(ours, file["t_embedding"], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_export_gives_back_what_was_imported(shared, name):
    """Every array, bit for bit, under its name."""
    file, _, make, arrays = golden(shared, name)
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    back = slots.from_params(model, dit.slots(model), *arrays)
    assert back.keys() == state(file).keys()
    for key, array in state(file).items():
        np.testing.assert_array_equal(back[key], array)


@pytest.mark.parametrize("name", NAMES)
def test_the_shapes_say_all_but_the_heads(shared, name):
    """Against the arguments of the official class; the last row of a table is no class."""
    file, official, _, _ = golden(shared, name)
    assert dit.is_dit(state(file))
    found = dit.describe(state(file))
    none = 0 if official["class_dropout_prob"] else 1
    assert found.shape == (official["input_size"],) * 2 + (official["in_channels"],)
    assert found.classes == official["num_classes"] - none
    assert found.options == {
        "patch": official["patch_size"],
        "channels": official["hidden_size"],
        "depth": official["depth"],
        "mlp_ratio": official["mlp_ratio"],
        "learn_variance": official["learn_sigma"],
    }


def test_a_published_width_says_the_heads():
    """1152 features are XL's, with 16 heads."""
    model = nnx.eval_shape(
        lambda: made(dit.Described((4, 4, 1), 2, {"size": "XL/2", "depth": 1}), 0)(nnx.Rngs(0))
    )
    params, constants = functional(lambda rngs: model).shapes
    shapes = jax.tree.map(lambda a: np.zeros(a.shape, np.float16), (params, constants))
    official = slots.from_params(model, dit.slots(model), *shapes)
    assert dit.describe(official).options["heads"] == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, r"first at blocks.1.attn.qkv.weight: the checkpoint has \(192, 64\), the m"),
        (
            {"learn_variance": False},
            r"first at final_layer.linear.weight: .*, the model \(16, 64\)",
        ),
        ({"depth": 3}, r"first at blocks.2.attn.qkv.weight: the checkpoint has no such array"),
        ({"conditions": {}}, "first at y_embedder.embedding_table.weight"),
        (
            {"conditions": {"size": functools.partial(Number().embedding, fields.number("size"))}},
            "told one label at most, not size",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused(shared, options, message):
    """By the first array that differs, in the order of the file."""
    file = golden(shared, "dit_p2")[0]
    make = made(dit.describe(state(file)), 4, **options)
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    with pytest.raises(ValueError, match=message):
        slots.to_params(model, dit.slots(model), state(file))


def test_what_the_official_network_lacks_is_not_exported(shared):
    """Registers have no place in it."""
    file = golden(shared, "dit_p2")[0]
    make = made(dit.describe(state(file)), 4, registers=1)
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    with pytest.raises(ValueError, match="the official network has no place for registers"):
        slots.from_params(model, dit.slots(model), *filled(functional(make)))
