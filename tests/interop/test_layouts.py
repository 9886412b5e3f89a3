"""Official arrays find their place or are refused by name; orders of queries, keys and values."""

import itertools

import jax
import numpy as np
import pytest
from flax import nnx

from score_sde.interop import edm, edm2, guided_diffusion, layouts, qkv, slots
from score_sde.models.layers import Dense
from score_sde.processes import DDPM


@pytest.mark.parametrize(
    ("order", "place"),
    [
        ("head_kind_channel", lambda head, kind, i: head * 12 + kind * 4 + i),
        ("kind_head_channel", lambda head, kind, i: kind * 8 + head * 4 + i),
        ("head_channel_kind", lambda head, kind, i: head * 12 + i * 3 + kind),
    ],
)
def test_queries_keys_and_values_in_each_order(order, place):
    """Of 2 heads of 4 channels: where each number stands, and back."""
    split, join = qkv.split_kinds(8, 2, order)
    theirs = np.arange(24 * 5).reshape(24, 5)
    ours = split(theirs)
    for head, kind, i in itertools.product(range(2), range(3), range(4)):
        np.testing.assert_array_equal(ours[kind, head * 4 + i], theirs[place(head, kind, i)])
    np.testing.assert_array_equal(join(*ours), theirs)


def test_what_does_not_fit_is_named():
    """A missing, an unknown and a misshapen array; another filter; an array without a place."""
    model = nnx.eval_shape(lambda: Dense(2, 3, rngs=nnx.Rngs(0)))
    places = [*layouts.affine("a", model), layouts.fixed("f", [0.5, 0.5])]
    right = {"a.weight": np.ones((3, 2)), "a.bias": np.ones(3), "f": np.array([0.5, 0.5])}
    params, constants = slots.to_params(model, places, right)
    assert {k: v.shape for k, v in params.items()} == {"kernel": (2, 3), "bias": (3,)}
    for change, message in (
        ({"a.bias": None}, r"first at a.bias: the checkpoint has no such array, the model \(3,\)"),
        ({"b": np.ones(1)}, r"first at b: the checkpoint has \(1,\), the model no such array"),
        ({"a.weight": np.ones((2, 3))}, r"first at a.weight: the checkpoint has \(2, 3\), the mo"),
        ({"a.bias": np.array([0, np.inf, 0])}, "a.bias holds a number that is not finite"),
        ({"f": np.array([1.0, 0.0])}, r"first at f: it says \[1, 0\], the model \[0.5, 0.5\]"),
    ):
        state = {k: v for k, v in {**right, **change}.items() if v is not None}
        with pytest.raises(ValueError, match=message):
            slots.to_params(model, places, state)
    with pytest.raises(ValueError, match="the official network has no place for other"):
        slots.from_params(model, places, {**params, "other": jax.numpy.ones(1)}, constants)


def _placed(slot, arrays):
    """What `ours` makes of arrays, after `back` was seen to give them again."""
    (ours,) = slot.ours(*arrays)
    assert ours.shape == slot.variables[0].shape
    for again, array in zip(slot.back(ours), arrays, strict=True):
        np.testing.assert_array_equal(again, array)
    return ours


def test_arrays_of_blocks_side_by_side():
    """Two blocks of three layers, from 4 features to 2 each."""
    kernel = nnx.eval_shape(lambda: nnx.Param(jax.numpy.zeros((2, 4, 6))))
    slot = layouts.joined([["a", "b", "c"], ["d", "e", "f"]], kernel, layouts.LINEAR)
    assert slot.shapes == dict.fromkeys("abcdef", (2, 4))
    arrays = [np.arange(8.0).reshape(2, 4) + 10 * i for i in range(6)]
    ours = _placed(slot, arrays)
    np.testing.assert_array_equal(ours[1, :, 2:4], arrays[4].T)


def test_halves_the_other_way_round():
    """Of the outputs of a layer."""
    kernel = nnx.eval_shape(lambda: nnx.Param(jax.numpy.zeros((3, 4))))
    theirs = np.arange(12.0).reshape(4, 3)
    ours = _placed(layouts.one("a", kernel, layouts.swapped(layouts.LINEAR)), [theirs])
    np.testing.assert_array_equal(ours, theirs[[2, 3, 0, 1]].T)


@pytest.mark.parametrize("axis", [0, -1])
def test_pixels_within_channels(axis):
    """Theirs counts 3 pixels of each of 2 channels, ours 2 channels of each of 3 pixels."""
    kernel = nnx.eval_shape(lambda: nnx.Param(jax.numpy.zeros((6, 6))))
    layout = layouts.channels_slowest(layouts.SAME, 3, axis)
    theirs = np.arange(36.0).reshape(6, 6)
    ours = _placed(layouts.one("a", kernel, layout), [theirs])
    np.testing.assert_array_equal(ours, np.take(theirs, [0, 3, 1, 4, 2, 5], axis))


def test_a_constant_that_they_do_not_have():
    """It is made, and not written."""
    model = nnx.eval_shape(lambda: Dense(2, 3, bias=False, rngs=nnx.Rngs(0)))
    places = [layouts.computed(model.kernel, lambda: np.ones((2, 3)))]
    params, constants = slots.to_params(model, places, {})
    np.testing.assert_array_equal(params["kernel"], np.ones((2, 3)))
    assert slots.from_params(model, places, params, constants) == {}


def test_levels_of_iddpm(shared):
    """The array u of a released model is sigma / alpha of the cosine schedule."""
    u = np.load(shared / "golden/checkpoints/edm_iddpm_precond.npz")["state/u"]
    (found,) = edm.noise_levels(DDPM(schedule="cosine")).back()
    np.testing.assert_allclose(found, u, rtol=1e-5, atol=1e-5)  # theirs is in float32


SHAPE = {"img_resolution": 8, "img_channels": 3}
ADM = {"out_channels": 3, "model_channels": 8, "num_res_blocks": 1, "attention_resolutions": (2,)}


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: edm.fields("Precond", SHAPE), "unknown class 'Precond': there are EDMPrecond, VP"),
        (
            lambda: edm.fields("EDMPrecond", {**SHAPE, "model_type": "Other"}),
            "unknown network 'Other': there are SongUNet, DhariwalUNet",
        ),
        (
            lambda: edm.fields("VPPrecond", {**SHAPE, "encoder_type": "skip"}),
            "encoder_type='skip' is none of the released networks",
        ),
        (
            lambda: edm.fields("VEPrecond", {**SHAPE, "embedding_type": "fourier"}),
            "channel_mult_noise=1 is none of the released networks",
        ),
        (
            lambda: edm.fields("EDMPrecond", {**SHAPE, "x": 1}),
            "DhariwalUNet has no option 'x' here",
        ),
        (lambda: edm2.fields({**SHAPE, "x": 1}), "EDM2 has no option 'x' here"),
        (
            lambda: edm2.fields({**SHAPE, "resample_filter": [1, 3, 3, 1]}),
            "resample_filter=.* is none of the released networks",
        ),
        (
            lambda: guided_diffusion.fields({**ADM, "pool": "spatial"}),
            "pool='spatial' is none of the released classifiers",
        ),
        (lambda: guided_diffusion.fields({**ADM, "x": 1}), "the network has no option 'x' here"),
        (
            lambda: guided_diffusion.fields({**ADM, "dims": 3}),
            "dims=3 is none of the released networks",
        ),
    ],
)
def test_other_options_are_refused(read, message):
    with pytest.raises(ValueError, match=message):
        read()
