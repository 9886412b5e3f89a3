"""NCSN and NCSNv2 (Song and Ermon 2019, arXiv 1907.05600; 2020, arXiv 2006.09011) as released.

The released norm is gamma (instance norm + alpha (mu - m) / v) + beta: its alpha times gamma is
that of models.refinenet, equation (1). NCSN has both and beta side by side in an embedding of the
noise level. Images are in [0, 1]; labels count from the most noise, as here.

What leaves no trace in a file is the data set: it is the authors' for the class and the number of
noise levels, unless their config lies beside the file. So are the steps of sampling. Networks take
images of any size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from score_sde.interop import noise_levels
from score_sde.interop.layouts import CONV_1X1, affine, one
from score_sde.interop.refinenet_files import SIGMAS, STAGES
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slots
from score_sde.models.layers import Dense
from score_sde.models.ncsn import NCSN, NCSNv2
from score_sde.models.refinenet import DilatedConv, InstanceNormPlus, RefineBlock, ResidualBlock
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment

_SHAPES = {
    "NCSN": ((1, 2, 2, 2), (1, 1, 2, 4)),
    "NCSNv2": ((1, 2, 2, 2), (1, 1, 2, 4)),
    "NCSNv2Deeper": ((1, 2, 2, 4, 4), (1, 1, 1, 2, 4)),
    "NCSNv2Deepest": ((1, 2, 2, 2, 4, 4), (1, 1, 1, 1, 2, 4)),
}


class _Set(NamedTuple):
    """A data set, and annealed Langevin dynamics on it: the step length and steps at a level."""

    dataset: str
    image_size: int
    step_lr: float
    steps_each: int
    category: str = ""


# Step lengths of NCSNv2 by its paper's technique 4, which makes the noise of each level the next's.
_SETS = {
    ("NCSN", 1): _Set("MNIST", 28, 2e-5, 100),
    ("NCSN", 3): _Set("CIFAR10", 32, 2e-5, 100),
    ("NCSNv2", 232): _Set("CIFAR10", 32, 6.2e-6, 5),
    ("NCSNv2", 500): _Set("CELEBA", 64, 3.3e-6, 5),
    ("NCSNv2Deeper", 788): _Set("LSUN", 96, 2.3e-6, 5, "church_outdoor"),
    ("NCSNv2Deeper", 1086): _Set("LSUN", 128, 1.8e-6, 3, "bedroom"),
    ("NCSNv2Deepest", 2311): _Set("FFHQ", 256, 8.9e-7, 3),
}
_NAMES = {"MNIST": "mnist", "CIFAR10": "cifar10", "CELEBA": "celeb_a", "FFHQ": "folder"}


def propose(released: Released) -> ConfigDict:
    """The config of a file; see families.

    Raises:
        ValueError: its data set is not known, or its images were transformed by a logit.
    """
    config = configs.default(released.family)
    levels, data, own = _levels(released), _data(released), released.family == "ncsn"
    channel_mult, dilations = _SHAPES[released.facts["class"]]
    learning_rate = _said(released, "optim").get("lr", 1e-3 if own else 1e-4)
    decay = 0.999 if released.ema_decay is None else released.ema_decay
    fields = {
        **_fields_of_data(data),
        "space.pixels.centered": bool(_said(released, "data").get("rescaled", False)),
        "space.pixels.flip": bool(_said(released, "data").get("random_flip", False)),
        "sde.name": "smld",
        "sde.sigma_max": levels[0],
        "sde.sigma_min": levels[1],
        "sde.scales": levels[2],
        "model.channels": len(released.raw["begin_conv.weight"]),
        "model.channel_mult": channel_mult,
        "model.dilations": dilations,
        "model.parametrization": "score" if own else "scaled_score",
        "model.noise_label": "level",
        "objective.denoising.times": "discrete",
        "objective.denoising.reduction": "half_sum",
        "optim.learning_rate": float(learning_rate),
        "optim.warmup": 0,
        "optim.clip": 0.0,
        "training.batch_size": 128,
        "training.ema_decays": (0.0 if released.ema is None else decay,),
        "sampling.sampler": "predictor_corrector",
        "sampling.steps": levels[2],
        "sampling.predictor_corrector.predictor": "none",
        "sampling.predictor_corrector.corrector": "ald",
        "sampling.predictor_corrector.snr": math.sqrt(data.step_lr / 2) / levels[1],
        "sampling.predictor_corrector.corrector_steps": data.steps_each,
    }
    for path, value in fields.items():
        configs.set_field(config, path, value)
    return config


def _said(released: Released, section: str) -> dict[str, Any]:
    """A section of the authors' config, {} where there is none."""
    found = (released.facts["config"] or {}).get(section, {})
    return found if isinstance(found, dict) else {}


def _levels(released: Released) -> tuple[float, float, int]:
    """The largest noise level, the smallest, and their number."""
    said, raw = _said(released, "model"), released.raw
    if SIGMAS in raw:
        largest, smallest = (float(f"{raw[SIGMAS][i]:.6g}") for i in (0, -1))
        return largest, smallest, len(raw[SIGMAS])
    number = len(raw["normalizer.embed.weight"]) if released.family == "ncsn" else None
    number = said.get("num_classes", number)
    if number is None:
        raise ValueError("it has no noise levels, and no config lies beside it")
    return float(said.get("sigma_begin", 1.0)), float(said.get("sigma_end", 0.01)), int(number)


def _data(released: Released) -> _Set:
    """The data set, by the authors' config or by the class."""
    said, kind = _said(released, "data"), released.facts["class"]
    if said.get("logit_transform"):
        raise ValueError("its images were transformed by a logit, which no space here does")
    channels = released.raw["begin_conv.weight"].shape[1]
    key = channels if kind == "NCSN" else _levels(released)[2]
    usual = _SETS.get((kind, key))
    if said:
        size, dataset = said.get("image_size"), str(said.get("dataset"))
        steps = _said(released, "sampling")
        found = usual or _Set(dataset, 32, 6.2e-6, 5)
        return found._replace(
            dataset=dataset,
            image_size=int(size),
            category=str(said.get("category", "")),
            step_lr=float(steps.get("step_lr", found.step_lr)),
            steps_each=int(steps.get("n_steps_each", found.steps_each)),
        )
    if usual is None:
        raise ValueError(f"no data set of the authors goes with a {kind} of {key} noise levels")
    return usual


def _fields_of_data(data: _Set) -> dict[str, Any]:
    name = f"lsun/{data.category}" if data.dataset == "LSUN" else _NAMES.get(data.dataset)
    if name is None:
        raise ValueError(f"the data set {data.dataset[:20]} of its config is not known")
    crop = {"data.crop": 140} if name == "celeb_a" else {}
    return {"data.name": name, "data.image_size": data.image_size, **crop}


def prepare(arrays: Arrays) -> Arrays:
    """The arrays of either network by NCSNv2's names, with alpha as in equation (1)."""
    found = {}
    for name, array in arrays.items():
        base, is_embedding, _ = name.partition(".embed.weight")
        if is_embedding and array.ndim == 2:
            parts = np.split(array, 3, axis=1) if array.shape[1] % 3 == 0 else [array]
            found |= {f"{base}.{part}": a for part, a in zip(_PARTS, parts, strict=False)}
        elif name != SIGMAS:
            found[name] = array
    for name in [name for name in found if name.endswith(".alpha")]:
        gamma = found.get(name.removesuffix("alpha") + "gamma")
        if gamma is not None and gamma.shape == found[name].shape:
            found[name] = found[name] * gamma
    return found


_PARTS = ("gamma", "alpha", "beta")


def check(experiment: Experiment, released: Released) -> None:
    """The noise levels of NCSNv2.

    Raises:
        ValueError: the config has others.
    """
    if SIGMAS in released.raw:
        noise_levels.check(experiment, SIGMAS, released.raw[SIGMAS])


def slots(model: NCSN | NCSNv2, released: Released) -> Slots:
    """Every array of a network, by its official name as `prepare` gives it."""
    labels = STAGES[released.facts["class"]]
    yield from affine("begin_conv", model.conv_in)
    for label, stage in zip(labels, model.stages, strict=False):
        for number, block in enumerate(stage):
            yield from _residual(f"res{label}.{number}", block)
    for label, block in zip(_joined(labels), model.refine, strict=False):
        yield from _refine(f"refine{label}", block)
    yield from _norm("normalizer", model.norm_out)
    yield from affine("end_conv", model.conv_out)


def _joined(labels: Sequence[str]) -> list[str]:
    """The names of the joining blocks in the order in which they are asked, from the smallest size.

    They have the names of the stages, in ascending order, but for a stage 31, which is joined
    before 3.
    """
    return sorted(labels, key=lambda label: {"31": 2.5}.get(label, float(label)))


def _residual(name: str, block: ResidualBlock) -> Slots:
    yield from _norm(f"{name}.normalize1", block.norm_0)
    yield from _norm(f"{name}.normalize2", block.norm_1)
    yield from affine(f"{name}.conv1", block.conv_0.conv)
    yield from affine(f"{name}.conv2.conv" if block.down else f"{name}.conv2", block.conv_1.conv)
    match block.shortcut:
        case DilatedConv(conv=conv):
            yield from affine(f"{name}.shortcut", conv)
        case Dense() as dense:
            yield from affine(f"{name}.shortcut.conv", dense, CONV_1X1)


def _refine(name: str, block: RefineBlock) -> Slots:
    for number, units in enumerate(block.adapt):
        yield from _units(f"{name}.adapt_convs.{number}", units)
    for part, chain in (("msf", block.fuse or ()), ("crp", block.pool)):
        for number, layer in enumerate(chain):
            yield from affine(f"{name}.{part}.convs.{number}", layer.conv)
            yield from _norm(f"{name}.{part}.norms.{number}", layer.norm)
    yield from _units(f"{name}.output_convs", block.end)


def _units(name: str, chain: nnx.List) -> Slots:
    """Residual units of two convolutions each."""
    for number, layer in enumerate(chain):
        label = f"{name}.{number // 2 + 1}_{number % 2 + 1}"
        yield from affine(f"{label}_conv", layer.conv)
        yield from _norm(f"{label}_norm", layer.norm)


def _norm(name: str, norm: InstanceNormPlus | None) -> Slots:
    if norm is not None:
        for part in _PARTS:
            yield one(f"{name}.{part}", getattr(norm, part))
