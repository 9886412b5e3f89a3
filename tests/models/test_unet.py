"""The U-Net: sizes as published, options, randomness, precision. Golden outputs: test_song.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.models import UNet
from score_sde.models.functional import functional
from score_sde.models.layers import Constant

NCSNPP = {"fir": True, "progressive_input": "residual"}
VE = {"embedding": "fourier", "scale_by_sigma": True, "centered": False}
PUBLISHED = {
    "ddpm": (35_218_947, {"resblock": "ddpm", "num_res_blocks": 2, "skip_rescale": False}),
    "ddpmpp_cont_vp": (61_804_419, {}),
    "ncsnpp_cont_vp": (62_693_251, NCSNPP),
    "ncsnpp_deep_cont_ve": (107_586_947, {**NCSNPP, **VE, "num_res_blocks": 8}),
    "ncsnpp_256_ve": (
        65_574_421,
        {
            **VE,
            "image_size": 256,
            "channel_mult": (1, 1, 2, 2, 2, 2, 2),
            "num_res_blocks": 2,
            "fir": True,
            "progressive_input": "input_skip",
            "progressive_output": "output_skip",
        },
    ),
}
SMALL = {"image_size": 8, "channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1}
SMALL |= {"attn_resolutions": (4,), "init_scale": 1.0}


# One size only, for what does not depend on there being more.
TINY = {**SMALL, "channel_mult": (1,), "attn_resolutions": (8,)}


def quick_jit(f):
    """Compiles soon rather than well: these programs run once."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})


def make(**options):
    return UNet(**{**TINY, **options}, rngs=nnx.Rngs(0))


def run(model, *args, **kwargs):
    graph, state = nnx.split(model)
    return quick_jit(lambda state: nnx.merge(graph, state)(*args, **kwargs))(state)


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 8, 8, 3), dtype), jnp.array([0.5, 20.0, 900.0])


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_as_published(name):
    count, options = PUBLISHED[name]
    model = nnx.eval_shape(lambda: UNet(**options, rngs=nnx.Rngs(0)))
    assert sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param))) == count


@pytest.mark.parametrize(
    "options",
    [
        {"resblock": "ddpm", "resamp_with_conv": False, "conditional": False, "num_classes": 3},
        {
            "resblock": "ddpm",
            "fir": True,
            "progressive_input": "input_skip",
            "progressive_combine": "cat",
            "progressive_output": "output_skip",
        },
        {"progressive_input": "residual", "progressive_output": "residual", "skip_rescale": False},
    ],
    ids=["ddpm_plain", "skip", "residual"],
)
def test_every_parameter_of_every_option_matters(options):
    x, label = batch()
    model = functional(lambda rngs: UNet(**{**SMALL, **options}, rngs=rngs))
    params, constants = quick_jit(model.init)(jax.random.key(0))

    def loss(p):
        out = model.apply(p, constants, x, label)
        assert out.shape == x.shape
        return (out**2).sum()

    grads = quick_jit(jax.grad(loss))(params)
    # The biases of keys shift all logits of a query alike, which a softmax does not see. Of the
    # class table, only the row of no class is used here.
    dead = [k for k, g in grads.items() if not np.abs(g).max() > 0 and not k.endswith("key/bias")]
    assert dead == []


@pytest.mark.parametrize("choice", ["resblock", "progressive_input", "embedding"])
def test_unknown_choices_are_refused(choice):
    with pytest.raises(ValueError, match=f"{choice} is 'other'; it must be one of"):
        make(**{choice: "other"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 7, "channel_mult": (1, 2)}, "cannot be halved"),
        ({"fir_kernel": (1, 2, 1)}, "even number of taps"),
        ({"scale_by_sigma": True}, "scale_by_sigma needs noise_label to be sigma"),
        ({"channels": 2}, "4 or more"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_wrong_arguments_are_refused():
    x, label = batch()
    with pytest.raises(ValueError, match="this network is for"):
        make()(x[:, :4, :4], label)
    with pytest.raises(ValueError, match="num_classes=0"):
        make()(x, label, jnp.array([0, 1, 2]))


def test_constants_are_not_parameters_and_no_random_state_is_kept():
    model = make(embedding="fourier")
    _, params, constants, rest = nnx.split(model, nnx.Param, Constant, ...)
    assert not jax.tree.leaves(rest)
    assert [c.shape for c in jax.tree.leaves(constants)] == [(8,)]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_randomness_is_a_function_of_the_key():
    (x, label), model = batch(), make(dropout=0.5)
    one, two = jax.random.split(jax.random.key(0))
    graph, state = nnx.split(model)
    call = quick_jit(lambda key: nnx.merge(graph, state)(x, label, key=key))
    np.testing.assert_array_equal(call(one), call(one))
    assert np.abs(call(one) - call(two)).max() > 1e-3
    assert np.abs(call(one) - run(model, x, label)).max() > 1e-3


def test_class_labels():
    (x, label), model = batch(), make(num_classes=4)
    none = run(model, x, label)
    some = run(model, x, label, jnp.array([1, 4, 2]))
    changed = np.abs(some - none).max(axis=(1, 2, 3))
    assert changed[0] > 1e-3
    assert changed[1] < 1e-5
    assert changed[2] > 1e-3


def test_data_range_and_division_by_sigma():
    x, label = batch()
    kw = {"embedding": "fourier"}
    plain = run(make(**kw), 2 * x - 1, label)
    shifted = run(make(**kw, centered=False), x, label)
    np.testing.assert_allclose(shifted, plain, rtol=1e-4, atol=1e-5)
    scaled = run(make(**kw, scale_by_sigma=True), 2 * x - 1, label)
    np.testing.assert_allclose(scaled * label[:, None, None, None], plain, rtol=1e-4, atol=1e-5)


def test_rematerialisation_changes_memory_not_numbers():
    x, label = batch()
    plain, saving = (
        functional(lambda rngs, r=r: UNet(**TINY, dropout=0.3, remat=r, rngs=rngs))
        for r in (False, True)
    )
    params, constants = quick_jit(plain.init)(jax.random.key(0))

    def measure(model):
        def loss(p):
            return (model.apply(p, constants, x, label, key=jax.random.key(5)) ** 2).sum()

        kept = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], params)
        return sum(a.size for a in jax.tree.leaves(kept)), quick_jit(jax.grad(loss))(params)

    (kept_plain, plain), (kept, rematerialised) = measure(plain), measure(saving)
    assert kept < 0.5 * kept_plain
    for name, g in plain.items():
        scale = np.abs(g).max()
        np.testing.assert_allclose(rematerialised[name], g, atol=1e-4 * scale + 1e-4)


def test_float64_input_is_computed_in_float64(x64):
    x, label = batch(jnp.float64)
    with jax.enable_x64(False):  # the parameters are float32 all the same
        model = make()
    exact = run(model, x, label)
    rough = run(model, x.astype(jnp.float32), label.astype(jnp.float32))
    assert exact.dtype == jnp.float64
    assert rough.dtype == jnp.float32
    error = np.linalg.norm(exact - rough) / np.linalg.norm(exact)
    assert 0 < error < 1e-5


def test_bfloat16_computes_roughly_and_returns_float32():
    x, label = batch()
    rough, exact = run(make(dtype=jnp.bfloat16), x, label), run(make(), x, label)
    assert rough.dtype == jnp.float32
    error = np.linalg.norm(rough - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.05


def test_zero_init_scale_starts_near_zero():
    x, label = batch()
    assert np.abs(run(make(init_scale=0.0), x, label)).max() < 1e-3
