"""The flags of --prompt: what they say, and which go together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Self

from absl import flags

from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.runs.weakened import SkipLayers
from score_sde.values import Count, Every, Path, Range, check

# What is asked about an image that is given; the flags that go with each.
TASKS = {
    "img2img": ("image", "strength"),
    "inpaint": ("image", "strength"),
    "outpaint": ("image", "strength", "extend"),
    "superres": ("image", "noise_level"),
    "edit": ("image", "prompt_from"),
}
OF_DATA = {"shallow": ("strength",)}  # of models without prompts; what it takes of these
_OF_TASKS = ("image", "strength", "extend", "noise_level", "prompt_from")
SIDES = ("top", "bottom", "left", "right")
ALSO_OF_DATA = ("inpaint", "superres")  # those that models without prompts are asked too
Strength = Annotated[float, Range(0, 1, open_low=True)]


@dataclasses.dataclass(frozen=True)
class ControlOption:
    """--control=NETWORK:IMAGE:SCALE:START:END:guess, of which what follows IMAGE may be left out.

    Attributes are those of runs.controlled.Control, the image as a file.
    """

    network: str
    image: str
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False

    @classmethod
    def of(cls, text: str) -> Self:
        """What a flag says.

        Raises:
            UserError: it says something else.
        """
        network, *parts = text.split(":")
        guess = parts[-1:] == ["guess"]
        image, *numbers = parts[: len(parts) - guess] or [""]
        try:
            found = [float(number) for number in numbers]
            if not (network and image and len(found) <= 3):
                raise ValueError
        except ValueError:
            raise UserError(
                f"--control={text}: give FOLDER:IMAGE, FOLDER:IMAGE:SCALE or "
                "FOLDER:IMAGE:SCALE:START:END, and :guess after it for guess mode"
            ) from None
        named = dict(zip(("scale", "start", "end"), found, strict=False))
        return cls(str(expanded(network)), str(expanded(image)), **named, guess=guess)


@dataclasses.dataclass(frozen=True)
class PromptOptions:
    """What is to be drawn.

    Attributes:
        prompts: texts, or files of texts.
        negative: a text that these are to lead away from, or None.
        height: of the pictures, in pixels; None for that of what is given, or of training.
        width: likewise.
        frames: of the videos; None for pictures.
        task: a key of TASKS, or "".
        image: the file that the task is about, or None.
        strength: how far it is changed; None for the task's own.
        noise_level: on a small image that is made larger; None for the usual.
        prompt_from: what an image shows that is edited, or None.
        extend: pixels to add at each side of the image, by its name.
        controls: networks that steer.
        skip_layers: blocks without which the model is one to lead away from, or None.
    """

    prompts: tuple[str, ...] = ()
    negative: str | None = None
    height: int | None = None
    width: int | None = None
    frames: int | None = None
    task: str = ""
    image: str | None = None
    strength: float | None = None
    noise_level: int | None = None
    prompt_from: str | None = None
    extend: Mapping[str, int] = dataclasses.field(default_factory=dict)
    controls: tuple[ControlOption, ...] = ()
    skip_layers: SkipLayers | None = None


def define(values: flags.FlagValues) -> None:
    """Define them."""
    flags.DEFINE_multi_string("prompt", [], "", flag_values=values)
    flags.DEFINE_string("negative", None, "", flag_values=values)
    flags.DEFINE_integer("height", None, "", flag_values=values)
    flags.DEFINE_integer("width", None, "", flag_values=values)
    flags.DEFINE_integer("frames", None, "", flag_values=values)
    flags.DEFINE_string("image", None, "", flag_values=values)
    flags.DEFINE_float("strength", None, "", flag_values=values)
    flags.DEFINE_integer("noise_level", None, "", flag_values=values)
    flags.DEFINE_string("prompt_from", None, "", flag_values=values)
    flags.DEFINE_multi_string("extend", [], "", flag_values=values)
    flags.DEFINE_multi_string("control", [], "", flag_values=values)
    flags.DEFINE_string("skip_layers", None, "", flag_values=values)


def read(values: flags.FlagValues) -> PromptOptions:
    """What they say.

    Raises:
        UserError: a value is out of its range, or two do not go together.
    """
    _check_values(values)
    task = values.task or ""
    if not values.prompt:
        for name in ("negative", "height", "width", "frames", "control", "skip_layers"):
            if values[name].value not in (None, []):
                raise UserError(f"--{name} goes with --prompt")
        if task in TASKS and task not in ALSO_OF_DATA:
            raise UserError(f"--task={task} goes with --prompt=TEXT")
    elif values.mode != "sample" or (task and task not in TASKS):
        raise UserError(
            f"--prompt goes with --mode=sample, and with --task={', '.join(TASKS)} or none"
        )
    told = (TASKS if values.prompt else OF_DATA).get(task, ())
    for name in _OF_TASKS:
        if values[name].value not in (None, []) and name not in told:
            tasks = " or ".join(task for task, names in TASKS.items() if name in names)
            also = [f", or with --task={task}" for task, names in OF_DATA.items() if name in names]
            raise UserError(f"--{name} goes with --prompt and --task={tasks}{''.join(also)}")
    if "image" in told and values.image is None:
        raise UserError(f"--task={task} is about an image: give --image=FILE")
    if "extend" in told and not values.extend:
        raise UserError(f"--task={task} draws beyond an image: give --extend=right:64, for example")
    if "prompt_from" in told and values.prompt_from is None:
        raise UserError(f"--task={task} starts from what the image shows: give --prompt_from=TEXT")
    if values.frames is not None and (task or values.control):
        raise UserError("--frames is of videos of a prompt alone: leave out --task and --control")
    for name in ("factor", "sweeps"):
        if values.prompt and values[name].value not in (None, []):
            raise UserError(f"--{name} does not go with --prompt")
    if values.prompt and values.method == "gibbs":
        raise UserError("--method=gibbs has a sampler of its own, and does not go with --prompt")
    return PromptOptions(
        prompts=tuple(values.prompt),
        negative=values.negative,
        height=values.height,
        width=values.width,
        frames=values.frames,
        task=task if values.prompt else "",
        image=None if values.image is None else str(expanded(values.image)),
        strength=values.strength,
        noise_level=values.noise_level,
        prompt_from=values.prompt_from,
        extend=dict(_extended(text) for text in values.extend),
        controls=tuple(ControlOption.of(text) for text in values.control),
        skip_layers=None if values.skip_layers is None else _skip_layers(values.skip_layers),
    )


def _extended(text: str) -> tuple[str, int]:
    """The side and the pixels of --extend=SIDE:PIXELS."""
    side, _, number = text.partition(":")
    if side not in SIDES or not re.fullmatch(r"[1-9]\d{0,5}", number):
        raise UserError(f"--extend={text}: give SIDE:PIXELS, SIDE one of {', '.join(SIDES)}")
    return side, int(number)


def _skip_layers(text: str) -> SkipLayers:
    """What --skip_layers=I,J:SCALE:START:END says, of which what follows the blocks may be left."""
    blocks, *numbers = text.split(":")
    try:
        found = [float(number) for number in numbers]
        if len(found) > 3:
            raise ValueError
        named = dict(zip(("scale", "start", "end"), found, strict=False))
        return SkipLayers(tuple(int(block) for block in blocks.split(",")), **named)
    except ValueError:
        raise UserError(
            f"--skip_layers={text}: give blocks and, if you like, numbers: 7,8,9 or 7,8,9:SCALE or "
            "7,8,9:SCALE:START:END"
        ) from None


def _check_values(values: flags.FlagValues) -> None:
    kinds = {
        "height": Count,
        "width": Count,
        "frames": Count,
        "image": Path,
        "strength": Strength,
        "noise_level": Every,
    }
    try:
        for name, kind in kinds.items():
            if (value := values[name].value) is not None:
                check(f"--{name}", value, kind)
    except ValueError as error:
        raise UserError(str(error)) from error
