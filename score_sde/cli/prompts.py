"""Pictures of prompts: --mode=sample --prompt=TEXT, from a run that is told of texts."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files, keys
from score_sde.cli import messages, prompt_given, prompt_images
from score_sde.cli.conditions import value
from score_sde.cli.flags import CommandLine
from score_sde.data import gallery
from score_sde.errors import UserError
from score_sde.runs import controlled, drawing
from score_sde.runs.opened import Run
from score_sde.spaces import pictures
from score_sde.training.progress import Count

FOLDER = "prompts"  # of a run's folder, where pictures go
FILES = (".txt", ".csv")
_MOST_SEED = 2**32 - 1
_ON_A_SHEET = 64  # pictures, evenly spaced among all


class Row(NamedTuple):
    """A prompt, and what it is drawn with; see Asked. A seed of None is that of the config."""

    prompt: str
    negative: str | None
    conditions: Mapping[str, str] = MappingProxyType({})
    seed: int | None = None


class Asked(NamedTuple):
    """One picture.

    Attributes:
        prompt: what it is of.
        negative: what it is not of; None for what the model was trained to be told of nothing.
        number: which of the pictures of this prompt it is, from 0.
        conditions: what the model is told besides, as it was typed, by the name of the field.
        seed: of its key.
    """

    prompt: str
    negative: str | None
    number: int
    conditions: Mapping[str, str]
    seed: int


def draw(line: CommandLine, run: Run) -> int:
    """Draw what a command line asks for, and write a PNG for each picture, and one of several.

    Picture `number` of a prompt is drawn with its own key, of its seed and `number`: it depends
    neither on the other prompts nor on the batch.

    Returns:
        The exit status.

    Raises:
        UserError: a prompt or an option cannot be, or a file is in the way. Nothing is written.
    """
    if jax.process_count() > 1:
        raise UserError(
            "--prompt draws in one process, on all its devices: leave out --distributed"
        )
    asked = _asked(line, run)
    space = run.space.tiled(line.config.sampling.tile)
    run = dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, space=space))
    target = (line.workdir / FOLDER) if line.out is None else line.out
    paths = [target / f"{i:06d}.png" for i in range(len(asked))]
    sheet = [sheet_of(target)] if len(asked) > 1 else []
    if not line.overwrite and (there := next((p for p in (*paths, *sheet) if p.exists()), None)):
        raise UserError(f"{there} exists: give another --out, or --overwrite")
    options = line.prompted
    networks = [controlled.opened(one.network) for one in options.controls]
    pixels = prompt_images.size(options, run, networks)
    sampler = drawing.asked(run, line.config, line.overrides, pixels)
    scale = line.config.guidance.scale
    given = prompt_given.arguments(line, run, pixels, sampler, networks)
    about = {
        "model": str(line.workdir),
        "weights": run.weights,
        "sampler": line.config.sampling.sampler,
        "steps": line.config.sampling.steps,
        "guidance": scale,
        **prompt_given.about(line),
    }
    batch = min(len(asked), line.config.sampling.batch_size)
    print(
        f"drawing {len(asked)} pictures of {pixels[0]} x {pixels[1]} pixels on "
        f"{messages.devices(run.mesh)}",
        flush=True,
    )
    with files.writing(target):
        target.mkdir(parents=True, exist_ok=True)
    thumbs, shown = gallery.spread(len(asked), _ON_A_SHEET), []
    with Count(len(asked), "pictures") as count:
        for first in range(0, len(asked), batch):
            part = asked[first : first + batch]
            told = [
                {n: value(run.experiment, n, v) for n, v in one.conditions.items()} for one in part
            ]
            seeds = jnp.stack([jax.random.key(one.seed) for one in part])
            numbers = jnp.asarray([one.number for one in part])
            found = run.generate(
                [one.prompt for one in part],
                _negative(part),
                guidance=scale,
                interval=line.config.guidance.interval,
                key=keys.of_examples(seeds, numbers),
                height=pixels[0],
                width=pixels[1],
                conditions=jax.tree.map(lambda *a: np.stack(a), *told),
                **given,
            )
            levels = np.round(found.images * 255).astype(np.uint8)
            for path, one, image in zip(paths[first:], part, levels, strict=False):
                said = {**one._asdict(), **about, "nfe": found.nfe}
                said.pop("conditions") if not one.conditions else None
                _write(path, image, said)
            shown += [[levels[i - first]] for i in thumbs if first <= i < first + len(part)]
            count.reach(first + len(part))
    for path in sheet:
        with files.writing(path.parent):
            gallery.draw(path, shown, [asked[i].prompt for i in thumbs])
    also = "".join(f", and {path}" for path in sheet)
    print(f"{found.nfe} function evaluations a picture. Wrote {paths[0]}{_more(paths)}{also}")
    return 0


def sheet_of(folder: Path) -> Path:
    """Where the pictures of a folder are shown together: beside it."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.parent / f"{named.name}.png"


def _more(paths: Sequence[Path]) -> str:
    return f" to {paths[-1].name}" if len(paths) > 1 else ""


def _write(path: Path, image: np.ndarray, about: dict) -> None:
    with files.writing(path):
        pictures.save_png(path, image, {"parameters": json.dumps(about, ensure_ascii=False)})


def _negative(part: Sequence[Asked]) -> list[str] | None:
    """None where none has one; a batch in which some have is told "" of the others."""
    if all(one.negative is None for one in part):
        return None
    return [one.negative or "" for one in part]


def _asked(line: CommandLine, run: Run) -> list[Asked]:
    """Every picture: of the prompts in order, as many of each as --num_samples says."""
    rows: list[Row] = []
    told = [n for n in run.experiment.conditions if run.experiment.data[n].kind != "text"]
    for text in line.prompted.prompts:
        path = Path(text)
        if path.suffix in FILES and len(text) < 1024 and path.is_file():
            rows += _of_file(path, line.prompted.negative, told)
        else:
            rows.append(Row(text, line.prompted.negative))
    given = line.question.conditions
    count = 1 if line.num_samples is None else line.num_samples
    usual = line.config.sampling.seed
    found = [
        Asked(row.prompt, row.negative, i, {**given, **row.conditions}, seed)
        for row in rows
        for seed in [usual if row.seed is None else row.seed]
        for i in range(count)
    ]
    for one in found:
        for name, text in one.conditions.items():
            value(run.experiment, name, text)
        if one.conditions.keys() != found[0].conditions.keys():
            raise UserError(
                "a condition is given for some prompts and not for others: give it for all"
            )
    return found


def _of_file(path: Path, negative: str | None, told: Sequence[str]) -> list[Row]:
    """Prompts in a file: a line each, or the column prompt, and others if they are there.

    Those are negative, seed, and the names of what the model is told besides.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if path.suffix == ".txt":
        rows = [Row(line.strip(), negative) for line in text.splitlines() if line.strip()]
    else:
        table = csv.DictReader(text.splitlines())
        columns = table.fieldnames or ()
        if "prompt" not in columns:
            raise UserError(f"{path} has no column named prompt")
        names = [name for name in told if name in columns]
        rows = [
            Row(
                row["prompt"],
                row.get("negative") or negative,
                {n: row[n] or "" for n in names},
                _seed(path, row.get("seed") or ""),
            )
            for row in table
        ]
    if not rows:
        raise UserError(f"{path} has no prompt")
    return rows


def _seed(path: Path, text: str) -> int | None:
    """The seed of a row; None if it has none."""
    if not text.strip():
        return None
    if not (text.strip().isdecimal() and int(text) <= _MOST_SEED):
        raise UserError(f"{path} has the seed {text!r}: give a whole number up to {_MOST_SEED}")
    return int(text)
