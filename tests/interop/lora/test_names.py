"""Layers of transformers by the names of their authors, which have several of ours in one."""

import numpy as np
import pytest

from score_sde.formats import safetensors
from score_sde.interop.components import COMPONENTS, base, folder, original_transformers
from score_sde.interop.lora import merge, names


@pytest.mark.parametrize(
    ("pipeline", "sign", "layers"),
    [
        (
            "flux_dev",
            "img_in.bias",
            {
                "double_blocks.1.img_attn.qkv": 3,
                "double_blocks.0.txt_mod.lin": 6,
                "single_blocks.0.linear1": 3 + 4,
                "final_layer.linear": 1,
            },
        ),
        (
            "sd35",
            "joint_blocks.0.x_block.attn.proj.bias",
            {"joint_blocks.0.context_block.attn.qkv": 3, "joint_blocks.1.x_block.mlp.fc1": 4},
        ),
    ],
)
def test_each_part_of_a_joined_layer_has_its_rows(shared, tmp_path, pipeline, sign, layers):
    """As the importer splits the weight itself."""
    path = shared / "golden" / "latent" / "pipelines" / pipeline / "transformer"
    config = folder.config(path)
    network = names.named("network", base.abstract(COMPONENTS[config["_class_name"]], config))
    embedding = {"flux_dev": "x_embedder.weight", "sd35": "pos_embed.proj.weight"}[pipeline]
    width = network.shapes[embedding][0]
    rng, arrays, deltas = np.random.default_rng(0), {}, {sign: np.zeros(width)}
    for layer, times in layers.items():
        n_out = network.shapes["proj_out.weight"][0] if times == 1 else times * width
        down, up = rng.standard_normal((2, width)), rng.standard_normal((n_out, 2))
        stem = f"lora_unet_{layer.replace('.', '_')}"
        arrays[f"{stem}.lora_down.weight"] = down.astype(np.float32)
        arrays[f"{stem}.lora_up.weight"] = up.astype(np.float32)
        deltas[f"{layer}.weight"] = up @ down
    safetensors.save(tmp_path / "a.safetensors", arrays, {})
    added = merge.fitted([network], [(tmp_path / "a.safetensors", 1.0)])["network"]
    expected = original_transformers.today(deltas)
    assert added.keys() == {name for name in expected if name.endswith("weight")}
    for name, ((factors, _),) in added.items():
        np.testing.assert_allclose(factors.delta(), expected[name], atol=1e-5)
