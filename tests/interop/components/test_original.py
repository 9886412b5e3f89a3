"""Single files of latent diffusion: names of the U-Net and the autoencoder, and what shapes say."""

import gzip
import json

import numpy as np
import pytest

from score_sde.formats import safetensors
from score_sde.interop.components import (
    COMPONENTS,
    autoencoder,
    folder,
    original,
    original_autoencoder,
    original_unet,
)

NAMES = ("sd15", "sdxl")


def single(shared, name):
    """The arrays of the file, and the map of its names."""
    files = shared / "golden" / "latent" / "single_file"
    keys = json.loads((files / f"{name}.keys.json").read_text())
    return safetensors.load(files / f"{name}.safetensors")[0], keys


def unet_modules(arrays):
    return original_unet.modules(*original_unet.structure(arrays))


def autoencoder_modules(config):
    return original_autoencoder.modules(
        len(config["block_out_channels"]), config["layers_per_block"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_unet_is_that_of_the_folder(shared, name):
    """Every array under its name, bit for bit; and back under the names of the file."""
    arrays, keys = single(shared, name)
    arrays = original.within(arrays, original_unet.PREFIX)
    modules = unet_modules(arrays)
    today = original.renamed(arrays, modules)
    expected = folder.arrays(shared / "golden" / "latent" / "pipelines" / name / "unet")
    assert today.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(today[key], array)
    for key, said in keys.items():
        if said["component"] == "unet":
            short = key.removeprefix(original_unet.PREFIX)
            assert [original.module(short, modules)] == said["keys"]
    assert original.renamed(today, original.inverse(modules)).keys() == arrays.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_autoencoder_is_that_of_the_folder(shared, name):
    """Every array under its name, bit for bit, after both are prepared; and back."""
    arrays = original.within(single(shared, name)[0], original_autoencoder.PREFIX)
    found = original_autoencoder.config(arrays)
    modules = autoencoder_modules(found)
    renamed = original.renamed(arrays, modules)
    today = autoencoder.prepare(renamed, found)
    path = shared / "golden" / "latent" / "pipelines" / name / "vae"
    expected = autoencoder.prepare(folder.arrays(path), folder.config(path))
    assert today.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(today[key], array)
    assert original.renamed(renamed, original.inverse(modules)).keys() == arrays.keys()
    options = autoencoder.options(found), autoencoder.options(folder.config(path))
    assert {**options[0], "groups": 0} == {**options[1], "groups": 0}


@pytest.mark.parametrize(
    "name",
    [
        *("sd15_unet", "sd15_inpainting_unet", "sd21_unet", "sdxl_base_unet", "sdxl_refiner_unet"),
        *("x4_upscaler_unet", "controlnet_sd15", "controlnet_sdxl"),
    ],
)
def test_the_shapes_say_the_config(shared, name):
    """Of the real networks, from the names that they have in a single file."""
    real = shared / "golden" / "latent" / "real_configs"
    said = json.loads((real / f"{name}.json").read_text())["config"]
    shapes = json.loads(gzip.decompress((real / f"{name}.shapes.json.gz").read_bytes()))
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    options = COMPONENTS[said["_class_name"]].options
    expected = options(said)
    attention = tuple(depth > 0 for depth in expected["transformer_depth"])
    modules = original_unet.modules(expected["num_res_blocks"], attention)
    theirs = original.renamed(arrays, original.inverse(modules))
    assert original_unet.structure(theirs) == (expected["num_res_blocks"], attention)
    found = original_unet.config(theirs)
    assert found["_class_name"] == said["_class_name"]
    shape = {"shape": None}  # of training, which no array says
    assert {**options(found), **shape} == {**expected, **shape}


def test_what_is_no_such_network_is_refused():
    """By the name, or by what is missing."""
    with pytest.raises(ValueError, match=r"a\.b\.weight belongs to no part of the network"):
        original.renamed({"a.b.weight": np.zeros(1)}, {"c": "d"})
    with pytest.raises(ValueError, match="no U-Net"):
        original_unet.structure({"conv_in.weight": np.zeros(1)})
    with pytest.raises(ValueError, match="no autoencoder"):
        original_autoencoder.config({"conv_in.weight": np.zeros(1)})
    other = {f"input_blocks.{n}.0.weight": np.zeros(1) for n in range(5)}
    with pytest.raises(ValueError, match="other numbers of blocks"):
        original_unet.structure({**other, "input_blocks.2.0.op.weight": np.zeros(1)})
