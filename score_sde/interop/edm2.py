"""The networks of EDM2 (Karras et al. 2023, arXiv 2312.02696) as ours, models.EDM2.

A released snapshot holds a preconditioner, that of EDM, in it a network under `unet.` and beside it
u(t), the logarithm of the loss's variance. Its constructor's arguments are those of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.layouts import CONV, CONV_1X1, LINEAR, one
from score_sde.interop.qkv import kernels
from score_sde.interop.slots import Slot, Slots
from score_sde.models.conditions.label import UnitLabelEmbedding
from score_sde.models.edm2 import EDM2, MPAttention, MPBlock
from score_sde.models.magnitude import MPFourier
from score_sde.models.shapes import level_sizes

_OPTIONS = {  # ours by theirs, with what theirs are unless said
    "model_channels": ("channels", 192),
    "channel_mult": ("channel_mult", (1, 2, 3, 4)),
    "num_blocks": ("num_res_blocks", 3),
    "attn_resolutions": ("attn_resolutions", (16, 8)),
    "channels_per_head": ("head_channels", 64),
    "dropout": ("dropout", 0.0),
    "label_balance": ("label_balance", 0.5),
    "concat_balance": ("concat_balance", 0.5),
    "res_balance": ("res_balance", 0.3),
    "attn_balance": ("attn_balance", 0.3),
    "clip_act": ("clip", 256.0),
    "logvar_channels": ("log_variance_features", 128),
}


def fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config that stand for a preconditioner and its network.

    Args:
        arguments: of the preconditioner's constructor, as a snapshot holds them.

    Returns:
        Values by path, such as "sde.name" and "model.channels". "shape", (height, width, channels),
        and "classes", 0 for none, are no paths.

    Raises:
        ValueError: an option is none that there is here.
    """
    given = dict(arguments)
    size, channels = given.pop("img_resolution"), given.pop("img_channels")
    found = {
        "sde.name": "edm",
        "model.name": "edm2",
        "model.parametrization": "edm",
        "model.noise_label": "log_sigma",
        "model.sigma_data": given.pop("sigma_data", 0.5),
        "shape": (size, size, channels),
        "classes": given.pop("label_dim", 0),
    }
    given.pop("use_fp16", None)  # of a GPU; here it is for model.dtype to say
    for theirs, (ours, usual) in _OPTIONS.items():
        value = given.pop(theirs, usual)
        found[f"model.{ours}"] = tuple(value) if isinstance(value, list | tuple) else value
    for name, usual in (
        ("channel_mult_noise", None),
        ("channel_mult_emb", None),
        ("resample_filter", [1, 1]),
    ):
        if (value := given.pop(name, usual)) != usual:
            raise ValueError(f"{name}={value!r:.60} is none of the released networks")
    if given:
        raise ValueError(f"EDM2 has no option {next(iter(given))!r:.60} here")
    return found


def slots(model: EDM2) -> Slots:
    """Every array of a network, by its official name; see layouts.

    Args:
        model: as `fields` describes it; an abstract one will do.

    Raises:
        ValueError: it is told a condition that the official networks are not.
    """
    yield from _fourier("unet.emb_fourier", model.fourier)
    yield one("unet.emb_noise.weight", model.noise_dense.kernel, LINEAR)
    for name, embedding in (model.conditions or {}).items():
        if not isinstance(embedding, UnitLabelEmbedding):
            raise ValueError(f"the networks of EDM2 are not told {name}")
        yield one("unet.emb_label.weight", embedding.table, LINEAR)
    sizes = [f"{size}x{size}" for size in level_sizes(model.shape, len(model.down))]
    yield one(f"unet.enc.{sizes[0]}_conv.weight", model.conv_in.kernel, CONV)
    for half, levels, order, change in (
        ("enc", model.down, sizes, "down"),
        ("dec", model.up, sizes[::-1], "up"),
    ):
        for level, size in zip(levels, order, strict=True):
            if level.resample is not None:
                yield from _block(f"unet.{half}.{size}_{change}", level.resample)
            for i, block in enumerate(level.blocks):
                yield from _block(f"unet.{half}.{size}_block{i}", block)
    for i, block in enumerate(model.middle):
        yield from _block(f"unet.dec.{sizes[-1]}_in{i}", block)
    yield one("unet.out_conv.weight", model.conv_out.kernel, CONV)
    yield one("unet.out_gain", model.gain)
    yield from _fourier("logvar_fourier", model.u.fourier)
    yield one("logvar_linear.weight", model.u.dense.kernel, LINEAR)


def _fourier(prefix: str, layer: MPFourier) -> Slots:
    yield one(f"{prefix}.freqs", layer.frequencies)
    yield one(f"{prefix}.phases", layer.phases)


def _block(prefix: str, block: MPBlock) -> Slots:
    yield one(f"{prefix}.emb_gain", block.gain)
    yield one(f"{prefix}.conv_res0.weight", block.conv_0.kernel, CONV)
    yield one(f"{prefix}.emb_linear.weight", block.dense.kernel, LINEAR)
    yield one(f"{prefix}.conv_res1.weight", block.conv_1.kernel, CONV)
    if block.shortcut is not None:
        yield one(f"{prefix}.conv_skip.weight", block.shortcut.kernel, CONV_1X1)
    if block.attention is not None:
        yield _qkv(f"{prefix}.attn_qkv.weight", block.attention)
        yield one(f"{prefix}.attn_proj.weight", block.attention.out.kernel, CONV_1X1)


def _qkv(name: str, layer: MPAttention) -> Slot:
    variables = (layer.query.kernel, layer.key.kernel, layer.value.kernel)
    return kernels(name, variables, layer.heads, "head_channel_kind", CONV_1X1)
