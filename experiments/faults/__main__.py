"""Faults done to the real program, and what became of it.

    python -m experiments.faults [--only=NAME,...] [--times=20] [--seed=0]

writes results/faults.md and faults.json, or those of the folder --results, and ends with exit code
1 if anything is not as it is to be. Rows of faults that are not asked for stay as they were.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from score_sde import files, interrupts, terminal
from score_sde.errors import UserError

try:
    from experiments.faults import (
        damage,
        folders,
        fuzzing,
        kills,
        processes,
        stops,
        sweeps,
        table,
    )
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    sys.exit('error: configs are drawn by Hypothesis: pip install -e ".[test]"')
from experiments.faults.place import Place

RESULTS = Path(__file__).parent / "results"
FAULTS: dict[str, Callable[[Place], list[table.Row]]] = {
    "kill_training": kills.training,
    "kill_sampling": kills.sampling,
    "kill_evaluation": kills.evaluation,
    "kill_preparation": kills.preparation,
    "kill_making": kills.making,
    "kill_sweep": sweeps.killed,
    "sigterm": stops.terminated,
    "sigint": stops.interrupted,
    "full_disk": folders.full,
    "read_only": folders.read_only,
    "vanished": folders.vanished,
    "files": damage.files,
    "bits": damage.bits,
    "resumed": damage.resumed,
    "lock": processes.lock,
    "peer": processes.peer,
    "mesh": processes.mesh,
    "configs": fuzzing.configs,
    "beyond": fuzzing.beyond,
}


def parser() -> terminal.Parser:
    """Of the command line."""
    parser = terminal.Parser.of("python -m experiments.faults", __doc__)
    parser.add_argument(
        "--only", metavar="NAME,...", help=f"some of {', '.join(FAULTS)} [all of them]"
    )
    parser.add_argument("--times", type=int, default=20, help="how often each is done [20]")
    parser.add_argument(
        "--cases", type=int, default=fuzzing.CASES, help="how many configs are drawn [10000]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random [0]")
    parser.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    return parser


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Do the faults, one after the other, and write the table after each.

    Args:
        argv: sys.argv, the program's name first.

    Returns:
        The exit code: 0; 1 if an outcome is not the one that is to be; 2 for bad input.
    """
    interrupts.listen()
    given = parser().parse_args(argv[1:])
    names = list(FAULTS) if given.only is None else given.only.split(",")
    if unknown := [name for name in names if name not in FAULTS]:
        raise UserError(f"--only={unknown[0]}: choose from {', '.join(FAULTS)}")
    if min(given.times, given.cases) < 1:
        raise UserError("--times and --cases are at least 1")
    words = terminal.without(argv[1:], "--results")
    about = table.header(shlex.join(["python", "-m", "experiments.faults", *words]))
    rows: list[table.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), given.times, given.cases, given.seed)
        for name in names:
            rows += FAULTS[name](place)
            table.write(given.results, about, rows)
            print(f"{name}: {'; '.join(row.outcome for row in rows[-3:])}", flush=True)
    print((given.results / "faults.md").read_text())
    return int(any(row.ok is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
