"""Official checkpoints reproduce the official networks' scores."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde.interop import song
from score_sde.models import UNet
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

NAMES = ("ddpmpp_vp", "ddpmpp_subvp", "ncsnpp_vp", "ncsnpp_ve", "ncsnpp_ve_output_skip")
NAMES += ("ddpm_vp_discrete",)


def config(shared, name):
    return json.loads((shared / "golden" / f"{name}.json").read_text())


def options(config):
    """Arguments of UNet for an official configuration."""
    model, data = config["model"], config["data"]
    arguments = {
        "shape": (data["image_size"], data["image_size"], data["num_channels"]),
        "channels": model["nf"],
        "channel_mult": model["ch_mult"],
        "num_res_blocks": model["num_res_blocks"],
        "attn_resolutions": model["attn_resolutions"],
        "scale_by_sigma": model["scale_by_sigma"],
        "centered": data["centered"],
    }
    if model["name"] == "ddpm":  # positional whatever its config says; 32 groups always
        return {**arguments, "resblock": "ddpm", "skip_rescale": False, "group_size": 1}
    return {
        **arguments,
        "resblock": model["resblock_type"],
        "fir": model["fir"],
        "fir_kernel": model["fir_kernel"],
        "skip_rescale": model["skip_rescale"],
        "progressive_input": model["progressive_input"],
        "progressive_output": model["progressive"],
        "progressive_combine": model["progressive_combine"],
        "embedding": model["embedding_type"],
    }


def label_and_factor(config, t):
    """What the network is told at time t, and the factor from its output to the score; float32."""
    sde, model = config["training"]["sde"], config["model"]
    if sde == "vesde":
        return model["sigma_min"] * (model["sigma_max"] / model["sigma_min"]) ** t, np.ones(4)
    beta = t * model["beta_min"] + t**2 / 2 * (model["beta_max"] - model["beta_min"])
    if sde == "subvpsde":
        return 999 * t, -1 / (1 - np.exp(-beta))
    if config["training"]["continuous"]:
        return 999 * t, -1 / np.sqrt(1 - np.exp(-beta))
    # A discrete network is told the real number, but its std is that of the whole step below.
    steps = np.linspace(model["beta_min"] / 1000, model["beta_max"] / 1000, 1000, dtype=np.float32)
    std = np.sqrt(1 - np.cumprod(1 - steps))
    return 999 * t, -1 / std[(999 * t).astype(int)]


@pytest.mark.parametrize("name", NAMES)
def test_scores_under_raw_and_ema_weights(shared, name):
    official = config(shared, name)
    golden = np.load(shared / "golden" / f"{name}.npz")
    make = lambda rngs: UNet(**options(official), rngs=rngs)  # noqa: E731
    model = functional(make)
    checkpoint = song.read(shared / "golden" / f"{name}.pth")
    assert checkpoint["step"] == 1234
    x = jnp.asarray(golden["x_nchw"].transpose(0, 2, 3, 1))
    label, factor = label_and_factor(official, golden["t"])
    apply = quick_jit(model.apply)
    for weights in ("raw", "ema"):
        params, constants = song.to_params(abstract(make), checkpoint, weights)
        assert (shapes(params), shapes(constants)) == tuple(map(shapes, model.shapes))
        score = apply(params, constants, x, jnp.asarray(label)) * factor[:, None, None, None]
        expected = golden[f"score_{weights}_weights"].transpose(0, 2, 3, 1)
        for one, reference in zip(score, expected, strict=True):  # no example hides another
            assert np.linalg.norm(one - reference) < 1e-5 * np.linalg.norm(reference)


def abstract(make):
    return nnx.eval_shape(lambda: make(nnx.Rngs(0)))


def shapes(arrays):
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def mapped(shared, name, **changes):
    arguments = {**options(config(shared, name)), **changes}
    checkpoint = song.read(shared / "golden" / f"{name}.pth")
    return song.to_params(abstract(lambda rngs: UNet(**arguments, rngs=rngs)), checkpoint)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "ddpmpp_vp",
            {"channels": 32},
            r"0\.weight: the checkpoint has \(64, 16\), the model \(128, 32\)",
        ),
        (
            "ddpmpp_vp",
            {"channel_mult": (1, 3)},
            r"5\.Conv_0\.weight: the checkpoint has \(32, 16, 3, 3\), the model \(48, 16, 3, 3\)",
        ),
        (
            "ddpmpp_vp",
            {"attn_resolutions": ()},
            r"6\.NIN_0\.W: the checkpoint has \(32, 32\), the model no such array",
        ),
        (
            "ddpmpp_vp",
            {"embedding": "fourier"},
            r"0\.weight: the checkpoint has \(64, 16\), the model no such array",
        ),
        ("ncsnpp_vp", {"fir": False}, r"5\.Conv2d_0\.weight: .* the model no such array"),
        ("ddpm_vp_discrete", {"resblock": "biggan"}, r"5\.NIN_0\.W: .* the model no such array"),
    ],
    ids=str,
)
def test_a_wrong_config_names_the_first_difference(shared, name, changes, message):
    with pytest.raises(ValueError, match=message):
        mapped(shared, name, **changes)


def test_an_array_that_only_the_model_has(shared):
    checkpoint = song.read(shared / "golden" / "ddpmpp_vp.pth")
    del checkpoint["model"]["module.all_modules.17.bias"]
    model = abstract(lambda rngs: UNet(**options(config(shared, "ddpmpp_vp")), rngs=rngs))
    with pytest.raises(ValueError, match=r"17\.bias: the checkpoint has no such array, the model"):
        song.to_params(model, checkpoint)


def test_averages_must_be_of_the_trainable_parameters(shared):
    checkpoint = song.read(shared / "golden" / "ncsnpp_ve.pth")
    model = abstract(lambda rngs: UNet(**options(config(shared, "ncsnpp_ve")), rngs=rngs))
    average = checkpoint["ema"]
    with pytest.raises(ValueError, match="averages 157 arrays, but the model trains 156"):
        song.to_params(model, {**checkpoint, "ema": [*average, average[0]]}, "ema")
    with pytest.raises(ValueError, match="does not fit"):
        song.to_params(model, {**checkpoint, "ema": average[::-1]}, "ema")
    with pytest.raises(ValueError, match="weights is 'best'"):
        song.to_params(model, checkpoint, "best")


def test_fourier_frequencies_come_from_the_checkpoint(shared):
    _, constants = mapped(shared, "ncsnpp_ve")
    stored = song.read(shared / "golden" / "ncsnpp_ve.pth")["model"]["module.all_modules.0.W"]
    np.testing.assert_array_equal(constants["noise_embedding/frequencies"], stored)


def test_names_are_one_to_one_at_full_size():
    options = {"fir": True, "progressive_input": "residual", "embedding": "fourier"}
    model = abstract(lambda rngs: UNet(**options, num_res_blocks=8, rngs=rngs))
    official = {name for slot in song._slots(model) for name in slot.shapes}
    assert len(official) == len(jax.tree.leaves(nnx.state(model)))


def test_another_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(song.torch_file, "load", lambda path: {"state_dict": {}})
    (tmp_path / "a.pth").touch()
    with pytest.raises(ValueError, match="not a checkpoint of score_sde_pytorch"):
        song.read(tmp_path / "a.pth")
