"""results/table.csv, with everything, and table.md, to be read; and reading the former."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from experiments.exact_solvers.measure import Curve

SHOWN = (10, 40)  # numbers of evaluations in table.md
NOTES = {
    "bumps": "**Two bumps.** The largest error of six trajectories",
    "digits": "**1,297 digits.** The median over 16 trajectories of the root mean square error",
}
_KEYS = ("data", "process", "grid", "solver")


def write(folder: Path, curves: Sequence[Curve]) -> None:
    """Write both into a folder."""
    folder.mkdir(exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        _write_csv(csv.writer(file, lineterminator="\n"), curves)
    (folder / "table.md").write_text(markdown(curves), encoding="utf-8")


def _write_csv(writer, curves: Sequence[Curve]) -> None:
    numbers = list(curves[0].errors)
    writer.writerow([*_KEYS, "quantity", *numbers, "order"])
    for curve in curves:
        keys = [getattr(curve, key) for key in _KEYS]
        errors = [f"{curve.errors[n]:.3e}" if n in curve.errors else "" for n in numbers]
        writer.writerow([*keys, "error", *errors, f"{curve.order:.2f}"])
        if any(curve.elsewhere.values()):
            away = [curve.elsewhere.get(n, "") for n in numbers]
            writer.writerow([*keys, "elsewhere", *away, ""])


def read(folder: Path) -> list[Curve]:
    """The curves of table.csv."""
    found: dict[tuple[str, ...], dict[str, dict[int, float]]] = {}
    orders: dict[tuple[str, ...], float] = {}
    with (folder / "table.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            keys = tuple(row.pop(key) for key in _KEYS)
            quantity, order = row.pop("quantity"), row.pop("order")
            number = float if quantity == "error" else int
            values = {int(n): number(value) for n, value in row.items() if value}
            found.setdefault(keys, {})[quantity] = values
            if order:
                orders[keys] = float(order)
    return [
        Curve(*keys, of["error"], of.get("elsewhere", dict.fromkeys(of["error"], 0)), orders[keys])
        for keys, of in found.items()
    ]


def markdown(curves: Sequence[Curve]) -> str:
    """A table for each process and data: a line for each solver, a column for each grid."""
    few, many = SHOWN
    lines = [
        "# Errors of solvers on exact denoisers",
        "",
        f"In a cell: the error with {few} and with {many} evaluations, and the fitted order of "
        "convergence. Written by `python -m experiments.exact_solvers`; all numbers of evaluations "
        "are in table.csv.",
    ]
    cells = {curve[:4]: _cell(curve) for curve in curves}
    best = _best(curves)
    for data, process in dict.fromkeys(curve[:2] for curve in curves):
        own = [curve for curve in curves if curve[:2] == (data, process)]
        grids = list(dict.fromkeys(curve.grid for curve in own))
        lines += ["", f"## {data}, {process}", "", f"{NOTES[data]}.", ""]
        lines += [f"| solver | {' | '.join(grids)} |", "|---" * (1 + len(grids)) + "|"]
        for solver in dict.fromkeys(curve.solver for curve in own):
            row = [cells.get((data, process, grid, solver), "") for grid in grids]
            lines.append(f"| {solver} | {' | '.join(row)} |")
        lines += ["", *(f"Best with {n}: {best.get((data, process, n), '-')}." for n in SHOWN)]
    return "\n".join(lines) + "\n"


def _cell(curve: Curve) -> str:
    errors = (f"{curve.errors[n]:.1e}" if n in curve.errors else "-" for n in SHOWN)
    order = "-" if math.isnan(curve.order) else f"{curve.order:.1f}"
    return f"{' '.join(errors)} ({order})"


def _best(curves: Sequence[Curve]) -> dict[tuple[str, str, int], str]:
    found: dict[tuple[str, str, int], Curve] = {}
    for curve in curves:
        for n in {*SHOWN} & curve.errors.keys():
            key = (curve.data, curve.process, n)
            if key not in found or curve.errors[n] < found[key].errors[n]:
                found[key] = curve
    return {
        key: f"{curve.solver} on {curve.grid}, {curve.errors[key[2]]:.1e}"
        for key, curve in found.items()
    }
