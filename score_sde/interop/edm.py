"""The networks of EDM (Karras et al. 2022, arXiv 2206.00364) as ours, and their preconditioners.

A released snapshot holds a preconditioner of one of four classes and in it, under `model.`, a
network of one of two:

    SongUNet       DDPM++ and NCSN++: models.UNet with early_conditions
    DhariwalUNet   ADM: models.ADM

The preconditioners are processes, parametrisations and noise labels of this house. They take x and
sigma in units of the signal, x_t / alpha and sigma / alpha here:

    class           D(x; sigma)                  process            network        told
    EDMPrecond      c_skip x + c_out F(c_in x)   edm                edm            log(sigma) / 4
    VPPrecond       x - sigma F(alpha x)         vp                 eps            999 t
    VEPrecond       x + sigma F(x)               ve                 scaled_score   log(sigma / 2)
    iDDPMPrecond    x - sigma F(alpha x)         ddpm, cosine       eps            nearest level

with alpha^2 = 1 / (1 + sigma^2). What iDDPMPrecond's network says of the variance is not read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from score_sde.interop.layouts import CONV_1X1, LINEAR, affine, check_no_class, fixed, one
from score_sde.interop.qkv import qkv
from score_sde.interop.slots import Slot, Slots
from score_sde.models.adm import ADM
from score_sde.models.blocks import Attention, InputResidual, ResBlock
from score_sde.models.conditions.label import LabelEmbedding
from score_sde.models.shapes import level_sizes
from score_sde.models.unet import UNet
from score_sde.processes import DDPM

_ORDER = "head_channel_kind"
_PLAIN = (1, 1)  # the filter of networks without one

# For each class of preconditioner, what it is here and the network that it has if it says nothing.
_SDE = {
    "EDMPrecond": {"sde.name": "edm", "model.parametrization": "edm"},
    "VPPrecond": {"sde.name": "vp", "model.parametrization": "eps"},
    "VEPrecond": {"sde.name": "ve", "model.parametrization": "scaled_score"},
    "iDDPMPrecond": {
        "sde.name": "ddpm",
        "sde.schedule": "cosine",
        "model.parametrization": "eps",
        "model.noise_label": "nearest_level",
    },
}
_LABEL = {"EDMPrecond": "log_sigma", "VPPrecond": "time", "VEPrecond": "log_half_sigma"}
PRECONDITIONERS = tuple(_SDE)


def fields(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config that stand for a preconditioner and its network.

    Args:
        kind: the class of the preconditioner, one of PRECONDITIONERS.
        arguments: of its constructor, as a snapshot holds them.

    Returns:
        Values by path, such as "sde.name" and "model.channels"; those that the arguments say
        nothing of are not there. "shape", (height, width, channels), "classes", 0 for none, and
        "augment", how many numbers the network is told of an augmentation, are no paths.

    Raises:
        ValueError: the class or an option is none that there is here.
    """
    if kind not in _SDE:
        raise ValueError(f"unknown class {kind!r:.60}: there are {', '.join(_SDE)}")
    given = dict(arguments)
    found = {**_SDE[kind], **_process(kind, given)}
    if kind in _LABEL:
        found["model.noise_label"] = _LABEL[kind]
    size, channels = given.pop("img_resolution"), given.pop("img_channels")
    found |= {"shape": (size, size, channels), "classes": given.pop("label_dim", 0)}
    found["augment"] = given.pop("augment_dim", 0)
    given.pop("use_fp16", None)  # of a GPU; here it is for model.dtype to say
    if dropout := given.pop("label_dropout", 0):
        found["conditions.label.dropout"] = dropout
    default = "SongUNet" if kind in ("VPPrecond", "VEPrecond") else "DhariwalUNet"
    network = given.pop("model_type", default)
    if network not in _NETWORKS:
        raise ValueError(f"unknown network {network!r:.60}: there are {', '.join(_NETWORKS)}")
    found |= {f"model.{name}": value for name, value in _NETWORKS[network](given).items()}
    if kind == "iDDPMPrecond":
        found["objective.denoising.times"] = "discrete"
        found["objective.denoising.learned_variance"] = True
    if given:
        raise ValueError(f"{network} has no option {next(iter(given))!r:.60} here")
    return found


def _process(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The fields of the process, taken out of the arguments."""
    low, high = given.pop("sigma_min", None), given.pop("sigma_max", None)
    match kind:
        case "EDMPrecond":
            found = {"model.sigma_data": given.pop("sigma_data", 0.5)}
            if low:
                found["sde.t_min"] = low
            if high is not None and math.isfinite(high):
                found["sde.t_max"] = high
            return found
        case "VEPrecond":
            return {"sde.sigma_min": low or 0.02, "sde.sigma_max": high or 100.0}
        case "VPPrecond":
            slope, first = given.pop("beta_d", 19.9), given.pop("beta_min", 0.1)
            _only(given, "M", 1000)
            ends = {"sde.beta_min": first, "sde.beta_max": first + slope}
            return {**ends, "sde.t_min": given.pop("epsilon_t", 1e-5)}
        case "iDDPMPrecond":
            _only(given, "C_1", 0.001)
            _only(given, "C_2", 0.008)
            return {"sde.scales": given.pop("M", 1000)}


def _song(given: dict[str, Any]) -> dict[str, Any]:
    """Options of UNet for those of SongUNet, which are taken out."""
    kind = given.pop("embedding_type", "positional")
    fourier = kind == "fourier"
    given.setdefault("channel_mult_noise", 1)
    _only(given, "channel_mult_noise", 2 if fourier else 1)
    _only(given, "channel_mult_emb", 4)
    _only(given, "decoder_type", "standard")
    encoder = given.pop("encoder_type", "standard")
    if encoder not in ("standard", "residual"):
        raise ValueError(f"encoder_type={encoder!r:.60} is none of the released networks")
    taps = tuple(given.pop("resample_filter", _PLAIN))
    filtered = taps != _PLAIN
    return {
        "name": "unet",
        "channels": given.pop("model_channels", 128),
        "channel_mult": tuple(given.pop("channel_mult", (1, 2, 2, 2))),
        "num_res_blocks": given.pop("num_blocks", 4),
        "attn_resolutions": tuple(given.pop("attn_resolutions", (16,))),
        "dropout": given.pop("dropout", 0.1),
        "embedding": "fourier_label" if fourier else "positional",
        "progressive_input": "residual" if encoder == "residual" else "none",
        "early_conditions": ("augment", "label"),
        "fir": filtered,
        **({"fir_kernel": taps} if filtered else {}),
    }


def _dhariwal(given: dict[str, Any]) -> dict[str, Any]:
    """Options of ADM for those of DhariwalUNet, which are taken out."""
    return {
        "name": "adm",
        "channels": given.pop("model_channels", 192),
        "channel_mult": tuple(given.pop("channel_mult", (1, 2, 3, 4))),
        "num_res_blocks": given.pop("num_blocks", 3),
        "attn_resolutions": tuple(given.pop("attn_resolutions", (32, 16, 8))),
        "dropout": given.pop("dropout", 0.1),
        "embedding_multiple": given.pop("channel_mult_emb", 4),
        "early_conditions": ("augment",),
    }


_NETWORKS = {"SongUNet": _song, "DhariwalUNet": _dhariwal}


def _only(given: dict[str, Any], name: str, *values: Any) -> None:
    """Take out an option that has one value only here, the first if nothing is said."""
    if (value := given.pop(name, values[0])) not in values:
        raise ValueError(f"{name}={value!r:.60} is none of the released networks")


def slots(model: UNet | ADM) -> Slots:
    """Every array of a network, and of EDM's, by the names in its snapshots; see layouts.

    Args:
        model: as `fields` describes it; an abstract one will do.

    Raises:
        ValueError: it is told a condition that EDM's are not.
    """
    song = isinstance(model, UNet)
    noise = model.noise_embedding
    if noise.frequencies is not None:
        yield one("model.map_noise.freqs", noise.frequencies)
    yield from affine("model.map_layer0", noise.dense_0)
    yield from affine("model.map_layer1", noise.dense_1)
    for name, embedding in [
        *(model.early_conditions or {}).items(),
        *(model.conditions or {}).items(),
    ]:
        if name == "augment":
            yield one("model.map_augment.weight", embedding.kernel, LINEAR)
        elif name == "label":
            yield _labels(embedding, biased=song)
        else:
            raise ValueError(f"EDM's networks are not told {name}")
    yield from _unet(model) if song else _adm(model)


def noise_levels(process: DDPM) -> Slot:
    """The array `u` of iDDPMPrecond: sigma / alpha of the levels, from the largest, then 0."""
    levels = np.exp(-0.5 * process.log_snr(np.linspace(0.0, 1.0, process.scales)))
    return fixed("u", np.append(levels[::-1], 0.0))


def _labels(embedding: LabelEmbedding, biased: bool) -> Slot:
    """A row for each class, and one for none: W e_y + b and b of a one-hot vector e_y.

    SongUNet multiplies e_y by the square root of the number of classes; DhariwalUNet has no b.
    """
    table = embedding.table
    classes, features = table.shape[0] - 1, table.shape[1]
    scale = np.float32(math.sqrt(classes) if biased else 1)
    shapes = {"model.map_label.weight": (features, classes)}
    if biased:
        shapes["model.map_label.bias"] = (features,)

    def ours(weight: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray]:
        none = np.zeros((1, features), weight.dtype) if bias is None else bias[None]
        return (np.concatenate([scale * weight.T + none, none]),)

    def back(table: np.ndarray) -> tuple[np.ndarray, ...]:
        if not biased:
            check_no_class(embedding, table)
        none = table[-1:] if biased else 0
        return ((table[:-1] - none).T / scale, table[-1])[: len(shapes)]

    return Slot(shapes, (table,), ours, back)


def _unet(model: UNet) -> Slots:
    taps = model.fir or _PLAIN
    sizes = level_sizes(model.shape, len(model.down))
    yield from affine(f"model.enc.{_at(sizes[0])}_conv", model.conv_in)
    for i, level in enumerate(model.down):
        here = f"model.enc.{_at(sizes[i])}"
        for j, (block, attention) in enumerate(
            itertools.zip_longest(level.blocks, level.attentions)
        ):
            yield from _block(f"{here}_block{j}", block, attention, taps)
        if level.resample is not None:
            below = f"model.enc.{_at(sizes[i + 1])}"
            yield from _block(f"{below}_down", level.resample, None, taps)
            if isinstance(level.pyramid, InputResidual):
                yield from affine(f"{below}_aux_residual", level.pyramid.down.conv)
                yield _filter(f"{below}_aux_residual", taps)
    here = f"model.dec.{_at(sizes[-1])}"
    yield from _block(f"{here}_in0", model.middle[0], model.middle[1], taps)
    yield from _block(f"{here}_in1", model.middle[2], None, taps)
    for level, size in zip(model.up, reversed(sizes), strict=True):
        here = f"model.dec.{_at(size)}"
        for j, block in enumerate(level.blocks):
            last = j == len(level.blocks) - 1
            yield from _block(f"{here}_block{j}", block, level.attention if last else None, taps)
        if level.resample is not None:
            yield from _block(f"model.dec.{_at(2 * size)}_up", level.resample, None, taps)
    yield from affine(f"{here}_aux_norm", model.head.norm)
    yield from affine(f"{here}_aux_conv", model.head.conv)


def _adm(model: ADM) -> Slots:
    encoder = model.encoder
    sizes = level_sizes(model.shape, len(encoder.down))
    yield from affine(f"model.enc.{_at(sizes[0])}_conv", encoder.conv_in)
    for i, level in enumerate(encoder.down):
        for j, (block, attention) in enumerate(level.steps()):
            yield from _block(f"model.enc.{_at(sizes[i])}_block{j}", block, attention, _PLAIN)
        if level.resample is not None:
            yield from _block(f"model.enc.{_at(sizes[i + 1])}_down", level.resample, None, _PLAIN)
    here = f"model.dec.{_at(sizes[-1])}"
    first, *attention, second = encoder.middle
    yield from _block(f"{here}_in0", first, attention[0] if attention else None, _PLAIN)
    yield from _block(f"{here}_in1", second, None, _PLAIN)
    for level, size in zip(model.up, reversed(sizes), strict=True):
        for j, (block, attention) in enumerate(level.steps()):
            yield from _block(f"model.dec.{_at(size)}_block{j}", block, attention, _PLAIN)
        if level.resample is not None:
            yield from _block(f"model.dec.{_at(2 * size)}_up", level.resample, None, _PLAIN)
    yield from affine("model.out_norm", model.head.norm)
    yield from affine("model.out_conv", model.head.conv)


def _at(size: int) -> str:
    return f"{size}x{size}"


def _block(
    prefix: str, block: ResBlock, attention: Attention | None, taps: Sequence[float]
) -> Slots:
    """A residual block, in which there EDM has the attention after it."""
    yield from affine(f"{prefix}.norm0", block.norm_0)
    yield from affine(f"{prefix}.conv0", block.conv_0)
    yield from affine(f"{prefix}.affine", block.dense)
    yield from affine(f"{prefix}.norm1", block.norm_1)
    yield from affine(f"{prefix}.conv1", block.conv_1)
    if block.shortcut is not None:
        yield from affine(f"{prefix}.skip", block.shortcut, CONV_1X1)
    if block.resample is not None:
        yield _filter(f"{prefix}.conv0", taps)
        yield _filter(f"{prefix}.skip", taps)
    if attention is not None:
        yield from affine(f"{prefix}.norm2", attention.norm)
        yield from qkv(f"{prefix}.qkv", attention, _ORDER, CONV_1X1)
        yield from affine(f"{prefix}.proj", attention.out, CONV_1X1)


def _filter(prefix: str, taps: Sequence[float]) -> Slot:
    """The filter of a change of size, of sum 1."""
    return fixed(f"{prefix}.resample_filter", np.outer(taps, taps)[None, None] / np.sum(taps) ** 2)
