"""DiT with embeddings in each block, PixArt, and the class that both had: numbers, real sizes."""

import functools

import jax
import numpy as np
import pytest
from components import check_back, check_real, nhwc, opened, relative
from filled import quick_jit

from score_sde.interop.components import COMPONENTS, base, folder

DIT, PIXART, EITHER = (
    COMPONENTS[name]
    for name in ("DiTTransformer2DModel", "PixArtTransformer2DModel", "Transformer2DModel")
)


def path(shared, name):
    return shared / "golden" / "latent" / "pipelines" / name / "transformer"


@functools.cache
def network(shared, name):
    """The compiled network with its arrays, by the class that its config.json names."""
    component = COMPONENTS[folder.config(path(shared, name))["_class_name"]]
    net, placed, _ = opened(component, path(shared, name))
    apply = quick_jit(net.apply)

    def run(*args):
        with jax.default_matmul_precision("highest"):
            return apply(*placed, *args)

    return run


def golden(shared, name, case):
    arrays = np.load(shared / "golden" / "latent" / "golden" / f"{name}.npz")
    start = f"transformer/{case}/"
    return {k.removeprefix(start): arrays[k] for k in arrays.files if k.startswith(start)}


@pytest.mark.parametrize("case", ["b3", "b1"])
def test_numbers_of_dit(shared, case):
    """Each block has other embeddings in this file; label 1000 is none."""
    given = golden(shared, "dit", case)
    x, label = nhwc(given["hidden_states"]), given["class_labels"]
    found = network(shared, "dit")(x, given["timestep"].astype(np.float32), {"label": label})
    assert relative(found, nhwc(given["out"])) < 1e-5


@pytest.mark.parametrize("case", ["b2", "nonsquare"])
def test_numbers_of_pixart(shared, case):
    """With a mask of the text and sizes; positions that do not depend on how many there are."""
    given = golden(shared, "pixart", case)
    cond = {
        "text": given["encoder_hidden_states"],
        "text_mask": given["encoder_attention_mask"],
        "sizes": np.concatenate([given["resolution"], given["aspect_ratio"]], axis=1),
    }
    time = given["timestep"].astype(np.float32)
    found = network(shared, "pixart")(nhwc(given["hidden_states"]), time, cond)
    assert relative(found, nhwc(given["out"])) < 1e-5


@pytest.mark.parametrize(("name", "component"), [("dit", DIT), ("pixart", EITHER)])
def test_they_are_written_as_they_were_read(shared, name, component):
    """Every array; PixArt's by the name of its class in older files."""
    check_back(component, path(shared, name))


@pytest.mark.parametrize("component", [DIT, EITHER], ids=["today", "old"])
def test_real_dit(shared, component):
    """Names, shapes and the count; nothing is made."""
    check_real(shared, component, "dit_xl_2_256_transformer")


@pytest.mark.parametrize("component", [PIXART, EITHER], ids=["today", "old"])
def test_real_pixart(shared, component):
    """The same."""
    check_real(shared, component, "pixart_alpha_xl_1024_transformer")


def test_pixart_of_other_sizes():
    """Of 512 pixels no size is told, and positions are a patch apart; of 1024 they are half one."""
    large, small = (PIXART.options({"caption_channels": 1, "sample_size": n}) for n in (128, 64))
    assert (large["sized"], large["span"]) == (True, 32)
    assert (small["sized"], small["span"]) == (False, 32)


@pytest.mark.parametrize(
    ("component", "config", "message"),
    [
        (EITHER, {"norm_type": "layer_norm"}, "norm_type='layer_norm' is not known here, 'ada_n"),
        (EITHER, {}, "norm_type='layer_norm' is not known here"),
        (DIT, {"activation_fn": "geglu"}, "activation_fn='geglu' is not known here"),
        (DIT, {"out_channels": 5}, "out_channels=5 is not known here"),
        (EITHER, {"norm_type": "ada_norm_zero"}, "activation_fn='geglu' is not known here"),
        (DIT, {"num_layers": None}, "num_layers=None must be a whole number above 0"),
        (PIXART, {}, "caption_channels=None must be a whole number above 0"),
        (PIXART, {"norm_eps": 1e-5}, "norm_eps=1e-05 is not known here"),
    ],
)
def test_what_there_is_not_is_refused(component, config, message):
    """By the value of config.json."""
    with pytest.raises(ValueError, match=message):
        base.abstract(component, config)
