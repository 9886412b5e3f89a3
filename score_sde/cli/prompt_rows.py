"""The pictures that --prompt asks for: of texts and of files of them, --num_samples of each."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from score_sde.cli.conditions import value
from score_sde.cli.flags import CommandLine
from score_sde.errors import UserError
from score_sde.runs.opened import Run

FILES = (".txt", ".csv")
_MOST_SEED = 2**32 - 1


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


def asked(line: CommandLine, run: Run) -> list[Asked]:
    """Every picture: of the prompts in order, as many of each as --num_samples says."""
    rows: list[Row] = []
    told = [n for n in run.experiment.conditions if run.experiment.data[n].kind != "text"]
    for text in line.prompted.prompts:
        path = Path(text)
        if path.suffix in FILES and len(text) < 1024:
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
        if any(row.prompt is None for row in rows):
            raise UserError(f"{path} has a row that is too short for a prompt")
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
