"""Pictures of prompts: --mode=sample --prompt=TEXT, from a run that is told of texts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files, images, keys
from score_sde.cli import messages, prompt_given, prompt_images, prompt_rows, prompt_there
from score_sde.cli.conditions import value
from score_sde.cli.flags import CommandLine
from score_sde.cli.prompt_rows import Asked
from score_sde.data import gallery
from score_sde.errors import UserError
from score_sde.runs import controlled, drawing, prompted, telling, videos
from score_sde.runs.opened import Run
from score_sde.spaces import pictures
from score_sde.training.progress import Count

FOLDER = "prompts"  # of a run's folder, where pictures go
_ON_A_SHEET = 64  # pictures, evenly spaced among all


def draw(line: CommandLine, run: Run) -> int:
    """Draw what a command line asks for, and write a PNG for each picture, and one of several.

    Picture `number` of a prompt is drawn with its own key, of its seed and `number`: it depends
    neither on the other prompts nor on the batch. Pictures that are there already are not drawn
    again; see prompt_there.

    Returns:
        The exit status.

    Raises:
        UserError: a prompt or an option cannot be, or a file is in the way. Nothing is written.
    """
    if jax.process_count() > 1:
        raise UserError(
            "--prompt draws in one process, on all its devices: leave out --distributed"
        )
    asked = prompt_rows.asked(line, run)
    space = run.space.tiled(line.config.sampling.tile)
    text = telling.as_given(run, line.config, line.overrides)
    experiment = dataclasses.replace(run.experiment, space=space, text=text)
    run = dataclasses.replace(run, experiment=experiment)
    target = (line.workdir / FOLDER) if line.out is None else line.out
    paths = [target / f"{i:06d}.png" for i in range(len(asked))]
    options = line.prompted
    frames = options.frames
    videos.leading(run, frames)
    networks = [controlled.opened(one.network) for one in options.controls]
    pixels = prompt_images.size(options, run, networks)
    sampler = drawing.asked(run, line.config, line.overrides, pixels)
    given = prompt_given.arguments(line, run, pixels, sampler, networks)
    shown = (given.get("image"), given.get("mask"), *(one.image for one in given["controls"]))
    about = {
        "model": str(line.workdir),
        "step": run.step,
        "weights": run.weights,
        "sampler": line.config.sampling.sampler,
        "steps": line.config.sampling.steps,
        "guidance": line.config.guidance.scale,
        **({"clip_skip": text.skip} if getattr(text, "skip", 0) else {}),
        **prompt_given.about(line),
        "settings": prompt_there.settings(line, run, given["sampler"], pixels, shown, networks),
    }
    said = [_said(run, one, about) for one in asked]
    there = {} if line.overwrite else prompt_there.found(paths, said)
    sheet = [sheet_of(target)] if len(asked) > 1 else []
    for path in sheet:
        if path.exists() and not there and not line.overwrite:
            raise prompt_there.in_the_way(path)
    if there:
        every = f"{len(there)} of {len(asked)} pictures are" if len(asked) > 1 else "the picture is"
        print(f"{every} there already, in {target}", flush=True)
    missing = [i for i in range(len(asked)) if i not in there]
    if not missing and all(path.exists() for path in sheet):
        return 0
    wrote, spent = [], ""
    if missing:
        nfe = _drawn(line, run, [(asked[i], said[i], paths[i]) for i in missing], pixels, given)
        first, *more = (paths[i] for i in missing)
        wrote.append(f"{first} to {more[-1].name}" if more else f"{first}")
        spent = f"{nfe} function evaluations a picture. "
    thumbs = gallery.spread(len(asked), _ON_A_SHEET)
    for path in sheet:
        with files.writing(path.parent):
            drawn = [[np.asarray(images.read(paths[i]))] for i in thumbs]
            gallery.draw(path, drawn, [asked[i].prompt for i in thumbs])
        wrote.append(str(path))
    print(f"{spent}Wrote {', and '.join(wrote)}")
    return 0


def _said(run: Run, one: Asked, about: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a picture, of which those of all are `about`."""
    own = {name: v for name, v in one._asdict().items() if name != "conditions" or v}
    arrays = [value(run.experiment, *condition) for condition in sorted(one.conditions.items())]
    also = {"settings": prompt_there.digest(about["settings"], arrays)} if arrays else {}
    return {**own, **about, **also}


def _drawn(
    line: CommandLine,
    run: Run,
    every: Sequence[tuple[Asked, Mapping[str, Any], Path]],
    pixels: tuple[int, int],
    given: Mapping[str, Any],
) -> int:
    """Draw pictures and write them.

    Args:
        line: the command line.
        run: the run.
        every: what each is of, what its file says, and the file.
        pixels: (height, width).
        given: what they are drawn from; see prompt_given.

    Returns:
        Evaluations of the network for each.
    """
    config, options, frames = line.config, line.prompted, line.prompted.frames
    size = min(len(every), max(1, config.sampling.batch_size // (frames or 1)))
    prompted.check_memory(run, (size, *(() if frames is None else (frames,)), *pixels))
    messages.say_ignored(line, run.experiment)
    what = "picture" if frames is None else "video"
    what += "s" if len(every) > 1 else ""
    what += "" if frames is None else f" of {frames} frames"
    print(
        f"drawing {len(every)} {what} of {pixels[0]} x {pixels[1]} pixels on "
        f"{messages.devices(run.mesh)}",
        flush=True,
    )
    done = 0
    with files.folder(every[0][-1].parent), Count(len(every), "pictures") as count:
        for batch in _batches(every, size):
            part = [one for one, _, _ in batch]
            told = [
                {n: value(run.experiment, n, v) for n, v in one.conditions.items()} for one in part
            ]
            seeds = jnp.stack([jax.random.key(one.seed) for one in part])
            numbers = jnp.asarray([one.number for one in part])
            found = run.generate(
                [one.prompt for one in part],
                None if part[0].negative is None else [one.negative for one in part],
                guidance=config.guidance.scale,
                interval=config.guidance.interval,
                rescale=config.guidance.rescale,
                key=keys.of_examples(seeds, numbers),
                height=pixels[0],
                width=pixels[1],
                frames=frames,
                skip_layers=options.skip_layers,
                conditions=jax.tree.map(lambda *a: np.stack(a), *told),
                **given,
            )
            levels = np.round(found.images * 255).astype(np.uint8)
            for (_, said, path), image in zip(batch, levels, strict=True):
                _write(path, image, {**said, "nfe": found.nfe})
            done += len(batch)
            count.reach(done)
    return found.nfe


def _batches(every: Sequence[tuple[Asked, Any, Path]], size: int) -> Iterator[Sequence[Any]]:
    """Of so many at most: with a negative prompt or without, which the model is told otherwise."""
    for without in (False, True):
        found = [one for one in every if (one[0].negative is None) == without]
        for first in range(0, len(found), size):
            yield found[first : first + size]


def sheet_of(folder: Path) -> Path:
    """Where the pictures of a folder are shown together: beside it."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.parent / f"{named.name}.png"


def _write(path: Path, image: np.ndarray, about: dict) -> None:
    with files.writing(path):
        save = pictures.save_png if image.ndim == 3 else pictures.save_video
        save(path, image, {prompt_there.KEYWORD: json.dumps(about, ensure_ascii=False)})
