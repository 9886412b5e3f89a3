"""Every deterministic solver, grid and process on exact denoisers: the solver's error alone.

    python -m experiments.exact_solvers

measures all curves (measure.py) and writes results/table.md, table.csv and the pictures.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from experiments.exact_solvers import pictures, tables
from experiments.exact_solvers.flows import Data, bumps, digits
from experiments.exact_solvers.measure import PROCESSES, of_process, one_core
from score_sde import files, interrupts, terminal

RESULTS = Path(__file__).parent / "results"


def written(
    folder: Path = RESULTS,
    data: Sequence[Data] | None = None,
    processes: Sequence[str] = tuple(PROCESSES),
    **options: Sequence[Any],
) -> None:
    """Measure with a process for each core, and write.

    Args:
        folder: for the results.
        data: the two of flows.py if None.
        processes: keys of PROCESSES.
        **options: of measure.of_process: solvers, grids, numbers.
    """
    began = time.monotonic()
    measure = functools.partial(of_process, data=data or (bumps(), digits()), **options)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), one_core) as pool:
        curves = []
        for process, found in zip(processes, pool.map(measure, processes), strict=True):
            curves += found
            seconds = time.monotonic() - began
            print(f"{process}: {len(found)} curves after {seconds:.0f} s", flush=True)
    tables.write(folder, curves)
    pictures.draw(folder, curves)
    print(f"wrote {os.path.relpath(folder)} after {time.monotonic() - began:.0f} s")


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Measure all that there is; exit code 2 for bad input."""
    interrupts.listen()
    parser = terminal.Parser.of("python -m experiments.exact_solvers", __doc__)
    parser.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    written(parser.parse_args(argv[1:]).results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
