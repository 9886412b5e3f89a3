"""Released components as folders: variants, shards and what is wrong with them."""

import json
import shutil

import numpy as np
import pytest

from score_sde.formats import safetensors
from score_sde.interop.components import folder


def test_a_folder_with_one_file_and_one_with_shards(shared):
    """All arrays of each: as many as the index names."""
    pipelines = shared / "golden" / "latent" / "pipelines"
    one = folder.arrays(pipelines / "sd2" / "unet")  # *.fp16.safetensors only
    assert one["conv_in.weight"].dtype == np.float16
    sharded = pipelines / "flux_dev" / "transformer"
    (index,) = sharded.glob("*.index.json")
    told = json.loads(index.read_text())["weight_map"]
    assert folder.arrays(sharded).keys() == told.keys()
    assert folder.config(sharded)["_class_name"] == "FluxTransformer2DModel"


def test_a_variant_is_what_was_asked_for(tmp_path):
    """Without a wish the one without a name comes first; a variant that is not there is said."""
    for name, value in (("model", 1.0), ("model.fp16", 2.0)):
        array = np.full(3, value, np.float32)
        safetensors.save(tmp_path / f"{name}.safetensors", {"a": array}, {})
    assert folder.arrays(tmp_path)["a"][0] == 1
    assert folder.arrays(tmp_path, "fp16")["a"][0] == 2
    with pytest.raises(ValueError, match="no arrays of variant bf16"):
        folder.arrays(tmp_path, "bf16")


@pytest.mark.parametrize("case", ["missing", "outside", "more", "config"])
def test_what_is_wrong_with_shards_is_said(case, tmp_path, shared):
    """The file, and what to look at."""
    copy = tmp_path / "copy"
    shutil.copytree(shared / "golden" / "latent" / "pipelines" / "sd35" / "transformer", copy)
    copy.chmod(0o755)
    (index,) = copy.glob("*.index.json")
    told = json.loads(index.read_text())
    name, file = next(iter(told["weight_map"].items()))
    match case:
        case "missing":
            (copy / file).unlink()
            said = f"{file} is missing"
        case "outside":
            told["weight_map"][name] = "../x.safetensors"
            said = "no file beside it"
        case "more":
            told["weight_map"]["another"] = file
            said = "first in another"
        case "config":
            (copy / "config.json").unlink()
            with pytest.raises(ValueError, match=r"has no config\.json"):
                folder.config(copy)
            return
    index.unlink()
    index.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=said):
        folder.arrays(copy)
