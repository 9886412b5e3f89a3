"""From the path of a released file to its family, its arrays by their authors' names, and facts.

Nothing has to be said of the file: its container is told by its first bytes, its family by what is
in it. Nothing in it is executed, see formats.restricted. Facts, beside what Released says:

- dit, sit: "training", the arguments of the training script, if it is a training checkpoint;
- edm, edm2: see recognise_edm;
- ncsn, ncsnv2: "class", the network's, and "config", the authors' config beside the file, as
  dictionaries, or None;
- song: none, and no arrays of a whole checkpoint: song.read reads it.

DiT and SiT have the same arrays: SiT's network, too, outputs twice the channels, and drops the
second half. The arguments of a training checkpoint name the model. Else the file's name must, as
those of the released files do: DiT-XL-2-256x256.pt, SiT-XL-2-256x256.pt.

guided-diffusion and improved-diffusion have the same names, too, and guided-diffusion's network
reads both. If sizes change by residual blocks it is guided-diffusion; else the file's name says
that it is improved-diffusion: cifar10_uncond_50M_500K.pt, or whatever begins with "improved". The
number of heads and the order in their projection leave no trace in the arrays; see beside. Nor do
the size of images and the channels of EDM2, where its arrays come without their snapshot.

A .safetensors file by interop.export says its family and the run that it is from; arrays under
"objective." are the objective's own.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde import records
from score_sde.errors import first_line
from score_sde.formats import persistent
from score_sde.formats.restricted import line
from score_sde.interop import beside, containers, recognise_edm, refinenet_files
from score_sde.interop.released import Arrays, Released, is_state, state
from score_sde.objectives import OWN

# Of each family, names that all its networks have, and names that none has; one that ends with a
# point is what names begin with. The first that fits is taken.
_LAYOUTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ncsn": (("begin_conv.weight", "normalizer.embed.weight", "refine1.crp.convs.0.weight"), ()),
    "ncsnv2": (("begin_conv.weight", "normalizer.alpha", "refine1.crp.convs.0.weight"), ()),
    "dit": (("x_embedder.proj.weight", "t_embedder.mlp.0.weight", "final_layer.linear.weight"), ()),
    "edm2": (("unet.emb_fourier.freqs", "unet.emb_noise.weight", "unet.out_gain"), ()),
    "uvit": (("patch_embed.proj.weight", "mid_block.attn.qkv.weight", "decoder_pred.weight"), ()),
    "guided_diffusion": (
        ("time_embed.0.weight", "input_blocks.0.0.weight", "output_blocks.0.0.in_layers.0.weight"),
        (),
    ),
    "guided_diffusion_classifier": (
        ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight"),
        ("output_blocks.",),
    ),
    "oobleck": (("encoder.conv1.weight_v", "encoder.snake1.alpha", "decoder.conv2.weight_v"), ()),
    "song": (("all_modules.",), ()),
}
OURS = "score_sde"  # any network, by our own names for arrays; see own_family
FAMILIES = ("edm", "sit", "improved_diffusion", *_LAYOUTS, OURS)
# What their authors released are averages, except for these.
_RAW = ("guided_diffusion_classifier", "ncsn", "oobleck", "song")
_LARGEST_STEP = 2**31 - 1
ABOUT = "score_sde"  # the text of a safetensors file that says what run it is from


def recognise(path: str | Path) -> Released:
    """Read a released file.

    Args:
        path: of a .pkl, .pt, .pth or .safetensors file, whatever it is called.

    Raises:
        ValueError: it is damaged, or of no known family; the message says what was seen.
        pickle.UnpicklingError: it asks for something other than data; the message names it.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        return _family(path, containers.load(path))
    except (pickle.UnpicklingError, OSError):
        raise
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {first_line(error)}") from error


def _family(path: Path, value: Any) -> Released:
    match value:
        case {"ema": persistent.Record()}:
            return recognise_edm.released(path, value)
        case {"arrays": arrays, "about": about}:
            found = _exported(path, arrays, about) or _alone(path, state(arrays))
            if found.family == "song":
                return found
            decay = _decay(_number(float, about.get("ema_decay")))
            step = _number(int, about.get("step")) or 0
            return dataclasses.replace(found, step=_step(step), ema_decay=decay)
        case {"model": model, "ema": ema, "opt": _, "args": dict(args)}:
            return _transformer(path, state(ema, "its ema"), state(model, "its model"), args)
        case {"model": _, "optimizer": _}:
            return Released(path, "song", None, None)
        case [dict(), dict()] | [dict(), dict(), int(), int(), *_]:
            _expect(_layout(state(value[0])), ("ncsn", "ncsnv2"), path)
            return refinenet_files.released(path, value)
        case dict() if is_state(value):
            return _alone(path, state(value))
    raise ValueError(f"no known checkpoint: it holds {_seen(value)}")


def _alone(path: Path, arrays: Arrays) -> Released:
    """Of a state dict and nothing else."""
    family = _layout(arrays)
    if family == "dit":
        return _transformer(path, arrays, None, {})
    if family in ("ncsn", "ncsnv2"):
        return refinenet_files.released(path, [arrays])
    if family == "guided_diffusion" and _is_improved(path, arrays):
        family = "improved_diffusion"
    step, decay = _named(path)
    ema, raw = (None, arrays) if family in _RAW else (arrays, None)
    known = {} if family == "song" else beside.arguments(path)
    return Released(path, family, ema, raw, step, decay, known)


def _exported(path: Path, arrays: Arrays, about: Mapping[str, str]) -> Released | None:
    """Of a file by interop.export that says what it is; None of another."""
    if ABOUT not in about:
        return None
    match said := records.parse(about[ABOUT]):
        case {"family": str(family), "config": dict(), "fields": list()} if family in FAMILIES:
            found = state(arrays)
            own = {name: found.pop(name) for name in [*found] if name.startswith(f"{OWN}.")}
            return Released(path, family, found, None, run=said, own=own)
    raise ValueError("what it says of its run is damaged")


def _layout(arrays: Arrays) -> str:
    """The family that has such names."""
    for family, (names, foreign) in _LAYOUTS.items():
        if all(_has(arrays, n) for n in names) and not any(_has(arrays, n) for n in foreign):
            return family
    first = next(iter(arrays))
    raise ValueError(
        f"no known network has its {len(arrays)} arrays, the first of which is "
        f"{line(first)} of shape {arrays[first].shape}"
    )


def _has(arrays: Arrays, name: str) -> bool:
    return any(n.startswith(name) for n in arrays) if name.endswith(".") else name in arrays


def _expect(family: str, families: tuple[str, ...], path: Path) -> None:
    if family not in families:
        raise ValueError(f"a list of a network of {family} and its optimiser is not known")


def _transformer(path: Path, ema: Arrays, raw: Arrays | None, args: Mapping) -> Released:
    """Of DiT or SiT; see the module."""
    _expect_same(_layout(ema), "dit")
    model = args.get("model")
    named = model if isinstance(model, str) and model else path.stem
    match = re.match(r"(dit|sit)", named[:100], re.IGNORECASE)
    if match is None:
        raise ValueError(
            "DiT and SiT have the same arrays, and nothing says which of them it is: begin the "
            "file's name with DiT or SiT"
        )
    training = {"training": persistent.plain(dict(args))} if args else {}
    is_step = re.fullmatch(r"\d{7,9}", path.stem)
    step = _step(int(path.stem)) if is_step else 0
    # Both training scripts have this decay, and no argument for it.
    decay = 0.9999 if raw is not None else None
    known = beside.arguments(path)
    return Released(path, match[1].lower(), ema, raw, step, decay, known, training)


def _expect_same(family: str, expected: str) -> None:
    if family != expected:
        raise ValueError(f"a training checkpoint of {expected} holds a network of {family}")


def _is_improved(path: Path, arrays: Arrays) -> bool:
    """Whether a network is of improved-diffusion; see the module."""
    # A block that changes the size stands behind the others of its group in the decoder.
    by_blocks = any(re.match(r"output_blocks\.\d+\.[12]\.in_layers\.", name) for name in arrays)
    named = re.match(r"improved|.*cond_\d{1,4}M_\d{1,4}K", path.stem[:100])
    return named is not None and not by_blocks


def _named(path: Path) -> tuple[int, float | None]:
    """(step, decay) that the training scripts of guided-diffusion write into a file's name."""
    if match := re.fullmatch(r"ema_(0\.\d{1,9})_(\d{6,9})", path.stem):
        return _step(int(match[2])), float(match[1])
    match = re.fullmatch(r"model(\d{6,9})", path.stem)
    return (_step(int(match[1])) if match else 0), None


def _step(step: int) -> int:
    if not 0 <= step <= _LARGEST_STEP:
        raise ValueError(f"its step is not a number from 0 to {_LARGEST_STEP}")
    return step


def _decay(decay: float | None) -> float | None:
    if decay is not None and not 0 <= decay < 1:  # false for NaN as well
        raise ValueError("its ema_decay is not a number from 0 to below 1")
    return decay


def _number(kind: type, text: str | None) -> Any:
    """The number that a text says; None if there is none."""
    try:
        return None if text is None else kind(text[:32])
    except ValueError:
        raise ValueError("what it says of itself is no number") from None


def _seen(value: Any) -> str:
    """A value of a file in a few words."""
    if isinstance(value, dict):
        names = [line(str(name)) for name in list(value)[:8] if isinstance(name, str | int)]
        return "a dictionary of " + (", ".join(names) or "nothing")
    if isinstance(value, list | tuple):
        kinds = [type(item).__name__ for item in value[:8]]
        return f"a {type(value).__name__} of " + (", ".join(kinds) or "nothing")
    if isinstance(value, persistent.Record):
        return f"a {line(value.class_name)}"
    return f"a {type(value).__name__}"
