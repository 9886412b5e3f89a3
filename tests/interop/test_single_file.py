"""Pipelines in one file: the runs that their folders make, and what the shapes of real ones say."""

import dataclasses
import gzip
import json

import numpy as np
import pytest

from score_sde import cli
from score_sde.formats import safetensors
from score_sde.interop import pipelines, single_file
from score_sde.interop.components import (
    COMPONENTS,
    original,
    original_autoencoder,
    original_text,
    original_unet,
)
from score_sde.interop.sources import Folder, Together

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


@pytest.fixture(scope="module")
def latent(shared):
    return shared / "golden" / "latent"


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_file_has_what_its_folder_has(latent, name):
    """Every array of every component, bit for bit after both are prepared, and the same config."""
    path, components = latent / "single_file" / f"{name}.safetensors", latent / "pipelines" / name
    single = pipelines.opened(path, components)
    whole = pipelines.opened(components)
    assert (single.kind, single.index) == (whole.kind, whole.index)
    assert pipelines.propose(path, components) == pipelines.propose(components)
    for part in (single.network, "vae", *single.encoders):
        assert single.source.file.arrays(part) is not None
        component, config = single.component(part), single.config(part)
        found, expected = (component.prepare(one.arrays(part), config) for one in (single, whole))
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, err_msg=f"{part}: {key}")


def test_a_file_becomes_a_run(latent, tmp_path, capsys):
    """Through the command line, with what is missing from a folder; without it that is said."""
    path = latent / "single_file" / "sd15.safetensors"
    command = ["main.py", "--mode=import", f"--checkpoint={path}", f"--workdir={tmp_path / 'run'}"]
    components = f"--components={latent / 'pipelines' / 'sd15'}"
    assert cli.main([*command, components]) == 0
    folder = ["main.py", "--mode=import", f"--checkpoint={latent / 'pipelines' / 'sd15'}"]
    assert cli.main([*folder, f"--workdir={tmp_path / 'other'}"]) == 0
    capsys.readouterr()
    for one in sorted((tmp_path / "run" / "parts").glob("*.safetensors")):
        found, about = safetensors.load(one)
        expected, said = safetensors.load(tmp_path / "other" / "parts" / one.name)
        assert (found.keys(), about) == (expected.keys(), said)
        for name, array in expected.items():  # in half precision in the file
            np.testing.assert_array_equal(found[name], array)
    one, other = (json.loads((tmp_path / n / "config.json").read_text()) for n in ("run", "other"))
    for section in ("model", "space", "sde", "sampling", "text"):
        assert one[section] == other[section]
    command[-1] = f"--workdir={tmp_path / 'third'}"
    for given, message in (
        ([*command, f"--components={tmp_path}"], "8 channels cannot be divided into 32 groups"),
        ([*command, "--components=/nowhere"], "--components=/nowhere is no folder"),
        (["main.py", "--config=digits_vp", components], "--components goes with --mode=import"),
    ):
        assert cli.main(given) == 2
        assert message in capsys.readouterr().err
    other = f"--checkpoint={latent.parent / 'ddpmpp_vp.pth'}"
    assert cli.main(["main.py", "--mode=import", other, components]) == 2
    assert "leave out --components" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


def real(latent, name):
    """The options of a real component, and its arrays, all zeros."""
    files = latent / "real_configs"
    said = json.loads((files / f"{name}.json").read_text())["config"]
    shapes = json.loads(gzip.decompress((files / f"{name}.shapes.json.gz").read_bytes()))
    return said, {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


def openclip(arrays, more):
    """An encoder of OpenCLIP by its own names, with so many layers more than are used."""
    found = {
        "token_embedding.weight": arrays["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": arrays["text_model.embeddings.position_embedding.weight"],
    }
    layers = {key.split(".")[3] for key in arrays if ".layers." in key}
    hidden = arrays["text_model.encoder.layers.0.mlp.fc1.weight"]
    width = found["positional_embedding"].shape[1]
    for i in range(len(layers) + more):
        found[f"transformer.resblocks.{i}.ln_1.weight"] = np.broadcast_to(np.float32(0), width)
        found[f"transformer.resblocks.{i}.mlp.c_fc.weight"] = hidden
    return found | {"text_projection": np.broadcast_to(np.float32(0), (width, width))}


@pytest.mark.parametrize(
    "name",
    ["clip_l_text", "clip_l_text_with_projection", "openclip_bigg_text", "openclip_h_text_sd2"],
)
def test_shapes_say_what_a_text_encoder_is(latent, name):
    """The options of the real ones; of OpenCLIP's also by its own names."""
    said, arrays = real(latent, name)
    (cls,) = said["architectures"]
    expected = COMPONENTS[cls].options(said)
    layouts = [(arrays, False)]
    if "openclip" in name:
        cut = name.endswith("sd2")
        layouts.append((openclip(arrays, more=int(cut)), cut))
    for given, cut in layouts:
        found = original_text.clip_config(given, cut=cut)
        assert found["architectures"] == [cls]
        assert COMPONENTS[cls].options(found) == expected


def test_stable_diffusion_2_leaves_out_its_last_layer(latent, tmp_path):
    """A file of it has 24 layers of OpenCLIP's H, of which its folder has 23, and a projection."""
    said, arrays = real(latent, "openclip_h_text_sd2")
    others = {"text_encoder": openclip(arrays, more=1)}
    file = single_file.SingleFile(tmp_path, single_file.SD2, {}, others, {}, False)
    found = file.config("text_encoder")
    assert (found["num_hidden_layers"], found["architectures"]) == (23, ["CLIPTextModel"])
    assert found["num_hidden_layers"] == said["num_hidden_layers"]


def test_shapes_say_what_t5_is(latent):
    said, arrays = real(latent, "t5_v1_1_xxl_encoder")
    options = COMPONENTS["T5EncoderModel"].options
    assert options(original_text.t5_config(arrays)) == options(said)


def test_a_real_file_needs_its_tokeniser_alone(latent, tmp_path):
    """Stable Diffusion 1.5 by its shapes: the config of its folder; and what is missing is said."""
    said, unet = real(latent, "sd15_unet")
    depth = COMPONENTS["UNet2DConditionModel"].options(said)["transformer_depth"]
    names = original.inverse(original_unet.modules(2, [d > 0 for d in depth]))
    network = original.renamed(unet, names)
    about = original_unet.config(network)
    _, text = real(latent, "clip_l_text")
    _, vae = real(latent, "sd15_vae")
    names = original.inverse(original_autoencoder.modules(4, 2))
    others = {"text_encoder": text, "vae": original.renamed(vae, names)}
    file = single_file.SingleFile(tmp_path, single_file.SD1, network, others, about, False)
    assert COMPONENTS["UNet2DConditionModel"].options(file.config("unet")) == COMPONENTS[
        "UNet2DConditionModel"
    ].options(said)
    assert file.arrays("unet").keys() == unet.keys()
    assert file.arrays("vae").keys() == vae.keys()
    assert file.index()["text_encoder"] == ["transformers", "CLIPTextModel"]
    source = Together(file, Folder(tmp_path))
    found = pipelines.Pipeline(tmp_path, pipelines.KINDS[file.kind.pipeline], {}, "unet", source)
    assert found.scheduler()["_class_name"] == "PNDMScheduler"
    assert dataclasses.replace(file, velocity=True).scheduler()["prediction_type"] == "v_prediction"
    with pytest.raises(ValueError, match="has no tokenizer: give --components=FOLDER"):
        found.tokenizer("tokenizer")
    with pytest.raises(ValueError, match=r"has no text_encoder_2/config\.json"):
        found.config("text_encoder_2")


def test_the_moving_average_is_taken(latent, tmp_path):
    """If it is wanted; the average of some arrays alone is none."""
    arrays = safetensors.load(latent / "single_file" / "sd15.safetensors")[0]
    prefix = original_unet.PREFIX
    averages = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): array + 1
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    path = tmp_path / "ema.safetensors"
    safetensors.save(path, arrays | averages, {})
    ema, raw = (single_file.read(path, averaged) for averaged in (True, False))
    for name, array in raw.network.items():
        np.testing.assert_array_equal(ema.network[name], array + 1)
    averages.popitem()
    safetensors.save(tmp_path / "some.safetensors", arrays | averages, {})
    some = single_file.read(tmp_path / "some.safetensors")
    np.testing.assert_array_equal(some.network["out.2.bias"], raw.network["out.2.bias"])
