"""Every deterministic solver, grid and process on exact denoisers: the solver's error alone.

    python -m experiments.exact_solvers

measures all curves (measure.py) and writes results/table.md, table.csv and the pictures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from experiments.exact_solvers import pictures, tables
from experiments.exact_solvers.flows import bumps, digits
from experiments.exact_solvers.measure import PROCESSES, Curve, of_process

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure with a process for each core, and write."""
    began = time.monotonic()
    data = (bumps(), digits())
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _one_core) as pool:
        found = pool.map(of_process, PROCESSES, [data] * len(PROCESSES))
        curves = [curve for part in _told(found, began) for curve in part]
    tables.write(RESULTS, curves)
    pictures.draw(RESULTS, curves)
    print(f"wrote {os.path.relpath(RESULTS)} after {time.monotonic() - began:.0f} s")


def _one_core() -> None:
    """Products of small matrices are slower on several, the more so if others use them."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _told(found: Iterator[list[Curve]], began: float) -> Iterator[list[Curve]]:
    for process, curves in zip(PROCESSES, found, strict=True):
        print(f"{process}: {len(curves)} curves after {time.monotonic() - began:.0f} s", flush=True)
        yield curves


if __name__ == "__main__":
    main()
