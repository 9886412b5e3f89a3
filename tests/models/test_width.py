"""muP against Table 3 of the paper, and what it is for: steps that do not grow with the width."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from filled import quick_jit

from score_sde.models import NETWORKS, width
from score_sde.models.edm2 import SIZES
from score_sde.models.functional import Maker, functional
from score_sde.training.optimizer import optimizer
from score_sde.training.options import OptimOptions

pytestmark = pytest.mark.slow

MLP = {"shape": (3,), "channels": 16, "depth": 1, "init_scale": 1.0}
DIT = {"shape": (4, 4, 1), "channels": 16, "depth": 2, "heads": 2}
UNET = {"shape": (4, 4, 1), "channels": 8, "channel_mult": (1,), "num_res_blocks": 1}
UNET |= {"attn_resolutions": (4,)}
RESNET = {"shape": (4, 8, 1), "classes": 3, "depth": 10, "width": 1}
# Learning rates of EDM2's released recipes for 512 pixels, by size.
PUBLISHED = {"xs": 0.0120, "s": 0.0100, "m": 0.0090, "l": 0.0080, "xl": 0.0070, "xxl": 0.0065}


def make(name, base, **own):
    return Maker(NETWORKS[name], {**base, **own})


def widened(name, base, **own):
    return width.widening(make(name, base, **own), make(name, base))


def test_learning_rates_are_those_of_the_table():
    """Of a network four times as wide: 1/4 of hidden and last kernels, 1 of first ones and vectors.

    A network is not wider for having more noise features: their kernel is a hidden one.
    """
    found = widened("mlp", MLP, channels=64).rates
    hidden = ("noise_embedding/dense_0", "noise_embedding/dense_1", "dense_out")
    hidden += tuple(f"blocks/0/{name}" for name in ("dense", "dense_0", "dense_1"))
    assert found == {f"{layer}/kernel": 0.25 for layer in hidden}


def test_first_values_are_those_of_the_table():
    """Standard deviations in eight standard errors: as the base's, over sqrt(4), and over 4.

    The base draws uniform numbers of variance 2 / (fan in + fan out).
    """
    own = make("mlp", MLP, channels=64)
    network = width.started(functional(own), width.widening(own, make("mlp", MLP)).starts)
    drawn, _ = network.init(jax.random.key(0))
    first = math.sqrt(2 / (3 + 16))
    expected = {"dense_in": first, "blocks/0/dense_0": 0.25 / 2, "dense_out": first / 4}
    for layer, std in expected.items():
        kernel = np.asarray(drawn[f"{layer}/kernel"])
        error = std * math.sqrt((9 / 5 - 1) / (4 * kernel.size))
        assert abs(kernel.std() - std) < 8 * error, layer
        assert abs(kernel).max() <= math.sqrt(3) * std * (1 + 1e-6), layer


@pytest.mark.parametrize(
    ("name", "base", "own", "kernel", "parts"),
    [
        ("dit", DIT, {"channels": 64}, "blocks/block/attention/qkv/kernel", 3),
        ("dit", DIT, {"channels": 64}, "blocks/block/attention/qkv/bias", 3),
        ("dit", DIT, {"channels": 64, "heads": 8}, "blocks/block/attention/qkv/kernel", 0),
        ("unet", UNET, {"channels": 32}, "middle/1/query/kernel", 1),
    ],
)
def test_queries_make_logits_over_d_where_heads_grow(name, base, own, kernel, parts):
    """Their share of the columns is sqrt(d of the base / d), 1/2 here; of as large heads, 1."""
    found = widened(name, base, **own)
    rate = 0.25 if kernel.endswith("kernel") else 1.0
    queries = np.array([0.5, 1.0, 1.0][: max(parts, 1)] if parts else [1.0])
    for factors, usual in ((found.rates, rate), (found.starts, 1.0)):
        got = np.asarray(factors.get(kernel, 1.0)).reshape(len(queries), -1)
        np.testing.assert_allclose(got, usual * np.broadcast_to(queries[:, None], got.shape))


@pytest.mark.parametrize(
    ("name", "base", "larger", "more", "path"),
    [
        (
            "adm",
            {**UNET, "head_channels": 8},
            {"channels": 16, "head_channels": 16},
            {"channels": 16},
            "encoder/middle/1",
        ),
        (
            "adm_classifier",
            {"shape": (4, 4, 1), "classes": 3, "channels": 8, "channel_mult": (1,)}
            | {"head_channels": 8},
            {"channels": 16, "head_channels": 16},
            {"channels": 16},
            "pool",
        ),
        (
            "cross_unet",
            {"shape": (4, 8, 1), "widths": (4,), "num_res_blocks": 1, "transformer_depth": (1,)}
            | {"heads": (1,), "groups": 2, "text_features": 6},
            {"widths": (8,)},
            {"widths": (8,), "heads": (2,)},
            "up/0/attentions/0/blocks/block/attention_1",
        ),
        (
            "pixart",
            {"shape": (4, 8, 1), "depth": 1, "heads": 1, "channels": 12, "text_features": 6},
            {"channels": 24},
            {"channels": 24, "heads": 2},
            "blocks/block/cross_attention",
        ),
    ],
)
def test_each_attention_says_what_makes_its_queries(name, base, larger, more, path):
    """Twice as wide by heads twice as large, or by as many more."""
    for own, factor in ((larger, 0.5**0.5), (more, 1.0)):
        rates = widened(name, base, **own).rates
        np.testing.assert_allclose(rates[f"{path}/query/kernel"], 0.5 * factor)


def test_a_norm_of_queries_has_the_factor_in_their_place():
    found = widened("dit", {**DIT, "qk_norm": True}, channels=64)
    assert np.all(found.rates["blocks/block/attention/query_norm/scale"] == 0.5)
    assert np.all(found.starts["blocks/block/attention/query_norm/scale"] == 0.5)
    assert found.rates["blocks/block/attention/qkv/kernel"] == 0.25


def test_smaller_queries_are_adam_on_smaller_logits(x64):
    """Steps of c W, begun at c W with c times the rate, are c times those of W: equation (4)."""
    key = jax.random.key(0)
    weight, x, keys = (jax.random.normal(k, (6, 6)) for k in jax.random.split(key, 3))
    c = np.full((1, 6), 0.5)
    options = OptimOptions(learning_rate=0.1, warmup=0, clip=0.0, eps=1e-30, weight_decay=0.1)

    def trained(start, rates, factor):
        transform = optimizer(options, 10, rates)
        params = {"kernel": start}
        state = transform.init(params)

        def loss(params):
            logits = factor * x @ params["kernel"] @ keys
            return jnp.sum(jax.nn.softmax(logits)[:, 0])

        for _ in range(3):
            updates, state = transform.update(jax.grad(loss)(params), state, params)
            params = optax.apply_updates(params, updates)
        return factor * params["kernel"]

    logits = trained(weight, {}, 0.5)
    np.testing.assert_allclose(trained(0.5 * weight, {"kernel": c}, 1.0), logits, rtol=1e-10)


def test_edm2s_published_learning_rates_follow():
    """They are 1 / sqrt(channels) of the smallest to 7 %; first layers and gains are left out."""
    small = {"shape": (8, 8, 4), "channel_mult": (1,), "num_res_blocks": 1}
    for size in SIZES:
        rates = widened("edm2", {**small, "size": "xs"}, size=size).rates
        hidden = PUBLISHED["xs"] * rates.get("middle/0/conv_0/kernel", 1.0)
        assert abs(hidden / PUBLISHED[size] - 1) < 0.07, size
        assert not rates.keys() & {"conv_in/kernel", "gain"}


@pytest.mark.parametrize(
    ("name", "base", "own"),
    [
        ("dit", DIT, {"depth": 3}),
        ("mlp", MLP, {"depth": 2}),
        ("dit", DIT, {"qk_norm": True}),
        ("wide_resnet", RESNET, {"width": 2}),  # a first block with a shortcut
    ],
)
def test_a_base_differs_in_widths_alone(name, base, own):
    with pytest.raises(ValueError, match="a base differs in widths alone, and this one in what"):
        widened(name, base, **own)


def test_what_three_steps_change_is_the_same_at_every_width():
    """The paper's check (Appendix D.1): 16 times as wide, activations move as far, or 5 times.

    Without the rule what a step changes of an activation grows with the width. The last layer shows
    what it is given: the identity takes its place.
    """
    x, label = jax.random.normal(jax.random.key(1), (16, 3)), jnp.linspace(0.0, 999.0, 16)

    def moved(network, rates):
        transform = optimizer(OptimOptions(learning_rate=3e-4, warmup=0, clip=0.0), 10, rates)
        first, constants = network.init(jax.random.key(0))

        def loss(params):
            return jnp.mean((network.apply(params, constants, x, label) - x) ** 2)

        def seen(params):
            n = len(params["dense_out/kernel"])
            last = {"dense_out/kernel": jnp.eye(n), "dense_out/bias": jnp.zeros(n)}
            return network.apply({**params, **last}, constants, x, label)

        def change(first):
            params, state = first, transform.init(first)
            for _ in range(3):
                updates, state = transform.update(jax.grad(loss)(params), state, params)
                params = optax.apply_updates(params, updates)
            return jnp.sqrt(jnp.mean((seen(params) - seen(first)) ** 2))

        return float(quick_jit(change)(first))

    base, wide = (make("mlp", MLP, channels=channels) for channels in (32, 512))
    found = width.widening(wide, base)
    usual = moved(functional(base), {})
    with_rule = moved(width.started(functional(wide), found.starts), found.rates)
    without = moved(functional(wide), {})
    assert 1 / 1.6 < with_rule / usual < 1.6
    assert without / usual > 5
