"""The U-Net: sizes as published, options, randomness, precision. Golden outputs: test_song.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import UNet
from score_sde.models.conditions import Label
from score_sde.models.functional import functional
from score_sde.models.layers import Constant

pytestmark = pytest.mark.slow

SMALL = {"shape": (8, 8, 3), "channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1}
SMALL |= {"attn_resolutions": (4,), "init_scale": 1.0}


# One size only, for what does not depend on there being more.
TINY = {**SMALL, "channel_mult": (1,), "attn_resolutions": (8,)}

# Every way in which an image enters, leaves and changes its size.
WAYS = {
    "ddpm_plain": {"resblock": "ddpm", "resamp_with_conv": False},
    "skip": {
        "resblock": "ddpm",
        "fir": True,
        "progressive_input": "input_skip",
        "progressive_combine": "cat",
        "progressive_output": "output_skip",
    },
    "residual": {
        "progressive_input": "residual",
        "progressive_output": "residual",
        "skip_rescale": False,
    },
    "levels": {"fourier_features": (3, 4)},
    "patches": {"patch": 2, "progressive_output": "output_skip"},
}


def label(dropout=0.0):
    """One of four classes."""
    return {"label": functools.partial(Label(dropout).embedding, fields.label(4))}


def make(**options):
    return functional(lambda rngs: UNet(**{**TINY, **options}, rngs=rngs))


@functools.cache
def applied(**options):
    """The compiled network, and its arrays."""
    model = make(**options)
    return quick_jit(model.apply), filled(model)


def run(options, *args, **kwargs):
    apply, arrays = applied(**options)
    return apply(*arrays, *args, **kwargs)


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 8, 8, 3), dtype), jnp.array([0.5, 20.0, 900.0])


def test_by_default_it_is_ddpmpp():
    """By its parameters, as published; test_paper.py counts those of the others."""
    model = nnx.eval_shape(lambda: UNet(rngs=nnx.Rngs(0)))
    assert sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param))) == 61_804_419


@pytest.mark.parametrize("way", WAYS)
def test_every_parameter_of_every_option_matters(way):
    x, noise = batch()
    more = {"conditional": False, "conditions": label()} if way == "ddpm_plain" else {}
    model = make(**SMALL, **WAYS[way], **more)
    params, constants = filled(model)

    def loss(p):
        out = model.apply(p, constants, x, noise)
        assert out.shape == x.shape
        return (out**2).sum()

    grads = quick_jit(jax.grad(loss))(params)
    # The biases of keys shift all logits of a query alike, which a softmax does not see. Of the
    # class table, only the row of no class is used here.
    dead = [k for k, g in grads.items() if not np.abs(g).max() > 0 and not k.endswith("key/bias")]
    assert dead == []


def test_patches_are_the_channels_of_a_smaller_network():
    """Row by row; the variance of a pixel stands beside its mean."""
    x, noise = batch()
    inner = jnp.stack([x[:, i::2, j::2] for i in range(2) for j in range(2)], axis=3)
    inner = inner.reshape(3, 4, 4, 12)
    options = {"attn_resolutions": (4,), "learn_variance": True}
    small, large = make(**options, shape=(4, 4, 12)), make(**options, patch=2)
    assert {n: a.shape for n, a in large.shapes[0].items()} == {
        n: a.shape for n, a in small.shapes[0].items()
    }
    arrays = filled(small)
    out = quick_jit(large.apply)(*arrays, x, noise)
    expected = quick_jit(small.apply)(*arrays, inner, noise).reshape(3, 4, 4, 2, 2, 6)
    np.testing.assert_allclose(out[:, 1::2, ::2], expected[:, :, :, 1, 0], atol=1e-6)
    np.testing.assert_allclose(out[:, ::2, 1::2], expected[:, :, :, 0, 1], atol=1e-6)
    with pytest.raises(ValueError, match="width 12 cannot be cut into patches of 2 and halved 2"):
        make(shape=(16, 12, 3), patch=2, channel_mult=(1, 1, 1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sides", [(24, 40), (48, 32)], ids=str)
def test_images_need_not_be_square(way, sides):
    """Each side is halved for itself: the output has the shape of the input."""
    model = make(
        shape=(*sides, 3), channel_mult=(1, 2, 2), attn_resolutions=(6, 8, 12, 16), **WAYS[way]
    )
    x = jax.ShapeDtypeStruct((2, *sides, 3), jnp.float32)
    out = jax.eval_shape(model.apply, *model.shapes, x, jax.ShapeDtypeStruct((2,), jnp.float32))
    assert out.shape == x.shape


def test_a_transposed_network_transposes_its_output(x64):
    """Height and width play the same part: f(x^T) = f(x)^T if all kernels are transposed too."""
    options = {
        **SMALL,
        "fir": True,
        "progressive_input": "residual",
        "progressive_output": "output_skip",
        "attn_resolutions": (10,),
    }
    options |= {"shape": (20, 28, 3), "param_dtype": jnp.float64}
    model = make(**options)
    params, constants = filled(model)
    x = jax.random.normal(jax.random.key(1), (1, 20, 28, 3), jnp.float64)
    out = quick_jit(model.apply)(params, constants, x, jnp.array([20.0]))
    turned = {k: p.swapaxes(0, 1) if p.ndim == 4 else p for k, p in params.items()}
    other = make(**{**options, "shape": (28, 20, 3)})
    back = quick_jit(other.apply)(turned, constants, x.swapaxes(1, 2), jnp.array([20.0]))
    np.testing.assert_allclose(back.swapaxes(1, 2), out, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(16, 32, 3), (32, 16, 3), (16, 16, 3)], ids=str)
def test_attention_counts_the_smaller_side(shape):
    """At 16 of 16x32 as of 16x16, and not at 32."""
    model = make(shape=shape, channel_mult=(1, 1), attn_resolutions=(16, 32))
    blocks = {k.rsplit("/", 2)[0] for k in model.shapes[0] if k.endswith("query/kernel")}
    assert blocks == {"down/0/attentions/0", "middle/1", "up/1/attention"}


@pytest.mark.parametrize("choice", ["resblock", "progressive_input", "embedding"])
def test_unknown_choices_are_refused(choice):
    with pytest.raises(ValueError, match=f"{choice}='other': this field takes one of"):
        make(**{choice: "other"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (7, 8, 3), "channel_mult": (1, 2)}, "height 7 cannot be halved 1 times"),
        ({"shape": (8, 6, 3), "channel_mult": (1, 2, 2)}, "width 6 cannot be halved 2 times"),
        ({"shape": (2,)}, "this network is for images"),
        ({"fir_kernel": (1, 2, 1)}, "even number of taps"),
        ({"scale_by_sigma": True}, "scale_by_sigma needs noise_label to be sigma"),
        ({"channels": 2}, "channels=2 must be at least 4"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"fir_kernel": (0.0, 0.0)}, "must have a sum above 0"),
        ({"attn_resolutions": (3,)}, "no level has such a size, for images of 8 pixels are halved"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_state_of_another_shape_is_refused():
    (x, noise), model = batch(), make()
    with pytest.raises(ValueError, match="this network is for"):
        jax.eval_shape(model.apply, *model.shapes, x[:, :4], noise)


def test_constants_are_not_parameters_and_no_random_state_is_kept():
    model = nnx.eval_shape(lambda: UNet(**TINY, embedding="fourier", rngs=nnx.Rngs(0)))
    _, params, constants, rest = nnx.split(model, nnx.Param, Constant, ...)
    assert not jax.tree.leaves(rest)
    assert [c.shape for c in jax.tree.leaves(constants)] == [(8,)]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_randomness_is_a_function_of_the_key():
    keys = [jax.random.key(0), jax.random.key(0), jax.random.key(1), None]
    one, again, two, none = (run({"dropout": 0.5}, *batch(), key=key) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - two).max() > 1e-3
    assert np.abs(one - none).max() > 1e-3


@functools.cache
def told():
    """A compiled network with a label, which dropout always hides, as a function of its inputs."""
    model = make(conditions=label(1.0), dropout=0.0)
    return quick_jit(functools.partial(model.apply, *filled(model)))


def test_a_label_changes_its_own_image_and_no_label_none():
    """-1 and the number of classes are no label, as None is for all."""
    none = told()(*batch())
    some = told()(*batch(), {"label": jnp.array([1, 4, -1])})
    changed = np.abs(some - none).max(axis=(1, 2, 3))
    assert changed[0] > 1e-3
    assert changed[1:].max() < 1e-5


def test_a_label_that_is_dropped_is_none():
    """With a key; the features have no dropout."""
    some = told()(*batch(), {"label": jnp.array([0, 1, 2])}, key=jax.random.key(0))
    np.testing.assert_allclose(some, told()(*batch()), atol=1e-5)


def test_data_range_and_division_by_sigma():
    x, noise = batch()
    kw = {"embedding": "fourier"}
    plain = run(kw, 2 * x - 1, noise)
    shifted = run({**kw, "centered": False}, x, noise)
    np.testing.assert_allclose(shifted, plain, rtol=1e-4, atol=1e-5)
    scaled = run({**kw, "scale_by_sigma": True}, 2 * x - 1, noise)
    np.testing.assert_allclose(scaled * noise[:, None, None, None], plain, rtol=1e-4, atol=1e-5)


def test_rematerialisation_changes_memory_not_numbers():
    x, noise = batch()
    plain, saving = (make(dropout=0.3, remat=remat) for remat in (False, True))
    params, constants = filled(plain)

    def measure(model):
        def loss(p):
            return (model.apply(p, constants, x, noise, key=jax.random.key(5)) ** 2).sum()

        kept = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], params)
        return sum(a.size for a in jax.tree.leaves(kept)), quick_jit(jax.grad(loss))(params)

    (kept_plain, plain), (kept, rematerialised) = measure(plain), measure(saving)
    assert kept < 0.5 * kept_plain
    for name, g in plain.items():
        scale = np.abs(g).max()
        np.testing.assert_allclose(rematerialised[name], g, atol=1e-4 * scale + 1e-4)


def test_float64_input_is_computed_in_float64(x64):
    x, noise = batch(jnp.float64)
    exact = run({}, x, noise)  # the parameters are float32 all the same
    rough = run({}, x.astype(jnp.float32), noise.astype(jnp.float32))
    assert exact.dtype == jnp.float64
    assert rough.dtype == jnp.float32
    error = np.linalg.norm(exact - rough) / np.linalg.norm(exact)
    assert 0 < error < 1e-5


def test_bfloat16_computes_roughly_and_returns_float32():
    x, noise = batch()
    rough, exact = run({"dtype": jnp.bfloat16}, x, noise), run({}, x, noise)
    assert rough.dtype == jnp.float32
    error = np.linalg.norm(rough - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.05


def test_zero_init_scale_starts_near_zero():
    (x, noise), model = batch(), make(init_scale=0.0)
    out = quick_jit(lambda key: model.apply(*model.init(key), x, noise))(jax.random.key(0))
    assert 0 < np.abs(out).max() < 1e-3
