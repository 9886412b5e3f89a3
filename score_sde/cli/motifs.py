"""--task=motif: what is drawn around residues or atoms of a file, which lie to each other so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde.cli import methods
from score_sde.cli.flags import Options
from score_sde.cli.question import Question
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.guidance.task import Scaffold
from score_sde.runs.experiment import Experiment
from score_sde.spaces.parts import Rows

_GIVE = (
    "give FILE, FILE:10-30 or FILE:A10-18,25-30, residues or atoms as the file counts them; of a "
    "chain that is a digit FILE:1:10-30"
)
_RANGE = re.compile(r"(-?\d{1,6})(?:-(-?\d{1,6}))?", re.ASCII)
_FEWEST = 2  # rows that lie somehow to each other


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    """The question; see questions.TASKS."""
    known, part = read(options.motif, options.at, experiment, number)
    task = Scaffold(jnp.asarray(part), method=methods.chosen(options, experiment))
    return Question(
        task, {}, experiment.field.name, known, "motif", part=part, method=options.method
    )


def read(
    text: str, at: int | None, experiment: Experiment, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """A motif of a file, as a part of examples.

    Args:
        text: FILE, FILE:RANGES, or FILE:CHAIN:RANGES.
        at: where its first row stands, from 1; None for in the middle of examples that are all as
            long, and at the beginning of others.
        experiment: of the model that is asked.
        number: of examples.

    Returns:
        The examples, [number, *shape of the field], zeros where nothing is known; and where it is,
        bool [1, n, 1].

    Raises:
        UserError: there is no such motif, or no room for it.
    """
    flag, space = f"--motif={text:.80}", experiment.space
    path, chain, ranges = _divided(text)
    held = space.read(expanded(path))
    if not chain and ranges[:1].isalpha():
        chain, ranges = ranges[:1], ranges[1:]
    pairs = _ranges(ranges, flag)
    rows = _chosen(held, chain, pairs, flag)
    n, width = experiment.field.shape
    places = rows.numbers - rows.numbers[0]
    if (np.diff(places) < 1).any():  # inserted residues have the number of the one before
        places = np.arange(len(places))
    span = int(places[-1]) + 1
    if span > n:
        raise UserError(f"{flag} spans {span}, and this model draws {n} at the most")
    if at is None:
        at = 1 if space.subspace.conditions else (n - span) // 2 + 1
    if not 1 <= at <= n - span + 1:
        raise UserError(f"--at={at}: of {n}, {span} of {flag} begin at 1 to {n - span + 1}")
    known, mask = np.zeros((number, n, width), np.float32), np.zeros((1, n, 1), bool)
    known[:, at - 1 + places], mask[:, at - 1 + places] = rows.rows, True
    return known, mask


def _divided(text: str) -> tuple[str, str, str]:
    """The file, the chain if it stands between colons, and the rest; "" for what is not said.

    A path that has a colon is one if its file is there.
    """
    if os.path.isfile(expanded(text)):
        return text, "", ""
    path, _, ranges = text.rpartition(":")
    if not path:
        return text, "", ""
    before, colon, chain = path.rpartition(":")
    if colon and before and len(chain) == 1 and not os.path.isfile(expanded(path)):
        return before, chain, ranges
    return path, "", ranges


def _ranges(text: str, flag: str) -> list[tuple[int, int]]:
    """First and last numbers; none of "" for all.

    Raises:
        UserError: it is something else.
    """
    found = []
    for part in filter(None, text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UserError(f"{flag}: {part!r:.20} is no range: {_GIVE}")
        first = int(match[1])
        found.append((first, int(match[2]) if match[2] else first))
        if found[-1][1] < first or (len(found) > 1 and found[-2][1] >= first):
            raise UserError(f"{flag}: {part!r:.20} does not go forward: {_GIVE}")
    return found


def _chosen(held: list[Rows], chain: str, pairs: list[tuple[int, int]], flag: str) -> Rows:
    """The rows of a motif.

    Raises:
        UserError: the file lacks them, or they are too few.
    """
    named = [one for one in held if one.name == chain] if chain else held[:1]
    if not named:
        there = ", ".join(dict.fromkeys(one.name or "one without a letter" for one in held))
        raise UserError(f"{flag}: there is no chain {chain}, but {there:.80}")
    numbers = named[0].numbers
    if not len(numbers):
        raise UserError(f"{flag}: it begins with one that has no atoms: {_GIVE}")
    inside = [(numbers >= first) & (numbers <= last) for first, last in pairs]
    for (first, last), part in zip(pairs, inside, strict=True):
        if not (numbers == first).any() or not (numbers == last).any():
            raise UserError(
                f"{flag}: of {first} to {last} there are {part.sum()}, "
                f"in a chain from {numbers.min()} to {numbers.max()}"
            )
    chosen = np.any(inside, axis=0) if pairs else np.ones(len(numbers), bool)
    found = Rows(chain, numbers[chosen], named[0].rows[chosen])
    if len(found.rows) < _FEWEST:
        raise UserError(f"{flag}: one alone lies nowhere: {_GIVE}")
    if not np.isfinite(found.rows).all():
        raise UserError(f"{flag}: a row has no place: {_GIVE}")
    return found
