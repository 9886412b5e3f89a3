"""What was measured, as results/NAME.json with everything, NAME.csv, and NAME.md to be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.throughput import cases
from score_sde import files
from score_sde.errors import UserError

Row = Mapping[str, Any]

KEYS = ("work", "recipe", "dtype", "devices", "batch")  # a row is found again by them
NUMBERS = (
    *("seconds", "images_per_s", "gflop_per_image", "gflops", "matrix_gflops", "share"),
    *("overhead", "memory_gb", "peak_gb", "rounds"),
    *("trace_s", "lower_s", "compile_s", "warm_trace_s", "warm_lower_s", "warm_compile_s"),
    *("eager_seconds", "eager_ratio", "compiled_seconds", "compiled_ratio"),
)
COLUMNS = (*KEYS, *NUMBERS, "note", "date")


def write(folder: Path, machine: Row, rows: Sequence[Row], command: str) -> None:
    """Write the three files.

    Args:
        folder: for them; it is made.
        machine: see machine.describe.
        rows: a dictionary of COLUMNS each; what is missing was not measured.
        command: by which the newest of them were measured.
    """
    path = folder / f"{machine['name']}.json"
    with files.writing(folder, "Give another --results"):
        files.write_json(path, {"machine": machine, "command": command, "rows": list(rows)})
        for suffix, text in ((".csv", _csv(rows)), (".md", markdown(machine, rows, command))):
            with files.replacing(path.with_suffix(suffix)) as file:
                file.write(text.encode())


def read(folder: Path, name: str) -> list[Row]:
    """The rows of a machine; none if there is no file.

    Raises:
        UserError: it is no such file.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())["rows"]
        assert all(row.keys() <= set(COLUMNS) and row.keys() >= set(KEYS) for row in rows)
        return rows
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(f"{path} is no table of this study: move it away") from error


def with_row(rows: Sequence[Row], row: Row) -> list[Row]:
    """With one more, in place of an older one of the same work."""
    here = [row if _key(one) == _key(row) else one for one in rows]
    return here if row in here else [*rows, row]


def line(row: Row) -> str:
    """What is printed of a row."""
    what = f"{row['work']} of {row['recipe']}, {row['dtype']}, batch {row['batch']}, "
    what += f"{row['devices']} device{'s' * (row['devices'] > 1)}: "
    columns = _TABLES[row["work"]][1]
    said = {name: of(row) for name, of in columns.items() if name not in _KEY}
    found = [f"{name} {text}" for name, text in said.items() if text]
    return what + ", ".join([*found, *([row["note"]] if "note" in row else [])])


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEYS)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        rounded = {n: f"{v:.5g}" if isinstance(v, float) else v for n, v in row.items()}
        writer.writerow(rounded)
    return text.getvalue()


def _sum(row: Row, before: str) -> float | None:
    parts = [row.get(f"{before}{name}_s") for name in ("trace", "lower", "compile")]
    return None if None in parts else sum(parts)


def _number(name: str, form: str, factor: float = 1.0) -> Callable[[Row], str]:
    return lambda row: "" if row.get(name) is None else format(factor * row[name], form)


def _seconds(before: str) -> Callable[[Row], str]:
    return lambda row: "" if (total := _sum(row, before)) is None else f"{total:.1f}"


_KEY = {name: (lambda row, name=name: str(row[name])) for name in KEYS[1:]}
_RATE = {
    "images/s": _number("images_per_s", ",.4g"),
    "GFLOP an image": _number("gflop_per_image", ".3g"),
    "share of the matrix rate": _number("share", ".1%"),
}
_MEMORY = {"GB, compiled": _number("memory_gb", ".3g"), "GB, process": _number("peak_gb", ".3g")}
_COMPILING = {"cold, s": _seconds(""), "warm, s": _seconds("warm_")}
_PEER = {
    "PyTorch": _number("eager_ratio", ".2f"),
    "PyTorch, compiled": _number("compiled_ratio", ".2f"),
}
_TABLES: dict[str, tuple[str, dict[str, Callable[[Row], str]]]] = {
    cases.TRAINING: (
        "Training step",
        {**_KEY, "ms a step": _number("seconds", ".4g", 1e3)}
        | {**_RATE, **_MEMORY, **_COMPILING, **_PEER},
    ),
    cases.SAMPLING: (
        "Sampling, each evaluation of the network",
        {**_KEY, "ms an evaluation": _number("seconds", ".4g", 1e3)}
        | {**_RATE, "over the network alone": _number("overhead", ".3f")}
        | {**_MEMORY, **_COMPILING, **_PEER},
    ),
    cases.LIKELIHOOD: (
        "Likelihood, each evaluation with its Jacobian-vector product",
        {**_KEY, "ms an evaluation": _number("seconds", ".4g", 1e3)}
        | {**_RATE, "over the network alone": _number("overhead", ".3f"), **_MEMORY, **_COMPILING},
    ),
    cases.INPUT: ("Input pipeline alone", {**_KEY, "images/s": _number("images_per_s", ",.4g")}),
}


def markdown(machine: Row, rows: Sequence[Row], command: str) -> str:
    """The tables of a machine, to be read; a column that is empty in all rows is left out."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    dates = sorted({row["date"] for row in rows})
    lines = [
        f"# {machine['kind']}",
        "",
        f"{machine['devices']} device{'s' * (machine['devices'] > 1)}, {machine['cores']} cores, "
        f"{machine['memory']} of memory. {versions}. Measured {' to '.join({dates[0], dates[-1]})} "
        f"by `{command}`, the newest of them. Medians; the columns are explained in ../README.md.",
    ]
    for work, (title, columns) in _TABLES.items():
        own = [row for row in rows if row["work"] == work]
        if own:
            lines += ["", f"## {title}", "", *_table(own, columns)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], str]]) -> list[str]:
    columns = {**columns, "note": lambda row: row.get("note", "")}
    cells = {name: [of(row) for row in rows] for name, of in columns.items()}
    cells = {name: texts for name, texts in cells.items() if any(texts)}
    lines = [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in zip(*cells.values(), strict=True)]
