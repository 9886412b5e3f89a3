"""What pictures are drawn from beside prompts: from flags to arguments of Run.generate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from score_sde import images
from score_sde.cli import prompt_images
from score_sde.cli.flags import CommandLine
from score_sde.cli.prompt_options import SIDES, PromptOptions
from score_sde.errors import UserError
from score_sde.runs import controlled, editing, pictured
from score_sde.runs.controlled import Control, Opened
from score_sde.runs.opened import Run
from score_sde.samplers import Sampler


def arguments(
    line: CommandLine,
    run: Run,
    pixels: tuple[int, int],
    sampler: Sampler,
    networks: Sequence[Opened],
) -> dict[str, Any]:
    """What pictures are drawn from beside prompts: arguments of Run.generate.

    Args:
        line: the command line.
        run: the run.
        pixels: (height, width) of the pictures.
        sampler: what draws.
        networks: what steers, opened, in the order of the command line.

    Raises:
        UserError: an image cannot be read, or the model or the sampler cannot use it.
    """
    options = line.prompted
    found = _about_image(line, run, pixels)
    if options.task == "edit":
        if "sampling.sampler" in line.overrides:
            editing.sampler(line.config.sampling.sampler)
        sampler = editing.sampler(None)
    names = ("image", "mask", "strength")
    asked = pictured.given(
        run,
        1,
        **{name: found.get(name) for name in names},
        method=line.question.method,
        level=options.noise_level,
    )
    if (asked.level is None) == (options.task == "superres"):
        raise UserError(
            f"--task={options.task}: {run.workdir} makes no small images larger, as a "
            "StableDiffusionUpscalePipeline does"
            if asked.level is None
            else f"{run.workdir} makes small images larger: give --task=superres --image=FILE"
        )
    later = pictured.later(run, sampler, 1.0 if options.task == "edit" else asked.strength)
    controls = controlled.checked(run, _controls(options, pixels, networks), later)
    return {**found, "sampler": sampler, "controls": controls}


def _about_image(line: CommandLine, run: Run, pixels: tuple[int, int]) -> dict[str, Any]:
    """The image, what of it is known, and how far it is changed."""
    options, channels = line.prompted, run.space.image[-1]
    if not options.task:
        return {}
    if options.task == "superres":
        small = tuple(side // run.space.factor for side in pixels)
        image = images.resized(Path(options.image), small, channels)
        return {"image": image, "noise_level": options.noise_level}
    if options.task == "edit":
        image = images.resized(Path(options.image), pixels, channels)
        return {"image": image, "prompt_from": options.prompt_from}
    found: dict[str, Any] = {"strength": options.strength}
    if options.task == "outpaint":
        more = {side: options.extend.get(side, 0) for side in SIDES}
        own = pixels[0] - more["top"] - more["bottom"], pixels[1] - more["left"] - more["right"]
        image = images.resized(Path(options.image), own, channels)
        found["image"], found["mask"] = pictured.extended(image, **more)
        return {**found, "method": line.question.method}
    found["image"] = images.resized(Path(options.image), pixels, channels)
    if options.task == "inpaint":
        found["mask"] = prompt_images.mask(line.question.mask, pixels)
        found["method"] = line.question.method
    return found


def _controls(
    options: PromptOptions, pixels: tuple[int, int], networks: Sequence[Opened]
) -> list[Control]:
    """What steers, with its images: of the size of the pictures where it is shown them."""
    found = []
    for one, network in zip(options.controls, networks, strict=True):
        size = pixels if network.encoder is None else None
        image = images.resized(Path(one.image), size, network.channels)
        found.append(Control(network, image, one.scale, one.start, one.end, one.guess))
    return found


def about(line: CommandLine) -> dict[str, Any]:
    """What the PNG file says of them."""
    said = dataclasses.asdict(line.prompted)
    if line.prompted.task in ("inpaint", "outpaint"):
        said["method"] = line.question.method
    if line.prompted.task == "inpaint":
        said["mask"] = line.question.mask
    if line.prompted.task == "edit":
        said["sampler"] = "rk45"
    names = ("task", "image", "mask", "extend", "method", "strength", "controls", "sampler")
    names += ("noise_level", "prompt_from", "frames", "skip_layers")
    return {name: said[name] for name in names if said.get(name) not in (None, "", (), {})}
