"""The pictures that --prompt asks for: of texts and of files of them, --num_samples of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from score_sde import files
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
        path = files.expanded(text)
        if path.suffix in FILES and len(text) < 1024:
            rows += of_file(path, line.prompted.negative, told)
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


def of_file(path: Path, negative: str | None, told: Sequence[str]) -> list[Row]:
    """Prompts in a file: a line each, or the column prompt, and others if they are there.

    Those are negative, seed, and the names of what the model is told besides.

    Args:
        path: a file of FILES.
        negative: of rows that have none.
        told: names of what the model is told besides.

    Raises:
        UserError: it cannot be read, or has no prompts.
    """
    text = _text(path)
    if path.suffix == ".txt":
        lines = io.StringIO(text, newline=None)
        rows = [Row(line.strip(), negative) for line in lines if line.strip()]
    else:
        names, table = _table(path, text)
        if "prompt" not in names:
            raise UserError(f"{path} has no column named prompt")
        names = [name for name in told if name in names]
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


def _text(path: Path) -> str:
    """What a file says; the mark that some programs put before UTF-8 is none of it."""
    try:
        with files.regular(path) as file:
            return file.read().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _table(path: Path, text: str) -> tuple[Sequence[str], list[dict[str, str]]]:
    """The names of the columns, and the rows; a quoted value may be of several lines."""
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        names = [name.strip() for name in table.fieldnames or ()]
        table.fieldnames = names
        return names, list(table)
    except csv.Error as error:
        raise UserError(f"{path}, after line {table.line_num}: {error}") from error


def _seed(path: Path, text: str) -> int | None:
    """The seed of a row; None if it has none."""
    if not text.strip():
        return None
    digits = text.strip()
    short = digits.isdecimal() and len(digits) <= len(str(_MOST_SEED))
    if not (short and int(digits) <= _MOST_SEED):
        raise UserError(f"{path} has the seed {text!r:.60}: give a whole number up to {_MOST_SEED}")
    return int(digits)
