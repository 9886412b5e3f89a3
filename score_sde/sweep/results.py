"""What was measured: a file for each row, and reading numbers from it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
        value, error = node.get("value"), node.get("standard_error")
    else:
        value, error = node, None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return Number(float(value), None if error is None else float(error))


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


def read(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file, or None if there is none.

    Raises:
        UserError: it cannot be read.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): delete it to do its row again") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a JSON object: delete it to do its row again")
    return values


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes it; its folder is made.

    Raises:
        UserError: it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes as `write` does text."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON as `write` does."""
    write(path, json.dumps(values, indent=1) + "\n")
