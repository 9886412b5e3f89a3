"""The networks of guided-diffusion and improved-diffusion as ours: models.ADM, its classifier.

A checkpoint of Dhariwal and Nichol (2021, arXiv 2105.05233) or Nichol and Dhariwal (2021, arXiv
2102.09672) is a dictionary of arrays alone. It counts the blocks of a half of the network in the
order in which they are run, whatever their size: `input_blocks.3.1.qkv.weight`. What leaves no
trace in its arrays is how many heads there are, and in which order one layer holds queries, keys
and values: the older one, a head after the other, in improved-diffusion and wherever the options of
a model do not say use_new_attention_order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from score_sde.interop.layouts import CONV_1, CONV_1X1, LINEAR, affine, no_class, one
from score_sde.interop.qkv import qkv
from score_sde.interop.slots import Slots
from score_sde.models.adm import ADM, Encoder
from score_sde.models.adm_classifier import ADMClassifier, AttentionPool
from score_sde.models.blocks import Attention, ResBlock
from score_sde.models.resample import Downsample, Upsample

OLD_ORDER, NEW_ORDER = "head_kind_channel", "kind_head_channel"


def fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a section `model` of a config that stand for the options of a network.

    Args:
        arguments: of the constructor of UNetModel or EncoderUNetModel, of either project.

    Returns:
        Options of ADM, or of ADMClassifier if `pool` is among the arguments, and its "name".
        "shape", (height, width, channels), "classes", 0 for none, and "order", of the layers for
        queries, keys and values, are no options.

    Raises:
        ValueError: an option is none that there is here.
    """
    given = dict(arguments)
    size, channels = given.pop("image_size", 64), given.pop("in_channels", 3)
    outputs, classes = given.pop("out_channels"), given.pop("num_classes", None)
    head_channels = given.pop("num_head_channels", -1)
    found = {
        "name": "adm",
        "channels": given.pop("model_channels"),
        "channel_mult": tuple(given.pop("channel_mult", (1, 2, 4, 8))),
        "num_res_blocks": given.pop("num_res_blocks"),
        "attn_resolutions": tuple(size // n for n in given.pop("attention_resolutions")),
        "dropout": given.pop("dropout", 0.0),
        "scale_shift": given.pop("use_scale_shift_norm", False),
        "resblock_resample": given.pop("resblock_updown", False),
        "group_size": 1,
        "shape": (size, size, channels),
        "order": NEW_ORDER if given.pop("use_new_attention_order", False) else OLD_ORDER,
    }
    heads, heads_up = given.pop("num_heads", 1), given.pop("num_heads_upsample", -1)
    found |= {"heads": heads} if head_channels == -1 else {"head_channels": head_channels}
    given.pop("use_fp16", None)  # of a GPU; here it is for model.dtype to say
    pool = given.pop("pool", None)
    if pool is None:
        found |= {"learn_variance": outputs == 2 * channels, "classes": classes or 0}
        found |= {"heads_up": heads_up} if head_channels == -1 and heads_up != -1 else {}
    elif pool == "attention":
        found |= {"name": "adm_classifier", "classes": outputs}
    else:
        raise ValueError(f"pool={pool!r:.60} is none of the released classifiers")
    for name, usual in (("conv_resample", True), ("dims", 2), ("use_checkpoint", None)):
        if (value := given.pop(name, usual)) != usual and usual is not None:
            raise ValueError(f"{name}={value!r:.60} is none of the released networks")
    if given:
        raise ValueError(f"the network has no option {next(iter(given))!r:.60} here")
    return found


def slots(model: ADM | ADMClassifier, order: str = OLD_ORDER) -> Slots:
    """Every array of a network, by its official name; see layouts.

    Args:
        model: as `fields` describes it; an abstract one will do.
        order: of queries, keys and values, OLD_ORDER or NEW_ORDER.

    Raises:
        ValueError: it is told a condition that the official networks are not.
    """
    yield from affine("time_embed.0", model.noise_embedding.dense_0)
    yield from affine("time_embed.2", model.noise_embedding.dense_1)
    yield from _encoder(model.encoder, order)
    if isinstance(model, ADMClassifier):
        yield from affine("out.0", model.norm)
        yield from _pool(model.pool)
        return
    for name, embedding in (model.early_conditions or {}).items() | (
        model.conditions or {}
    ).items():
        if name != "label":
            raise ValueError(f"the networks of guided-diffusion are not told {name}")
        yield one("label_emb.weight", embedding.table, no_class(embedding))
    number = itertools.count()
    for level in model.up:
        for block, attention in level.steps():
            prefix = f"output_blocks.{next(number)}"
            parts = [part for part in (block, attention) if part is not None]
            if block is level.blocks[-1] and level.resample is not None:
                parts.append(level.resample)
            for i, part in enumerate(parts):
                yield from _part(f"{prefix}.{i}", part, order)
    yield from affine("out.0", model.head.norm)
    yield from affine("out.2", model.head.conv)


def _encoder(encoder: Encoder, order: str) -> Slots:
    yield from affine("input_blocks.0.0", encoder.conv_in)
    for number, parts in enumerate(_input_blocks(encoder), start=1):
        for i, part in enumerate(parts):
            yield from _part(f"input_blocks.{number}.{i}", part, order)
    for i, part in enumerate(encoder.middle):
        yield from _part(f"middle_block.{i}", part, order)


def _input_blocks(encoder: Encoder) -> Iterator[list[Any]]:
    for level in encoder.down:
        for block, attention in level.steps():
            yield [block] if attention is None else [block, attention]
        if level.resample is not None:
            yield [level.resample]


def _part(prefix: str, part: ResBlock | Attention | Downsample | Upsample, order: str) -> Slots:
    match part:
        case ResBlock():
            yield from affine(f"{prefix}.in_layers.0", part.norm_0)
            yield from affine(f"{prefix}.in_layers.2", part.conv_0)
            yield from affine(f"{prefix}.emb_layers.1", part.dense)
            yield from affine(f"{prefix}.out_layers.0", part.norm_1)
            yield from affine(f"{prefix}.out_layers.3", part.conv_1)
            if part.shortcut is not None:
                yield from affine(f"{prefix}.skip_connection", part.shortcut, CONV_1X1)
        case Attention():
            yield from affine(f"{prefix}.norm", part.norm)
            yield from qkv(f"{prefix}.qkv", part, order, CONV_1)
            yield from affine(f"{prefix}.proj_out", part.out, CONV_1)
        case Downsample():
            yield from affine(f"{prefix}.op", part.conv)
        case Upsample():
            yield from affine(f"{prefix}.conv", part.conv)


def _pool(pool: AttentionPool) -> Slots:
    """The last layer of the classifier, which has the newer order always."""
    yield one("out.2.positional_embedding", pool.positions, LINEAR)
    yield from qkv("out.2.qkv_proj", pool, NEW_ORDER, CONV_1)
    yield from affine("out.2.c_proj", pool.out, CONV_1)
