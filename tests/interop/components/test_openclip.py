"""Text encoders in single files have the same arrays as those in folders."""

import json

import numpy as np

from score_sde.formats import safetensors
from score_sde.interop.components import COMPONENTS, base, folder

PREFIX = "conditioner.embedders.1.model."


def test_openclip_s_names(shared):
    """SDXL's second encoder from the original layout, bit for bit."""
    latent = shared / "golden" / "latent"
    path = latent / "pipelines" / "sdxl" / "text_encoder_2"
    values, arrays = folder.config(path), folder.arrays(path)
    single = safetensors.load(latent / "single_file" / "sdxl.safetensors")[0]
    named = {n.removeprefix(PREFIX): a for n, a in single.items() if n.startswith(PREFIX)}
    component = COMPONENTS["CLIPTextModelWithProjection"]
    found = component.prepare(named, values)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_layers_and_arrays_that_are_not_used_are_left_out(shared):
    """SD 2 takes all but the last layer, and no projection."""
    latent = shared / "golden" / "latent"
    path = latent / "pipelines" / "sdxl" / "text_encoder_2"
    values = folder.config(path)
    told = json.loads((latent / "single_file" / "sdxl.keys.json").read_text())
    shapes = {n.removeprefix(PREFIX): v["shape"] for n, v in told.items() if n.startswith(PREFIX)}
    single = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    fewer = {**values, "num_hidden_layers": values["num_hidden_layers"] - 1}
    model, _ = base.place(COMPONENTS["CLIPTextModel"], fewer, single)
    assert model.depth == 3
    assert model.projection is None
