"""Text encoders under OpenCLIP's own names, as single files in the layout of SGM have them."""

from __future__ import annotations

import re

import numpy as np

from score_sde.interop.released import Arrays

_LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")
_OF_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_REST = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_UNUSED = frozenset({"logit_scale", "logit_bias"})  # of the loss that they were trained with


def is_openclip(arrays: Arrays) -> bool:
    """Whether these are names of OpenCLIP."""
    return any(_LAYER.fullmatch(name) for name in arrays)


def renamed(arrays: Arrays, depth: int, *, projection: bool) -> Arrays:
    """The arrays under the names of CLIPTextModel; those of other names keep them.

    Args:
        arrays: under OpenCLIP's names; queries, keys and values are one array there.
        depth: how many layers there are to be: what the file has beyond is left out, as SD 2
            leaves out the last.
        projection: whether the pooled vector is projected; else that array is left out.
    """
    found: Arrays = {}
    for name, array in arrays.items():
        if layer := _LAYER.fullmatch(name):
            if int(layer[1]) < depth:
                prefix = f"text_model.encoder.layers.{layer[1]}"
                found |= {f"{prefix}.{n}": a for n, a in _of_layer(layer[2], array).items()}
        elif name == "text_projection":
            found |= {"text_projection.weight": array.T} if projection else {}
        elif name not in _UNUSED:
            found[_REST.get(name, name)] = array
    return found


def _of_layer(name: str, array: np.ndarray) -> Arrays:
    if name in ("attn.in_proj_weight", "attn.in_proj_bias") and len(array) % 3 == 0:
        kind = name.rpartition("_")[2]
        return {
            f"self_attn.{part}_proj.{kind}": one
            for part, one in zip("qkv", np.split(array, 3), strict=True)
        }
    module, _, kind = name.rpartition(".")
    return {f"{_OF_LAYER.get(module, module)}.{kind}": array}
