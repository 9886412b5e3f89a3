"""Networks of videos: those of images frame by frame, and attention over the frames between."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import NETWORKS, tokens, video
from score_sde.models.conditions import Label, Make, Text, Video
from score_sde.models.frames import TimeAttention, TimeConv, across, to_images, to_videos
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

FRAMES, IMAGE = 3, (4, 4, 2)
CONDITIONS = {
    "label": functools.partial(Label(dropout=0.5).embedding, fields.label(5)),
    "text": functools.partial(Text(features=8, depth=1).embedding, fields.text(12)),
}
SMALL = {
    "unet": {
        **{"channels": 8, "channel_mult": (1, 1), "num_res_blocks": 1, "attn_resolutions": (4,)},
        **{"embedding": "fourier", "scale_by_sigma": True, "dropout": 0.0},
    },
    "dit": {"channels": 8, "depth": 2, "heads": 2, "patch": 2, "rope": True, "registers": 1},
    "video_unet": {"time_heads": 2},
    "video_joint_unet": {"time_heads": 1, "joint_resolutions": (4,), "time_taps": 3},
    "video_dit": {},
    "video_joint_dit": {"joint": True},
}
SMALL["joint_unet"], SMALL["joint_dit"] = SMALL["unet"], SMALL["dit"] | {"heads": 1}
each_image = pytest.mark.parametrize("image", ["unet", "joint_unet", "dit"])


def make(name, shape, conditions=None):
    options = SMALL[name.removeprefix("video_")] | SMALL[name]
    if conditions is None:
        conditions = CONDITIONS if "unet" in name else {"label": CONDITIONS["label"]}
    told = {"shape": shape, "conditions": conditions, **options}
    network = NETWORKS[name.replace("joint_", "")]
    return functional(lambda rngs: network(**told, rngs=rngs))


def _last(path):
    """Whether an array is of a layer that begins with zeros."""
    return "/time/attention/out" in path or "/time/conv" in path


def _numbers(frames):
    """Of each frame the sines and cosines of its number, 8 features."""
    angles = np.arange(frames)[:, None] * 1e4 ** (-np.arange(4) / 3)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def asked(image, batch=2):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, FRAMES, *IMAGE)).astype(np.float32)
    cond = {"label": np.array([3, 1], np.int32)}
    if "unet" in image:
        cond["text"] = fields.encode_texts(["a 3 moves", "left"], 12)
    return x, np.array([0.3, 2.0], np.float32), cond


@each_image
def test_it_begins_as_the_network_of_images_frame_by_frame(x64, image):
    """All of whose arrays are drawn at random; only the last layer over time is as it begins.

    To 1e-12 of each frame given alone: a batch of another size is added up in another order.
    """
    ours, theirs = make(f"video_{image}", (FRAMES, *IMAGE)), make(image, IMAGE)
    arrays = filled(theirs)
    begun = filled(ours)
    new = begun[0].keys() - arrays[0].keys()
    assert new
    assert all("/time/" in path for path in new)
    assert begun[1].keys() == arrays[1].keys()
    time = {path: begun[0][path] * (not _last(path)) for path in new}
    x, noise, cond = asked(image)
    x = x.astype(np.float64)
    found = quick_jit(ours.apply)({**time, **arrays[0]}, arrays[1], x, noise, cond)
    called = quick_jit(theirs.apply)
    for frame in range(FRAMES):
        alone = called(*arrays, x[:, frame], noise, cond)
        np.testing.assert_allclose(found[:, frame], alone, rtol=1e-12, atol=1e-12)


# The first has all that a U-Net of videos can have: a convolution, and attention of both kinds.
@pytest.mark.parametrize("image", ["joint_unet", "dit"])
def test_what_it_begins_with_adds_nothing_bit_for_bit(image, monkeypatch):
    """Beside the same without any attention over time, operation by operation, in float32."""
    ours = make(f"video_{image}", (FRAMES, *IMAGE), conditions={})
    params, constants = filled(ours)
    zero = {k: jnp.zeros_like(a) if _last(k) else a for k, a in params.items()}
    x, noise, _ = asked(image)
    found = ours.apply(zero, constants, x, noise)
    for one in (TimeAttention, TimeConv):
        monkeypatch.setattr(one, "__call__", lambda self, x: x)
    np.testing.assert_array_equal(found, ours.apply(params, constants, x, noise))


@pytest.mark.parametrize("network", ["video_unet", "video_joint_unet", "video_joint_dit"])
def test_frames_know_their_numbers(network):
    """Of a clip that is the same in all frames: relative positions alone would tell them nothing.

    So a clip that begins left and one that ends there can be told apart in noise.
    """
    ours = make(network, (FRAMES, *IMAGE))
    x, noise, cond = asked(network)
    x = np.repeat(x[:, :1], FRAMES, axis=1)
    out = np.asarray(quick_jit(ours.apply)(*filled(ours), x, noise, cond))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(out[:, one] - out[:, other]).max() > 1e-3


def test_its_last_layer_is_zero_at_first():
    """Exactly, where layers that begin "near zero" are drawn of variance 1e-10."""
    one = TimeAttention(8, 2, 3, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    assert np.any(one.attention.qkv.kernel[...])
    assert not any(
        np.any(array[...]) for array in (one.attention.out.kernel, one.attention.out.bias)
    )
    x = jax.random.normal(jax.random.key(0), (6, 2, 8))
    np.testing.assert_array_equal(one(x), x)


@pytest.mark.parametrize("image", ["unet", "joint_unet", "dit", "joint_dit"])
def test_frames_hear_of_one_another_once_it_is_trained(image):
    """Of all others; and no example hears of another."""
    ours = make(f"video_{image}", (FRAMES, *IMAGE))
    x, noise, cond = asked(image)
    called = quick_jit(ours.apply)
    arrays = filled(ours)
    before = np.asarray(called(*arrays, x, noise, cond))
    x[1, 2] += 1
    changed = np.any(np.asarray(called(*arrays, x, noise, cond)) != before, axis=(2, 3, 4))
    np.testing.assert_array_equal(changed, [[False] * 3, [True] * 3])


@pytest.mark.parametrize("image", ["unet", "dit"])
def test_a_condition_is_hidden_in_all_frames_or_none(image):
    """Equal frames stay equal: told the same, at one noise level, but by the attention's places."""
    ours = make(f"video_{image}", (FRAMES, *IMAGE))
    params, constants = filled(ours)
    still = {k: a * (not _last(k)) for k, a in params.items()}
    x, noise, cond = asked(image)
    x = np.repeat(x[:, :1], FRAMES, axis=1)
    dropped = jax.jit(functools.partial(ours.apply, still, constants, x, noise, cond))
    found = [dropped(key=key) for key in jax.random.split(jax.random.key(1), 6)]
    for out in found:
        np.testing.assert_array_equal(out, np.repeat(out[:, :1], FRAMES, axis=1))
    assert len({np.asarray(out[0]).tobytes() for out in found}) > 1  # it is hidden at times


def test_attention_over_frames_is_what_its_docstring_says(x64):
    """Of each place alone, with relative positions: against loops over frames in NumPy."""
    frames, places, features, heads = 4, 3, 8, 2
    make_one = functools.partial(TimeAttention, features, heads, frames, param_dtype=jnp.float64)
    model = functional(lambda rngs: make_one(rngs=rngs))
    params, constants = filled(model)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, frames, places, features))
    given = jnp.asarray(x.reshape(2 * frames, places, features))
    found = quick_jit(model.apply)(params, constants, given)
    p = {name: np.asarray(array) for name, array in params.items()}
    h = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    h = h * p["norm/scale"] + p["norm/bias"]
    h = h + _numbers(frames)[:, None]
    qkv = (h @ p["attention/qkv/kernel"] + p["attention/qkv/bias"]).reshape(
        2, frames, places, 3, heads, 4
    )
    # Features j and j + 2 of a head turn by f 100^(-j / 2) in frame f: as complex numbers.
    turns = np.exp(1j * np.arange(frames)[:, None] * 100.0 ** (-np.arange(2) / 2))
    q, k = ((qkv[:, :, :, i, :, :2] + 1j * qkv[:, :, :, i, :, 2:]) for i in (0, 1))
    q, k = (a * turns[None, :, None, None] for a in (q, k))
    logits = np.einsum("bfphd,bgphd->bphfg", q, k.conj()).real / 2
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    out = np.einsum("bphfg,bgphd->bfphd", shares, qkv[:, :, :, 2]).reshape(x.shape)
    out = out @ p["attention/out/kernel"] + p["attention/out/bias"]
    np.testing.assert_allclose(found.reshape(x.shape), x + out, rtol=1e-10, atol=1e-10)


def test_joint_attention_is_of_all_places_of_all_frames(x64):
    """Against every pair of them in NumPy, with positions that are relative on three axes."""
    frames, rows, columns, features = 3, 2, 2, 8
    make_one = functools.partial(
        TimeAttention, features, 1, frames, joint=True, param_dtype=jnp.float64
    )
    model = functional(lambda rngs: make_one(rngs=rngs))
    params, constants = filled(model)
    x = np.random.default_rng(1).standard_normal((2, frames, rows, columns, features))
    given = jnp.asarray(x.reshape(-1, rows, columns, features))
    found = quick_jit(model.apply)(params, constants, given)
    p = {name: np.asarray(array) for name, array in params.items()}
    h = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    h = h * p["norm/scale"] + p["norm/bias"] + _numbers(frames)[:, None, None]
    h = h.reshape(2, -1, features)
    q, k, v = np.split(h @ p["attention/qkv/kernel"] + p["attention/qkv/bias"], 3, axis=-1)
    f, r, c = (i.ravel() for i in np.indices((frames, rows, columns)))
    # Features j and j + 4 turn as one: 0 and 1 with the frame, 2 with the row, 3 with the column.
    turns = np.exp(1j * np.stack([f, f / 10, r, c], axis=1))
    q, k = ((a[..., :4] + 1j * a[..., 4:]) * turns for a in (q, k))
    logits = np.einsum("bid,bjd->bij", q, k.conj()).real / np.sqrt(features)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    out = shares @ v @ p["attention/out/kernel"] + p["attention/out/bias"]
    np.testing.assert_allclose(found.reshape(x.shape), x + out.reshape(x.shape), atol=1e-10)


def test_a_joint_dit_is_a_dit_of_the_tokens_of_all_frames(x64):
    """That of one image as tall as all frames, but for how it knows where a token is."""
    ours = make("video_joint_dit", (FRAMES, *IMAGE))
    height, width, channels = IMAGE
    tall = make("joint_dit", (FRAMES * height, width, channels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "volume_angles", lambda sizes, n, _: jnp.zeros((12, n // 2)))
        patch.setattr(video, "positional", lambda label, n: jnp.zeros((len(label), n)))
        params, constants = filled(ours)
        params["registers"] = 0 * params["registers"]
        x, noise, cond = asked("dit")
        x = x.astype(np.float64)
        found = quick_jit(ours.apply)(params, constants, x, noise, cond)
        patch.setattr(tokens, "rotary_angles", lambda r, c, n, _: jnp.zeros((r * c, n // 2)))
        constants["positions"] = jnp.tile(constants["positions"], (FRAMES, 1))
        params["registers"] = jnp.tile(params["registers"], (FRAMES, 1))
        x = x.reshape(2, -1, width, channels)
        alike = quick_jit(tall.apply)(params, constants, x, noise, cond)
    np.testing.assert_allclose(found.reshape(alike.shape), alike, atol=1e-12)


def test_a_joint_dit_turns_tokens_by_their_places_and_registers_not():
    """Of each frame a register and four tokens: angles of three axes, and none."""
    ours = make("video_joint_dit", (FRAMES, *IMAGE))
    images = jnp.zeros((2 * FRAMES, *IMAGE))
    h, angles = ours.apply(*filled(ours), images, None, method="_tokens")
    assert h.shape == (2 * FRAMES, 5, 8)
    angles = np.asarray(angles).reshape(FRAMES, 5, 4)
    assert not angles[:, 0].any()
    frame, row, column = (i.ravel() for i in np.indices((FRAMES, 2, 2)))
    expected = np.stack([frame, frame / 10, row, column], axis=1).reshape(FRAMES, 4, 4)
    np.testing.assert_allclose(angles[:, 1:], expected, rtol=1e-6)


def test_joint_attention_stands_where_there_is_attention():
    """And elsewhere each place sees itself alone; another size is refused."""
    small = SMALL["unet"] | {"time_heads": 1, "attn_resolutions": (4,), "channel_mult": (1, 1)}

    def made(sizes):
        return NETWORKS["video_unet"](
            shape=(FRAMES, *IMAGE), **small, joint_resolutions=sizes, rngs=nnx.Rngs(0)
        )

    model = made((2,))
    assert model.middle[1].time.joint
    assert not any(a.time.joint for level in model.down for a in level.attentions)
    message = r"joint_resolutions=\(3,\): there is attention at 2 and 4, none at 3"
    with pytest.raises(ValueError, match=message):
        made((3,))


def test_convolution_over_time_is_of_each_place(x64):
    """Of its frames before and after, zeros beyond the ends; against loops in NumPy."""
    make_one = functools.partial(TimeConv, 4, 3, FRAMES, group_size=4, param_dtype=jnp.float64)
    assert not np.any(make_one(rngs=nnx.Rngs(0)).conv.dense.kernel[...])
    model = functional(lambda rngs: make_one(rngs=rngs))
    params, constants = filled(model)
    x = np.random.default_rng(2).standard_normal((2, FRAMES, 2, 5, 4))
    found = quick_jit(model.apply)(params, constants, jnp.asarray(x.reshape(-1, 2, 5, 4)))
    p = {name: np.asarray(array) for name, array in params.items()}
    mean, var = (of(x, axis=(2, 3, 4), keepdims=True) for of in (np.mean, np.var))
    h = (x - mean) / np.sqrt(var + 1e-6) * p["norm/scale"] + p["norm/bias"]
    h = h / (1 + np.exp(-h))
    out = np.zeros_like(x) + p["conv/dense/bias"]
    for frame, tap in np.ndindex(FRAMES, 3):
        if 0 <= frame + tap - 1 < FRAMES:
            out[:, frame] += h[:, frame + tap - 1] @ p["conv/dense/kernel"][4 * tap : 4 * tap + 4]
    np.testing.assert_allclose(found.reshape(x.shape), x + out, atol=1e-10)
    with pytest.raises(ValueError, match="time_taps=2: give an odd number, or 0"):
        NETWORKS["video_unet"](shape=(FRAMES, *IMAGE), time_taps=2, rngs=nnx.Rngs(0))


def test_across_gives_each_place_its_own_frames_and_puts_them_back():
    x = np.arange(2 * 3 * 4 * 5 * 2).reshape(6, 4, 5, 2)
    seen = []
    out = across(jnp.asarray(x), 3, lambda h: seen.append(h) or h)
    np.testing.assert_array_equal(out, x)
    (seen,) = seen
    assert seen.shape == (2 * 4 * 5, 3, 2)
    np.testing.assert_array_equal(seen[20 + 7], x[3:, 1, 2])  # place (1, 2) of the second video


def test_frames_that_are_channels_come_back_in_their_places():
    """Those of an image one after the other; a mean and a variance of each stay beside it."""
    x = np.arange(2 * 6 * 4 * 5 * 2).reshape(2, 6, 4, 5, 2)
    images = np.asarray(to_images(jnp.asarray(x), 3))
    assert images.shape == (4, 4, 5, 6)
    np.testing.assert_array_equal(images[3, ..., 2:4], x[1, 4])  # the second of the last three
    np.testing.assert_array_equal(to_videos(jnp.asarray(images), 6, 3, 2), x)
    both = np.concatenate([images, -images], axis=-1)
    found = to_videos(jnp.asarray(both), 6, 3, 2)
    np.testing.assert_array_equal(found, np.concatenate([x, -x], axis=-1))


@pytest.mark.parametrize("image", ["unet", "dit"])
def test_a_patch_in_time_is_an_image_of_more_channels(image):
    """While its layers over time are as they begin; what is beside it is cut into such too."""
    shape, (height, width, channels) = (4, *IMAGE), IMAGE
    told = {"shape": shape, "time_patch": 2}
    seen = fields.video((1, height, width, 1), name="first_frames")
    small = SMALL[image] | SMALL[f"video_{image}"]
    conditions = {"first_frames": Make(Video(), seen)}
    ours = functional(
        lambda rngs: NETWORKS[f"video_{image}"](**told, **small, conditions=conditions, rngs=rngs)
    )
    theirs = functional(
        lambda rngs: NETWORKS[image](shape=(height, width, 2 * channels), **SMALL[image], rngs=rngs)
    )
    params, constants = filled(ours)
    zero = {k: a * (not _last(k)) for k, a in params.items()}
    x, noise, _ = asked("dit")
    x = np.concatenate([x, x[:, :1] + 1], axis=1)
    own = {k: a for k, a in params.items() if "/time/" not in k and "beside" not in k}
    assert own.keys() == filled(theirs)[0].keys()
    called, of_image = quick_jit(ours.apply), quick_jit(theirs.apply)
    found = called(zero, constants, x, noise, None)
    for pair in (0, 1):
        frames = np.concatenate([x[:, 2 * pair], x[:, 2 * pair + 1]], axis=-1)
        alone = of_image(own, constants, frames, noise, None)
        for frame, part in enumerate(np.split(np.asarray(alone), 2, axis=-1)):
            np.testing.assert_allclose(found[:, 2 * pair + frame], part, rtol=2e-4, atol=2e-4)
    shown = [np.full((2, 1, height, width, 1), level, np.uint8) for level in (50, 200)]
    dark, light = (
        np.asarray(called(zero, constants, x, noise, {"first_frames": frame})) for frame in shown
    )
    changed = np.any(light != dark, axis=(0, 2, 3, 4))
    np.testing.assert_array_equal(changed, [True, True, False, False])
    np.testing.assert_allclose(light[:, 2:], found[:, 2:], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="time_patch=3 does not divide 4 frames"):
        NETWORKS[f"video_{image}"](**told | {"time_patch": 3}, **small, rngs=nnx.Rngs(0))


@each_image
def test_it_is_for_videos(image):
    with pytest.raises(ValueError, match=r"for videos, \(frames, height, width, channels\), not"):
        make(f"video_{image}", IMAGE)
    network = make(f"video_{image}", (FRAMES, *IMAGE))
    with pytest.raises(ValueError, match=r"this network is for \[batch, \*\(3, 4, 4, 2\)\]"):
        jax.eval_shape(network.apply, *network.shapes, jnp.zeros((2, 4, *IMAGE)), jnp.ones(2))


def test_heads_must_divide_the_features():
    with pytest.raises(ValueError, match="joint: 4 features a head are no multiple of 8"):
        NETWORKS["video_dit"](
            shape=(FRAMES, *IMAGE), **SMALL["dit"] | {"joint": True}, rngs=nnx.Rngs(0)
        )
    with pytest.raises(ValueError, match="time_heads=3: 8 features must be a multiple of 6"):
        TimeAttention(8, 3, 2, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="time_heads=2: 8 features must be a multiple of 16"):
        TimeAttention(8, 2, 2, joint=True, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
