"""What a network sees beside its state: images, and first frames of videos."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde import fields
from score_sde.models import NETWORKS
from score_sde.models.beside import Beside
from score_sde.models.conditions import Image, Label, Make, Video
from score_sde.models.functional import functional
from score_sde.models.layers import Conv, Dense

pytestmark = pytest.mark.slow

FRAMES, SIDES = 3, (4, 8)
FIRST, SKETCH = fields.video((2, *SIDES, 1)), fields.image((*SIDES, 1), name="sketch")
UNET = {
    **{"channels": 8, "channel_mult": (1,), "num_res_blocks": 1, "attn_resolutions": ()},
    **{"embedding": "fourier", "dropout": 0.0, "patch": 2},
}
SMALL = {
    "unet": UNET,
    "dit": {"channels": 8, "depth": 1, "heads": 1, "patch": 2, "registers": 1},
    "video_unet": {**UNET, "time_heads": 1},
    "video_dit": {"channels": 8, "depth": 1, "heads": 1, "patch": 2},
}
each_network = pytest.mark.parametrize("name", SMALL)


def field_of(name):
    return FIRST if "video" in name else SKETCH


def make(name, dropout=0.0, **conditions):
    field = field_of(name)
    kind = Video if "video" in name else Image
    shape = (FRAMES, *SIDES, 1) if "video" in name else (*SIDES, 1)
    told = {"shown": Make(kind(dropout=dropout), field), **conditions}
    options = {"shape": shape, "conditions": told, **SMALL[name]}
    return functional(lambda rngs: NETWORKS[name](**options, rngs=rngs)), shape


def asked(name, shape, batch=2):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, *shape)).astype(np.float32)
    shown = rng.integers(1, 256, (batch, *field_of(name).shape)).astype(np.uint8)
    return x, np.linspace(0.3, 2, batch).astype(np.float32), {"shown": shown}


def channels(kind, field, **options):
    none = {"param_dtype": jnp.float32, "rngs": None}
    return kind(**options).embedding(field, 0, **none)


def test_channels_are_pixels_in_the_range_of_states_and_where_they_are():
    """Nothing, black all over and hidden ones are zeros, as is the last channel of them alone."""
    value = np.array([[[0, 255], [51, 102]], [[0, 0], [0, 0]]], np.uint8)[..., None]
    seen = channels(Image, fields.image((2, 2, 1)))
    found = np.asarray(seen(value, 2, None))
    np.testing.assert_allclose(found[0, ..., 0], [[-1, 1], [-0.6, -0.2]], atol=1e-6)
    np.testing.assert_array_equal(found[0, ..., 1], 1)
    np.testing.assert_array_equal(found[1], 0)
    np.testing.assert_array_equal(seen(None, 3, None), np.zeros((3, 2, 2, 2)))
    with pytest.raises(ValueError, match=r"of shape \(1, 2, 2, 1\); this image takes \(2, 2, 2"):
        seen(value[:1], 2, None)


def test_some_examples_are_hidden_in_training_whole():
    """A share of them, within 4 standard errors; without a key none is."""
    n, seen = 400, channels(Video, FIRST, dropout=0.3)
    value = np.full((n, *FIRST.shape), 200, np.uint8)
    assert np.asarray(seen(value, n, None)).all()
    told = np.asarray(seen(value, n, jax.random.key(0))).reshape(n, -1)
    assert ((told != 0).all(1) | (told == 0).all(1)).all()
    assert abs((told == 0).all(1).mean() - 0.3) < 4 * np.sqrt(0.21 / n)


def test_first_frames_are_before_those_that_are_drawn_and_an_image_beside_each():
    """By a layer that passes its inputs on: [y, m] in the first frames, zeros in the others."""

    def beside(kind, field):
        first = functools.partial(Dense, n_out=2, bias=False, param_dtype=jnp.float32)
        options = {"conditions": {"a": Make(kind(), field)}, "patch": 1}
        model = functional(
            lambda rngs: Beside(SIDES, FRAMES, **options, first=functools.partial(first, rngs=rngs))
        )
        return functools.partial(model.apply, {"first/kernel": jnp.eye(2)}, {})

    rng = np.random.default_rng(1)
    value = rng.integers(1, 256, (5, *FIRST.shape)).astype(np.uint8)
    found = beside(Video, FIRST)({"a": value}, 5 * FRAMES, jnp.float32, None)
    found = np.asarray(found).reshape(5, FRAMES, *SIDES, 2)
    np.testing.assert_allclose(found[:, :2, ..., :1], value / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(found[:, :2, ..., 1], 1)
    np.testing.assert_array_equal(found[:, 2], 0)
    found = beside(Image, SKETCH)({"a": value[:, 0]}, 5 * FRAMES, jnp.float32, None)
    found = np.asarray(found).reshape(5, FRAMES, *SIDES, 2)
    for frame in range(FRAMES):
        np.testing.assert_allclose(found[:, frame, ..., :1], value[:, 0] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("times", "inputs"), [(1, 2), (2, 8), (0.5, 2)])
def test_images_may_be_whole_numbers_of_times_as_large(times, inputs):
    """Larger ones as more channels of each place, smaller ones as squares of equal pixels."""
    sides = tuple(int(side * times) for side in SIDES)
    field = fields.image((*sides, 1))
    first = functools.partial(Dense, n_out=inputs, bias=False, param_dtype=jnp.float32)
    model = functional(
        lambda rngs: Beside(
            SIDES, 0, {"a": Make(Image(), field)}, 1, functools.partial(first, rngs=rngs)
        )
    )
    value = np.random.default_rng(2).integers(1, 256, (3, *sides, 1)).astype(np.uint8)
    kernel = {"first/kernel": jnp.eye(inputs)}
    found = model.apply(kernel, {}, {"a": value}, 3, jnp.float32, None)
    found = np.asarray(found)[..., ::2]  # but for the masks
    if times == 2:
        expected = value.reshape(3, 4, 2, 8, 2).transpose(0, 1, 3, 2, 4).reshape(3, 4, 8, 4)
    else:
        expected = value.repeat(SIDES[0] // sides[0], 1).repeat(SIDES[0] // sides[0], 2)
    np.testing.assert_allclose(found, expected / 127.5 - 1, atol=1e-6)


def test_what_cannot_be_beside_is_refused():
    first = functools.partial(Dense, n_out=2, bias=False, param_dtype=jnp.float32)

    def of(field, frames, sides=SIDES):
        kind = Video if field.kind == "video" else Image
        conditions = {"a": Make(kind(), field)}
        return functional(
            lambda rngs: Beside(sides, frames, conditions, 1, functools.partial(first, rngs=rngs))
        )

    for field, frames in (
        (fields.image((4, 4, 1)), 0),
        (fields.image((6, 12, 1)), 0),
        (fields.video((1, 3, 6, 1)), 2),
    ):
        with pytest.raises(ValueError, match="shown beside images of 4x8: it must be as large, or"):
            of(field, frames)
    for frames in (0, 1):
        with pytest.raises(ValueError, match="video of 2x4x8x1 is shown beside a video of as many"):
            of(FIRST, frames)


@each_network
def test_a_network_begins_as_one_that_is_told_nothing(name):
    """Bit for bit, with all other arrays at random; and its paths are the other's and one more."""
    network, shape = make(name)
    plain = functional(lambda rngs: NETWORKS[name](shape=shape, **SMALL[name], rngs=rngs))
    assert network.shapes[0].keys() - plain.shapes[0].keys() == {"beside/first/kernel"}
    begun, _ = network.init(jax.random.key(0))
    assert not np.any(begun["beside/first/kernel"])
    params, constants = filled(network)
    params["beside/first/kernel"] = begun["beside/first/kernel"]
    x, noise, cond = asked(name, shape)
    called = quick_jit(network.apply)
    found = called(params, constants, x, noise, cond)
    del params["beside/first/kernel"]
    np.testing.assert_array_equal(found, quick_jit(plain.apply)(params, constants, x, noise))


@each_network
def test_what_it_answers_depends_on_what_it_is_shown(name):
    """Of each example alone; black, nothing and hidden are the same; its gradient is not zero."""
    network, shape = make(name, dropout=1.0)
    x, noise, cond = asked(name, shape)
    called, arrays = quick_jit(network.apply), filled(network)
    before = np.asarray(called(*arrays, x, noise, cond))
    other = {"shown": cond["shown"].copy()}
    other["shown"][1] //= 2
    changed = np.asarray(called(*arrays, x, noise, other)) != before
    np.testing.assert_array_equal(changed.reshape(2, -1).any(1), [False, True])
    other["shown"][1] = 0
    half = np.asarray(called(*arrays, x, noise, other))
    np.testing.assert_array_equal(half[0], before[0])
    nothing = np.asarray(called(*arrays, x, noise, None))
    np.testing.assert_array_equal(half[1], nothing[1])
    hidden = called(*arrays, x, noise, cond, key=jax.random.key(0))
    np.testing.assert_allclose(hidden, nothing, atol=1e-6)

    def loss(params):
        return jnp.sum(network.apply(params, arrays[1], x, noise, cond) ** 2)

    begun = {**arrays[0], "beside/first/kernel": jnp.zeros_like(arrays[0]["beside/first/kernel"])}
    slope = quick_jit(jax.grad(loss))(begun)["beside/first/kernel"]
    assert np.all(np.any(np.asarray(slope) != 0, axis=-1))


def test_it_is_a_convolution_of_all_channels(x64):
    """Equation (2): W x + V [y, m] of a convolution is that of [x, y, m]."""
    rng = np.random.default_rng(3)
    x, seen = rng.standard_normal((2, 5, 5, 3)), rng.standard_normal((2, 5, 5, 2))
    layers = [
        functional(lambda rngs, n=n: Conv(n, 4, use_bias=False, rngs=rngs)) for n in (3, 2, 5)
    ]
    w, v = rng.standard_normal((3, 3, 3, 4)), rng.standard_normal((3, 3, 2, 4))
    kernels = (w, v, np.concatenate([w, v], axis=2))
    inputs = (x, seen, np.concatenate([x, seen], axis=-1))
    one, other, both = (
        layer.apply({"kernel": jnp.asarray(k)}, {}, jnp.asarray(a))
        for layer, k, a in zip(layers, kernels, inputs, strict=True)
    )
    np.testing.assert_allclose(one + other, both, rtol=1e-12, atol=1e-12)


def test_it_goes_with_embedded_conditions_and_other_networks_refuse_it():
    """Of which the network lists those that are embedded."""
    label = Make(Label(), fields.label(5))
    network, shape = make("unet", label=label)
    x, noise, cond = asked("unet", shape)
    called, arrays = quick_jit(network.apply), filled(network)
    one, two = (
        np.asarray(called(*arrays, x, noise, {**cond, "label": np.array(k)}))
        for k in ([0, 1], [0, 2])
    )
    np.testing.assert_array_equal((one != two).reshape(2, -1).any(1), [False, True])
    shown = {"sketch": Make(Image(), SKETCH)}
    for name, options in {"mlp": {"shape": (3,)}, "uvit": {"shape": (*SIDES, 1)}}.items():
        with pytest.raises(ValueError, match="sees nothing beside its state, as sketch would"):
            functional(
                lambda rngs, n=name, o=options: NETWORKS[n](**o, conditions=shown, rngs=rngs)
            )
