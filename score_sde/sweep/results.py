"""What was measured: a file for each row, and reading numbers from it."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from score_sde import files, records
from score_sde.errors import UserError


@dataclasses.dataclass(frozen=True)
class Number:
    """A measured number.

    Attributes:
        value: the number.
        error: its standard error, or None if it is not known.
        count: how many measurements, with different seeds, it is the mean of.
    """

    value: float
    error: float | None = None
    count: int = 1


def read_metric(evaluation: Mapping[str, Any], path: str) -> Number | None:
    """A number of an evaluation.

    Args:
        evaluation: the content of evaluation.json. What it says at the path is a number, or
            {"value": number, "standard_error": number, ...}.
        path: names joined by dots, such as "bits_per_dim" or "digits.frechet_ratio".

    Returns:
        The number, or None if it is not there or not finite.
    """
    node: Any = evaluation
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping):
        value, error = _number(node.get("value")), _number(node.get("standard_error"))
    else:
        value, error = _number(node), None
    return None if value is None else Number(value, error)


def _number(value: Any) -> float | None:
    """A finite number as a float; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def over_seeds(numbers: Sequence[Number | None]) -> Number | None:
    """The mean of a number over the seeds that have it, with the standard error of that mean.

    Of a single seed it is the number itself, with the error that its evaluation states.
    """
    found = [number for number in numbers if number is not None]
    if len(found) < 2:
        return found[0] if found else None
    n = len(found)
    mean = math.fsum(number.value for number in found) / n
    variance = math.fsum((number.value - mean) ** 2 for number in found) / (n - 1)
    return Number(mean, math.sqrt(variance / n), n)


def read(path: Path, **kinds: type) -> dict[str, Any] | None:
    """The values that `write_json` left in a file, or None if there is none.

    Args:
        path: the file.
        **kinds: of what type values are that it has, by name.

    Raises:
        UserError: it cannot be read, is no such file, or was changed since it was written.
    """
    try:
        values = records.read(path)
        found = None if values is None else records.unsealed(values)
        for name, kind in kinds.items():
            if found is not None and not isinstance(found.get(name, kind()), kind):
                raise ValueError(f"is not such a file: its {name} is of another type")
    except ValueError as error:
        raise UserError(f"{path} {error}: delete it to do its row again") from error
    return found


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes it; its folder is made.

    Raises:
        UserError: it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes as `write` does text."""
    try:
        with files.replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON as `write` does, with a checksum of the values; see score_sde.records."""
    write(path, json.dumps(records.sealed(values), indent=1) + "\n")
