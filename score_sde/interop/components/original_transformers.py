"""Transformers in one file, by the names that their authors gave: Stable Diffusion 3 and Flux.

There one layer makes queries, keys and values, in single blocks of Flux the hidden layer too, and
of a modulation that has two parts the shift comes first. `today` gives a component's names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from score_sde.interop.released import Arrays

PREFIX = "model.diffusion_model."  # in front of each name, as a file of a whole system has it
MODULATION = "adaLN_modulation.1"

_TOLD = "time_text_embed"
_X, _C, _OURS = "joint_blocks.#.x_block", "joint_blocks.#.context_block", "transformer_blocks.#"
_DOUBLE, _SINGLE = "double_blocks.#", "single_blocks.#"
_ALONE = "single_transformer_blocks.#"


def _qkv(prefix: str, names: str = "to_q to_k to_v") -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in names.split())


_ADDED = "add_q_proj add_k_proj add_v_proj"

# Of a module there, those that its outputs are here, one after the other; # is a block's number.
SD3: Mapping[str, tuple[str, ...]] = {
    "x_embedder.proj": ("pos_embed.proj",),
    "t_embedder.mlp.0": (f"{_TOLD}.timestep_embedder.linear_1",),
    "t_embedder.mlp.2": (f"{_TOLD}.timestep_embedder.linear_2",),
    "y_embedder.mlp.0": (f"{_TOLD}.text_embedder.linear_1",),
    "y_embedder.mlp.2": (f"{_TOLD}.text_embedder.linear_2",),
    "context_embedder": ("context_embedder",),
    f"{_X}.{MODULATION}": (f"{_OURS}.norm1.linear",),
    f"{_X}.attn.qkv": _qkv(f"{_OURS}.attn"),
    f"{_X}.attn.ln_q": (f"{_OURS}.attn.norm_q",),
    f"{_X}.attn.ln_k": (f"{_OURS}.attn.norm_k",),
    f"{_X}.attn.proj": (f"{_OURS}.attn.to_out.0",),
    f"{_X}.attn2.qkv": _qkv(f"{_OURS}.attn2"),
    f"{_X}.attn2.ln_q": (f"{_OURS}.attn2.norm_q",),
    f"{_X}.attn2.ln_k": (f"{_OURS}.attn2.norm_k",),
    f"{_X}.attn2.proj": (f"{_OURS}.attn2.to_out.0",),
    f"{_X}.mlp.fc1": (f"{_OURS}.ff.net.0.proj",),
    f"{_X}.mlp.fc2": (f"{_OURS}.ff.net.2",),
    f"{_C}.{MODULATION}": (f"{_OURS}.norm1_context.linear",),
    f"{_C}.attn.qkv": _qkv(f"{_OURS}.attn", _ADDED),
    f"{_C}.attn.ln_q": (f"{_OURS}.attn.norm_added_q",),
    f"{_C}.attn.ln_k": (f"{_OURS}.attn.norm_added_k",),
    f"{_C}.attn.proj": (f"{_OURS}.attn.to_add_out",),
    f"{_C}.mlp.fc1": (f"{_OURS}.ff_context.net.0.proj",),
    f"{_C}.mlp.fc2": (f"{_OURS}.ff_context.net.2",),
    f"final_layer.{MODULATION}": ("norm_out.linear",),
    "final_layer.linear": ("proj_out",),
}
FLUX: Mapping[str, tuple[str, ...]] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": (f"{_TOLD}.timestep_embedder.linear_1",),
    "time_in.out_layer": (f"{_TOLD}.timestep_embedder.linear_2",),
    "guidance_in.in_layer": (f"{_TOLD}.guidance_embedder.linear_1",),
    "guidance_in.out_layer": (f"{_TOLD}.guidance_embedder.linear_2",),
    "vector_in.in_layer": (f"{_TOLD}.text_embedder.linear_1",),
    "vector_in.out_layer": (f"{_TOLD}.text_embedder.linear_2",),
    f"{_DOUBLE}.img_mod.lin": (f"{_OURS}.norm1.linear",),
    f"{_DOUBLE}.img_attn.qkv": _qkv(f"{_OURS}.attn"),
    f"{_DOUBLE}.img_attn.norm.query_norm": (f"{_OURS}.attn.norm_q",),
    f"{_DOUBLE}.img_attn.norm.key_norm": (f"{_OURS}.attn.norm_k",),
    f"{_DOUBLE}.img_attn.proj": (f"{_OURS}.attn.to_out.0",),
    f"{_DOUBLE}.img_mlp.0": (f"{_OURS}.ff.net.0.proj",),
    f"{_DOUBLE}.img_mlp.2": (f"{_OURS}.ff.net.2",),
    f"{_DOUBLE}.txt_mod.lin": (f"{_OURS}.norm1_context.linear",),
    f"{_DOUBLE}.txt_attn.qkv": _qkv(f"{_OURS}.attn", _ADDED),
    f"{_DOUBLE}.txt_attn.norm.query_norm": (f"{_OURS}.attn.norm_added_q",),
    f"{_DOUBLE}.txt_attn.norm.key_norm": (f"{_OURS}.attn.norm_added_k",),
    f"{_DOUBLE}.txt_attn.proj": (f"{_OURS}.attn.to_add_out",),
    f"{_DOUBLE}.txt_mlp.0": (f"{_OURS}.ff_context.net.0.proj",),
    f"{_DOUBLE}.txt_mlp.2": (f"{_OURS}.ff_context.net.2",),
    f"{_SINGLE}.modulation.lin": (f"{_ALONE}.norm.linear",),
    f"{_SINGLE}.linear1": (*_qkv(f"{_ALONE}.attn"), f"{_ALONE}.proj_mlp"),
    f"{_SINGLE}.norm.query_norm": (f"{_ALONE}.attn.norm_q",),
    f"{_SINGLE}.norm.key_norm": (f"{_ALONE}.attn.norm_k",),
    f"{_SINGLE}.linear2": (f"{_ALONE}.proj_out",),
    f"final_layer.{MODULATION}": ("norm_out.linear",),
    "final_layer.linear": ("proj_out",),
}
# Arrays as wide as the network that only the one or the other has.
_SIGNS = {"joint_blocks.0.x_block.attn.proj.bias": SD3, "img_in.bias": FLUX}


def is_original(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a transformer of either has these names."""
    return any(sign in arrays or PREFIX + sign in arrays for sign in _SIGNS)


def today(arrays: Arrays) -> Arrays:
    """The arrays of a transformer by the names that its folder has.

    Args:
        arrays: by their original names, with or without PREFIX, of the transformer alone; those
            for which `is_original` does not hold are returned as they are. One that no rule names
            keeps its name.
    """
    if not is_original(arrays):
        return arrays
    arrays = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    (sign,) = _SIGNS.keys() & arrays.keys()
    rules, width, found = _SIGNS[sign], len(arrays[sign]), {}
    for name, array in arrays.items():
        module, _, leaf = name.rpartition(".")
        number = re.search(r"(?<=_blocks\.)\d+", module)
        targets = rules.get(re.sub(r"(?<=_blocks\.)\d+", "#", module))
        if targets is None:
            found["pos_embed.pos_embed" if name == "pos_embed" else name] = array
            continue
        if module.endswith(MODULATION) and len(array) == 2 * width:
            array = np.roll(array, width, axis=0)
        parts = np.split(array, [width * (i + 1) for i in range(len(targets) - 1)])
        for target, part in zip(targets, parts, strict=True):
            own = target.replace("#", number[0]) if number else target
            found[f"{own}.{'weight' if leaf == 'scale' else leaf}"] = part
    return found


def config(arrays: Arrays) -> dict[str, Any]:
    """The values of config.json that the shapes of such a file say, and those that all have.

    Args:
        arrays: for which `is_original` holds.
    """
    shapes = {name: np.shape(array) for name, array in today(arrays).items()}
    width, told = shapes["context_embedder.weight"]
    common = {
        "num_layers": _count(shapes, "transformer_blocks"),
        "joint_attention_dim": told,
        "pooled_projection_dim": shapes[f"{_TOLD}.text_embedder.linear_1.weight"][1],
    }
    if "x_embedder.weight" in shapes:
        out, given = shapes["proj_out.weight"][0], shapes["x_embedder.weight"][1]
        return common | {
            "_class_name": "FluxTransformer2DModel",
            "attention_head_dim": 128,
            "num_attention_heads": width // 128,
            "num_single_layers": _count(shapes, "single_transformer_blocks"),
            "in_channels": given,
            "out_channels": out,
            "guidance_embeds": f"{_TOLD}.guidance_embedder.linear_1.weight" in shapes,
        }
    _, channels, patch, _ = shapes["pos_embed.proj.weight"]
    normed = "transformer_blocks.0.attn.norm_q.weight" in shapes
    dual = re.compile(r"transformer_blocks\.(\d+)\.attn2\.to_q\.weight")
    return common | {
        "_class_name": "SD3Transformer2DModel",
        "attention_head_dim": 64,
        "num_attention_heads": width // 64,
        "caption_projection_dim": width,
        "in_channels": channels,
        "out_channels": channels,
        "patch_size": patch,
        "pos_embed_max_size": round(shapes["pos_embed.pos_embed"][1] ** 0.5),
        "qk_norm": "rms_norm" if normed else None,
        "dual_attention_layers": sorted(int(m[1]) for name in shapes if (m := dual.match(name))),
        "sample_size": 128,
    }


def _count(shapes: Mapping[str, Any], prefix: str) -> int:
    """How many blocks have this prefix."""
    return len({name.split(".")[1] for name in shapes if name.startswith(f"{prefix}.")})
