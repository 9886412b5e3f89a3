"""The official PyTorch checkpoints of Song et al. (2021, arXiv 2011.13456), and a UNet's arrays.

Such a file numbers the layers of the network in the order in which they were made:
`module.all_modules.4.Conv_0.weight`. The exponential moving average is a list without names, of the
trainable parameters in the order of the network's own dictionary.
"""

import numbers
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.formats import safetensors, torch_file
from score_sde.interop import slots
from score_sde.interop.layouts import CONV_1X1, affine, one
from score_sde.interop.slots import Slot, Slots
from score_sde.models.blocks import Attention, Head, InputResidual, InputSkip, OutputSkip, ResBlock
from score_sde.models.layers import Constant, Conv, Dense, GroupNorm
from score_sde.models.resample import Downsample, Upsample
from score_sde.models.unet import UNet

WRAPPER = "module."
_PREFIX = f"{WRAPPER}all_modules."
SIGMAS = f"{WRAPPER}sigmas"
_LONGEST_NUMBER = 32  # characters


def read(path: str | Path, averaged: bool = True) -> dict[str, Any]:
    """Read an official checkpoint; the state of the optimiser is left in the file.

    Args:
        path: an official `checkpoint_N.pth`; or the dictionary of its parameters alone, by itself
            or as a .safetensors file, as interop.export writes it. Their names may lack the
            `module.` that the official code has in front of them, or have it twice, as wrappers of
            a network leave it.
        averaged: whether to read the moving averages too.

    Returns:
        A dictionary: "step", int, 0 where parameters alone do not say it; "model", {official name:
        array}; and, if averaged, "ema", a list of the trainable parameters' moving averages, but
        not where those of "model" are averages themselves; "ema_decay", float. Arrays are of
        floating-point numbers that are finite in float32. "model" also has SIGMAS, the noise levels
        of a VE SDE, descending, [N], N > 0.

    Raises:
        ValueError: the file is not such a checkpoint; the message names the first wrong value.
        pickle.UnpicklingError: see torch_file.load.
    """
    path = Path(path)
    checkpoint = _tensors(path) if safetensors.is_one(path) else _whole(torch_file.load(path))
    try:
        found = {
            "step": _step(_item(checkpoint, "step")),
            "model": _model(_item(checkpoint, "model")),
        }
        if averaged and "averaged_by" in checkpoint:
            found["ema_decay"] = _decay(checkpoint["averaged_by"])
        elif averaged:
            if "ema" not in checkpoint:
                raise ValueError("it has no ema, moving averages: --weights=raw imports the others")
            found["ema"] = _averages(_item(checkpoint, "ema", "shadow_params"))
            found["ema_decay"] = _decay(_item(checkpoint, "ema", "decay"))
        return found
    except ValueError as error:
        raise ValueError(f"{path} is not a checkpoint of score_sde_pytorch: {error}") from error


def _whole(checkpoint: Any) -> Any:
    """A checkpoint; of parameters alone, one of them."""
    alone = isinstance(checkpoint, dict) and bool(checkpoint)
    if alone and all(isinstance(value, np.ndarray) for value in checkpoint.values()):
        return {"step": 0, "model": checkpoint}
    return checkpoint


def _tensors(path: Path) -> dict[str, Any]:
    """The checkpoint in a .safetensors file, whose texts may say its step and a decay."""
    arrays, about = safetensors.load(path)
    found = {"step": _number(int, about.get("step", "0")), "model": arrays}
    if "ema_decay" in about:
        found["averaged_by"] = _number(float, about["ema_decay"])
    return found


def _number(kind: type, text: str) -> Any:
    """The number that a text says, or the text, which is then refused."""
    try:
        return kind(text[:_LONGEST_NUMBER])
    except ValueError:
        return text


def _item(values: Any, *names: str) -> Any:
    """An item of dictionaries in dictionaries."""
    for name in names:
        if not isinstance(values, dict) or name not in values:
            raise ValueError(f"it has no {'.'.join(names)}")
        values = values[name]
    return values


def _step(value: Any) -> int:
    # The step of a run is an int32.
    if not isinstance(value, numbers.Integral) or not 0 <= value < 2**31:
        raise ValueError(f"step is {_text(value)}; it must be an int from 0 to 2**31 - 1")
    return int(value)


def _decay(value: Any) -> float:
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"ema.decay is {_text(value)}; it must be a number in [0, 1)")
    return float(value)


def _model(values: Any) -> dict[str, np.ndarray]:
    if not isinstance(values, dict):
        raise ValueError(f"model is {_text(values)}; it must be a dictionary")
    arrays = {}
    for name in values:
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f"model has {_text(name)} among its names")
        official = WRAPPER + re.sub(rf"^({re.escape(WRAPPER)})+", "", name)
        if official in arrays:
            raise ValueError(f"model has {official} twice, also as {name}")
        arrays[official] = _array(name, values[name])
    if SIGMAS in arrays and (arrays[SIGMAS].ndim != 1 or arrays[SIGMAS].size == 0):
        raise ValueError(f"{SIGMAS} has shape {arrays[SIGMAS].shape}; it must be a list of levels")
    return arrays


def _averages(values: Any) -> list[np.ndarray]:
    if not isinstance(values, list):
        raise ValueError(f"ema.shadow_params is {_text(values)}; it must be a list")
    return [_array(f"ema.shadow_params[{i}]", value) for i, value in enumerate(values)]


def _array(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"{name} is {_text(value)}; it must be an array of floating-point numbers")
    if not np.all(np.abs(value) <= np.finfo(np.float32).max):  # false for NaN as well
        raise ValueError(f"{name} holds a number that is not finite")
    return value


def _text(value: Any) -> str:
    """A number, or else the type of a value: its repr could be of any length."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return reprlib.repr(value) if isinstance(value, numbers.Real) else f"a {type(value).__name__}"


def to_params(
    model: UNet, checkpoint: dict[str, Any], weights: Literal["raw", "ema"] = "raw"
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Arrays of a checkpoint under the names that models.functional gives them.

    Args:
        model: the network that the checkpoint was trained with; an abstract one, as
            nnx.eval_shape makes it, will do.
        checkpoint: as `read` returns it.
        weights: "raw" for the parameters themselves, "ema" for their moving average.

    Returns:
        (parameters, constants), each {"path/of/the/array": array}, in the dtype of the model's.

    Raises:
        ValueError: model and checkpoint differ; the message names the first array, in the
            checkpoint's order, that does, and both shapes.
    """
    if weights not in ("raw", "ema"):
        raise ValueError(f"weights is {weights!r}; it must be 'raw' or 'ema'")
    official = list(_slots(model))
    arrays = {k: v for k, v in checkpoint["model"].items() if k.startswith(_PREFIX)}
    slots.check(official, {name: array.shape for name, array in arrays.items()})
    if weights == "ema":
        trained = set(_trainable(official))
        trainable = [name for name in arrays if name in trained]
        if len(trainable) != len(checkpoint["ema"]):
            raise ValueError(
                f"the checkpoint averages {len(checkpoint['ema'])} arrays, "
                f"but the model trains {len(trainable)}"
            )
        arrays |= zip(trainable, checkpoint["ema"], strict=True)
    return slots.to_params(model, official, arrays)


def from_params(
    model: UNet, params: dict[str, jax.Array], constants: dict[str, jax.Array]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The inverse of `to_params`: arrays under their official names, in the official order.

    Args:
        model: the network; an abstract one will do.
        params: its parameters, as models.functional names them.
        constants: its other arrays.

    Returns:
        {official name: array}, and which of these names are trainable.

    Raises:
        ValueError: the network has an array for which the official layout has no place.
    """
    official = list(_slots(model))
    return slots.from_params(model, official, params, constants), _trainable(official)


def _trainable(official: list[Slot]) -> list[str]:
    """The names of arrays that are no constants."""
    return [
        name
        for slot in official
        for name, variable in zip(slot.shapes, slot.variables, strict=True)
        if not isinstance(variable, Constant)
    ]


def _slots(model: UNet) -> Slots:
    """Every array of the model, with its official name."""
    for number, layer in enumerate(_official_order(model)):
        yield from _arrays(f"{_PREFIX}{number}", layer)


def _official_order(model: UNet) -> Iterator[Any]:
    """The model's layers in the order of the official `all_modules`."""
    if model.noise_embedding is not None:
        if model.noise_embedding.frequencies is not None:
            yield model.noise_embedding.frequencies
        yield from (model.noise_embedding.dense_0, model.noise_embedding.dense_1)
    yield model.conv_in
    for level in model.down:
        attentions = iter(level.attentions)
        for block in level.blocks:
            yield from (block, *([next(attentions)] if level.attentions else []))
        yield from (part for part in (level.resample, level.pyramid) if part is not None)
    yield from model.middle
    for level in model.up:
        yield from level.blocks
        if level.attention is not None:
            yield level.attention
        if level.pyramid is not None:
            path = (
                level.pyramid.head if isinstance(level.pyramid, OutputSkip) else level.pyramid.path
            )
            yield from (path.norm, path.conv) if isinstance(path, Head) else (path,)
        if level.resample is not None:
            yield level.resample
    if model.head is not None:
        yield from (model.head.norm, model.head.conv)


def _arrays(prefix: str, layer: Any) -> Slots:
    """Arrays of one of the official `all_modules`, of this name."""
    match layer:
        case Constant():
            yield one(f"{prefix}.W", layer)
        case Dense() | Conv() | GroupNorm():
            yield from affine(prefix, layer)
        case ResBlock():
            yield from _res_block(prefix, layer)
        case Attention():
            yield from affine(f"{prefix}.GroupNorm_0", layer.norm)
            for i, dense in enumerate((layer.query, layer.key, layer.value, layer.out)):
                yield from _nin(f"{prefix}.NIN_{i}", dense)
        case InputSkip():
            yield from affine(f"{prefix}.Conv_0", layer.dense, CONV_1X1)
        case InputResidual():
            yield from _arrays(prefix, layer.down)
        case Downsample() | Upsample() if layer.conv is not None:
            name = "Conv_0" if layer.fir is None else "Conv2d_0"
            yield from affine(f"{prefix}.{name}", layer.conv)


def _nin(prefix: str, layer: Dense) -> Slots:
    yield one(f"{prefix}.W", layer.kernel)
    yield one(f"{prefix}.b", layer.bias)


def _res_block(prefix: str, block: ResBlock) -> Slots:
    yield from affine(f"{prefix}.GroupNorm_0", block.norm_0)
    yield from affine(f"{prefix}.Conv_0", block.conv_0)
    if block.dense is not None:
        yield from affine(f"{prefix}.Dense_0", block.dense)
    yield from affine(f"{prefix}.GroupNorm_1", block.norm_1)
    yield from affine(f"{prefix}.Conv_1", block.conv_1)
    if block.shortcut is not None and block.kind == "biggan":
        yield from affine(f"{prefix}.Conv_2", block.shortcut, CONV_1X1)
    elif block.shortcut is not None:
        yield from _nin(f"{prefix}.NIN_0", block.shortcut)
