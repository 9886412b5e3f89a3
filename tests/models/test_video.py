"""Networks of videos: those of images frame by frame, and attention over the frames between."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import NETWORKS
from score_sde.models.conditions import Label, Text
from score_sde.models.frames import TimeAttention, across
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
    "video_dit": {},
}
each_image = pytest.mark.parametrize("image", ["unet", "dit"])


def make(name, shape):
    options = SMALL[name.removeprefix("video_")] | SMALL[name]
    conditions = CONDITIONS if "unet" in name else {"label": CONDITIONS["label"]}
    told = {"shape": shape, "conditions": conditions, **options}
    return functional(lambda rngs: NETWORKS[name](**told, rngs=rngs))


def asked(image, batch=2):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, FRAMES, *IMAGE)).astype(np.float32)
    cond = {"label": np.array([3, 1], np.int32)}
    if image == "unet":
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
    time = {path: begun[0][path] * ("/attention/out/" not in path) for path in new}
    x, noise, cond = asked(image)
    x = x.astype(np.float64)
    found = quick_jit(ours.apply)({**time, **arrays[0]}, arrays[1], x, noise, cond)
    called = quick_jit(theirs.apply)
    for frame in range(FRAMES):
        alone = called(*arrays, x[:, frame], noise, cond)
        np.testing.assert_allclose(found[:, frame], alone, rtol=1e-12, atol=1e-12)


@each_image
def test_what_it_begins_with_adds_nothing_bit_for_bit(image, monkeypatch):
    """Beside the same without any attention over time, operation by operation, in float32."""
    ours = make(f"video_{image}", (FRAMES, *IMAGE))
    params, constants = filled(ours)
    zero = {k: a * (0 if "/time/attention/out" in k else 1) for k, a in params.items()}
    x, noise, cond = asked(image)
    found = ours.apply(zero, constants, x, noise, cond)
    monkeypatch.setattr(TimeAttention, "__call__", lambda self, x: x)
    np.testing.assert_array_equal(found, ours.apply(params, constants, x, noise, cond))


def test_its_last_layer_is_zero_at_first():
    """Exactly, where layers that begin "near zero" are drawn of variance 1e-10."""
    one = TimeAttention(8, 2, 3, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    assert np.any(one.attention.qkv.kernel[...])
    assert not any(
        np.any(array[...]) for array in (one.attention.out.kernel, one.attention.out.bias)
    )
    x = jax.random.normal(jax.random.key(0), (6, 2, 8))
    np.testing.assert_array_equal(one(x), x)


@each_image
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


@each_image
def test_a_condition_is_hidden_in_all_frames_or_none(image):
    """Equal frames stay equal: told the same, at one noise level, but by the attention's places."""
    ours = make(f"video_{image}", (FRAMES, *IMAGE))
    params, constants = filled(ours)
    still = {k: a * (0 if "/time/attention/out" in k else 1) for k, a in params.items()}
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
    found = model.apply(params, constants, jnp.asarray(x.reshape(2 * frames, places, features)))
    p = {name: np.asarray(array) for name, array in params.items()}
    h = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    h = h * p["norm/scale"] + p["norm/bias"]
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


def test_across_gives_each_place_its_own_frames_and_puts_them_back():
    x = np.arange(2 * 3 * 4 * 5 * 2).reshape(6, 4, 5, 2)
    seen = []
    out = across(jnp.asarray(x), 3, lambda h: seen.append(h) or h)
    np.testing.assert_array_equal(out, x)
    (seen,) = seen
    assert seen.shape == (2 * 4 * 5, 3, 2)
    np.testing.assert_array_equal(seen[20 + 7], x[3:, 1, 2])  # place (1, 2) of the second video


@each_image
def test_it_is_for_videos(image):
    with pytest.raises(ValueError, match=r"for videos, \(frames, height, width, channels\), not"):
        make(f"video_{image}", IMAGE)
    network = make(f"video_{image}", (FRAMES, *IMAGE))
    with pytest.raises(ValueError, match=r"this network is for \[batch, \*\(3, 4, 4, 2\)\]"):
        jax.eval_shape(network.apply, *network.shapes, jnp.zeros((2, 4, *IMAGE)), jnp.ones(2))


def test_heads_must_divide_the_features():
    with pytest.raises(ValueError, match="time_heads=3: 8 features must be a multiple of 6"):
        TimeAttention(8, 3, 2, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
