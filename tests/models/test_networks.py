"""What holds for every network: what it is made of, how it is called, what it refuses."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import fields, values
from score_sde.models import NETWORKS, arguments, instead, read
from score_sde.models.conditions import Number
from score_sde.models.functional import Maker, functional
from score_sde.models.width import widening
from score_sde.parts import AUTOENCODERS

SMALL = {
    "unet": {"shape": (4, 8, 1), "channels": 4, "channel_mult": (1,), "num_res_blocks": 1},
    "adm": {"shape": (4, 8, 1), "channels": 4, "channel_mult": (1,), "num_res_blocks": 1},
    "edm2": {"shape": (4, 8, 1), "channels": 4, "channel_mult": (1,), "num_res_blocks": 1},
    "dit": {"shape": (4, 8, 1), "channels": 8, "depth": 1, "heads": 2},
    "uvit": {"shape": (4, 8, 1), "channels": 8, "depth": 3, "heads": 2},
    "video_unet": {
        **{"shape": (3, 4, 8, 1), "channels": 4, "channel_mult": (1,), "num_res_blocks": 1},
        **{"time_heads": 2},
    },
    "video_dit": {"shape": (3, 4, 8, 1), "channels": 8, "depth": 1, "heads": 2},
    "ncsn": {"shape": (4, 8, 1), "channels": 4, "channel_mult": (1,), "dilations": (1,)},
    "ncsnv2": {"shape": (4, 8, 1), "channels": 4, "channel_mult": (1,), "dilations": (1,)},
    "mlp": {"shape": (3,), "channels": 16, "depth": 1},
    "set_transformer": {"shape": (5, 3), "channels": 8, "depth": 1, "heads": 2},
    "egnn": {"shape": (5, 6), "channels": 8, "depth": 1},
    "token_transformer": {"shape": (3,), "vocabulary": 5, "channels": 8, "depth": 1, "heads": 2},
    "adm_classifier": {"shape": (4, 8, 1), "classes": 3, "channels": 4, "channel_mult": (1,)},
    "wide_resnet": {"shape": (4, 8, 1), "classes": 3, "depth": 10, "width": 1},
    "cross_unet": {
        **{"shape": (4, 8, 1), "widths": (4,), "num_res_blocks": 1, "transformer_depth": (1,)},
        **{"heads": (1,), "groups": 2, "text_features": 6},
    },
    "mmdit": {"shape": (4, 8, 1), "depth": 1, "heads": 1, "channels": 8, "text_features": 6},
    "flux": {
        **{"shape": (4, 8, 1), "depth": 1, "single_depth": 1, "heads": 1, "axes": (4, 2, 2)},
        **{"text_features": 6},
    },
    "autoencoder": {"shape": (4, 8, 1), "image_channels": 1, "widths": (4, 8), "groups": 2},
    "sound_autoencoder": {"shape": (8,), "widths": (4, 8), "factors": (2,)},
    "pixart": {"shape": (4, 8, 1), "depth": 1, "heads": 1, "channels": 12, "text_features": 6},
    "stable_audio": {
        **{"shape": (8, 2), "depth": 1, "heads": 2, "channels": 8, "text_features": 6},
        **{"key_value_heads": 1},
    },
}
VIDEO = ("video_unet", "video_dit")
# As small, and twice as wide, where that is not twice the option channels.
NARROW = {"wide_resnet": {"width": 2}}
TWICE = {
    "wide_resnet": {"width": 4},
    "cross_unet": {"widths": (8,)},
    "autoencoder": {"widths": (8, 16)},
    "sound_autoencoder": {"widths": (8, 16)},
    "flux": {"heads": 2},
}
# What networks of texts have to be told.
TEXT = {"text": jnp.zeros((2, 5, 6))}
TOLD = {
    "cross_unet": TEXT,
    "mmdit": {**TEXT, "pooled": jnp.zeros((2, 2048))},
    "flux": {**TEXT, "pooled": jnp.zeros((2, 768)), "guidance": jnp.ones(2)},
    "pixart": {**TEXT, "sizes": jnp.ones((2, 3))},
    "stable_audio": {**TEXT, "start": jnp.zeros(2), "seconds": jnp.ones(2)},
}
each_network = pytest.mark.parametrize("name", NETWORKS)
# An autoencoder has encode and decode instead.
each_called = pytest.mark.parametrize("name", [n for n in NETWORKS if n not in AUTOENCODERS])
CONDITIONS = {"size": functools.partial(Number().embedding, fields.number("size"))}


def make(name, **options):
    return functional(lambda rngs: NETWORKS[name](**SMALL[name], **options, rngs=rngs))


def output_shape(name):
    """Of two examples: a state, logits of the classes, or of the tokens."""
    shape, classes, vocabulary = (SMALL[name].get(n) for n in ("shape", "classes", "vocabulary"))
    return (2, classes) if classes else (2, *shape, *([vocabulary] if vocabulary else []))


def called(name, model, cond, key=None):
    dtype = int if "vocabulary" in SMALL[name] else float
    x, noise = jnp.zeros((2, *SMALL[name]["shape"]), dtype), jnp.ones(2)
    return jax.eval_shape(model.apply, *model.shapes, x, noise, cond, key=key)


@each_network
def test_its_options_can_stand_in_a_config(name):
    """Every argument but rngs has a default, of the type that its annotation says."""
    parameters = dict(inspect.signature(NETWORKS[name].__init__).parameters)
    del parameters["self"]
    assert [n for n, p in parameters.items() if p.default is p.empty] == ["rngs"]
    assert {"shape", "conditions", "rngs"} <= arguments.given(NETWORKS[name])
    options = arguments.options(NETWORKS[name])
    assert options.keys() | arguments.given(NETWORKS[name]) == parameters.keys()
    assert not options.keys() & arguments.given(NETWORKS[name])
    for option, (default, annotation, meaning) in options.items():
        assert type(default) is values.python_type(annotation)
        values.check(option, default, annotation)
        assert meaning


@each_called
def test_all_are_called_alike(name):
    """network(x, noise_label, cond, key=key) gives a state, or logits of classes or tokens."""
    out = called(name, make(name), TOLD.get(name), jax.random.key(0))
    assert out.shape == output_shape(name)


@each_called
def test_conditions_are_told_or_refused(name):
    """A network without a condition says so; one that cannot have any says so when it is made."""
    cond = {**TOLD.get(name, {}), "size": jnp.zeros(2)}
    other = "text" if name in TOLD else "nothing"
    with pytest.raises(ValueError, match=f"this network is not told size: it is told .*{other}"):
        called(name, make(name), cond)
    if name in (
        *("unet", "dit", "uvit", "adm", "edm2", "mlp", "cross_unet", "set_transformer", "egnn"),
        *("token_transformer", *VIDEO),
    ):
        told = make(name, conditions=CONDITIONS)
        assert any("conditions/size/" in k for k in told.shapes[0])
        assert called(name, told, cond, jax.random.key(0)).shape == output_shape(name)
        with pytest.raises(ValueError, match=r"is not told label: it is told .*size"):
            called(name, told, {**cond, "label": jnp.zeros(2, int)})
    else:
        with pytest.raises(ValueError, match="this network cannot be told size: use the network u"):
            make(name, conditions=CONDITIONS)


@each_network
def test_every_network_can_have_a_base(name):
    """Twice as wide, its kernels have half of the rate; as its own base it is left as it is."""
    base = {**SMALL[name], **NARROW.get(name, {})}
    own = TWICE.get(name) or {"channels": 2 * base["channels"]}
    networks = {
        width: Maker(NETWORKS[name], {**base, **(own if width == "own" else {})})
        for width in ("base", "own")
    }
    found = widening(networks["own"], networks["base"])
    same = widening(networks["base"], networks["base"])
    assert same == ({}, {})
    half = 2**-0.5 if name == "edm2" else 0.5
    assert any(np.allclose(rate, half) for rate in found.rates.values())
    assert all(np.all((rate > 0) & (rate <= 1)) for rate in found.rates.values())
    shapes, _ = functional(networks["own"]).shapes
    assert {*found.rates, *found.starts} <= shapes.keys()
    assert all(
        np.broadcast_shapes(factor.shape, shapes[path].shape) == shapes[path].shape
        for factors in found
        for path, factor in factors.items()
    )


def test_networks_that_a_message_names_can_read_the_states():
    """A set of places is none of images, vectors or tokens; own options that cannot be are not."""
    given = {"shape": (8, 3), "conditions": {}, "noise_label": "time", "num_scales": 0}
    given |= {"learn_variance": False, "size_condition": ""}
    assert instead("set_transformer", given, {}) == ""
    assert instead("mlp", given, {}) == ": choose set_transformer or egnn"
    assert instead("mlp", given | {"shape": (2, 2, 2, 2, 1)}, {}) == ": no network goes with both"
    with pytest.raises(
        ValueError, match="with this space and objective: choose set_transformer or"
    ):
        read({"name": "token_transformer"}, given, {})
