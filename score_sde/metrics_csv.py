"""metrics.csv, what a run writes down as it trains: its columns, its rows, and how damage is read.

A row that is not whole is left out, and the file is said to be damaged.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from score_sde import files

NAME = "metrics.csv"
COLUMNS = (
    "step",
    "loss",
    "grad_norm",
    "learning_rate",
    "examples_per_second",
    "eval_loss",
    "skipped",
    "rewinds",
)
_FIRST = 6  # as many had those files that were written before there were more


def read_rows(path: Path) -> tuple[list[list[str]], str]:
    """The rows of a metrics.csv that are whole, and what is wrong with the file.

    Args:
        path: the file; none is as good as an empty one.

    Returns:
        A text for each of COLUMNS in each row, and words that follow the file's name, or "".
    """
    try:
        with files.regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        return [], ""
    except files.Irregular:
        return [], "is not a regular file"
    except OSError as error:
        return [], f"cannot be read ({error.strerror})"
    head, *lines = content.decode(errors="replace").split("\n")
    columns = len(head.split(","))
    if content and (columns < _FIRST or head.rstrip("\r") != ",".join(COLUMNS[:columns])):
        return [], "has other columns"
    rows = [line.rstrip("\r").split(",") for line in lines[:-1]]
    good = [row + [""] * (len(COLUMNS) - columns) for row in rows if _is_row(row, columns)]
    bad = len(rows) - len(good) + any(lines[-1:])  # a last line without its end was cut short
    return good, f"has {bad} damaged row(s)" if bad else ""


def text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as they stand in the file."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _is_row(row: list[str], columns: int) -> bool:
    try:
        numbers = [float(word or 0) for word in row[1:]]
        whole = len(row) == columns and not any(map(math.isnan, numbers))
        return whole and row[0].isdecimal() and int(row[0]) < 2**63
    except ValueError:
        return False
