"""The command line of sweeps: python -m score_sde.sweep --help."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence

from score_sde import files, interrupts, terminal
from score_sde.errors import UserError

HELP = """Studies: grids of runs, their tables beside the published numbers.

  python -m score_sde.sweep COMMAND experiments/NAME [--smoke]

Commands:
  run      run what is missing, then write the table; the same command goes on after an interruption
  status   how far each row is
  table    write results/table.md and table.csv from the results that there are, and print the table
  plot     draw the study's curves into results/
  report   write results/report.html, which compares the runs

Flags:
  --smoke              the same study in small, on digits, in minutes; its results in results/smoke/
  --data_dir=DIR       where the data lie, as config.data.dir
  --dry_run            run: only list the commands
  --parallel=N         run: N jobs at a time; by default 1 here, and 100 on a cluster
  --launcher=local|slurm
  --slurm.NAME=VALUE   a parameter of submitit.SlurmExecutor: partition, time (minutes), gres, ...
"""


@terminal.program
def main(argv: list[str]) -> int:
    """Run a command line.

    Args:
        argv: sys.argv.

    Returns:
        The exit code: 0; 1 if a row failed; 2 for bad input; 130 after Ctrl-C, SIGTERM or,
        with work left, the end of who reads its output.
    """
    if len(argv) == 1 or {"-h", "--help"} & set(argv):
        print(HELP, end="")
        return 0
    try:
        line, slurm = _parse(argv[1:])
        # Reading the recipes imports JAX; a mistake in the flags comes before.
        from score_sde.sweep.plan import plan

        found = plan(line.folder, line.smoke, line.data_dir and str(line.data_dir))
        code = _COMMANDS[line.command](found, line, slurm)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except terminal.NobodyReads:  # it has seen enough
        if line.command == "run" and not line.dry_run and found.undone:
            print("nobody reads its output: it stops; the same command goes on", file=sys.stderr)
            return 130
        return 0
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    matches = {argument: re.fullmatch(r"--slurm\.(\w+)=(.*)", argument) for argument in argv}
    slurm = {match[1]: match[2] for match in matches.values() if match}
    parser = terminal.Parser(prog="python -m score_sde.sweep", add_help=False, allow_abbrev=False)
    parser.add_argument("command", choices=tuple(_COMMANDS))
    parser.add_argument("folder", type=files.typed)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--data_dir", type=files.typed)
    parser.add_argument("--dry_run", action="store_true")
    parser.add_argument("--parallel", type=int)
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local")
    line = parser.parse_args([argument for argument in argv if not matches[argument]])
    if line.parallel is not None and line.parallel < 1:
        raise UserError(f"--parallel={line.parallel} must be at least 1")
    if slurm and line.launcher != "slurm":
        raise UserError(f"--slurm.{next(iter(slurm))} goes with --launcher=slurm")
    if line.command != "run" and (line.dry_run or line.parallel or line.launcher != "local"):
        raise UserError("--dry_run, --parallel and --launcher go with run")
    return line, slurm


def _run(plan, line: argparse.Namespace, slurm: dict[str, str]) -> int:
    from score_sde.sweep import launch, table
    from score_sde.sweep.display import Progress
    from score_sde.sweep.execute import run

    undone = plan.undone
    done = sum(job.done() for job in plan.evaluations.values())
    print(f"{plan.study.title}: {done} of {len(plan.rows)} rows are done", flush=True)
    if line.dry_run:
        for job in undone:
            print(f"\n# {job.name}: {os.path.relpath(job.folder)}")
            for program in job.programs:
                words = ("python", *program.argv[1:])
                print(shlex.join(words if program.argv[0] == sys.executable else program.argv))
        return 0
    complete = True
    if undone:
        interrupts.listen()  # what runs is to be asked to stop
        if line.launcher == "slurm":
            launcher = launch.slurm(plan.folder / "runs" / "slurm", slurm, line.parallel or 100)
        else:
            launcher = launch.Local(line.parallel or 1)
        complete = run(plan, launcher, Progress(sys.stdout))
    markdown, _ = table.write(plan)
    print(f"wrote {os.path.relpath(markdown)} and table.csv")
    _warn(plan)
    if not complete:
        print("error: rows failed; the same command tries them again", file=sys.stderr)
    return 0 if complete else 1


def _status(plan, line: argparse.Namespace, slurm: dict[str, str]) -> int:
    from score_sde.locks import holder

    def word(job) -> str:
        if job.done():
            return "done"
        if who := holder(job.lock):
            return f"running: {who}"
        if error := job.error():
            return f"failed: {error}"
        return "waiting"

    jobs = [*plan.trainings.values(), *plan.evaluations.values()]
    width = max(len(job.name) for job in jobs)
    for job in jobs:
        print(f"{job.id}  {job.name:{width}}  {word(job)}")
    done = sum(job.done() for job in plan.evaluations.values())
    print(f"{plan.study.title}: {done} of {len(plan.rows)} rows are done")
    return 0


def _table(plan, line: argparse.Namespace, slurm: dict[str, str]) -> int:
    from score_sde.sweep import table

    markdown, comma = table.write(plan)
    print(markdown.read_text(encoding="utf-8"), end="")
    print(f"\nwrote {os.path.relpath(markdown)} and {os.path.relpath(comma)}", file=sys.stderr)
    _warn(plan)
    return 0


def _warn(plan) -> None:
    from score_sde.sweep import table

    done = sum(job.done() for job in plan.evaluations.values())
    for path in table.unknown(plan):  # a slip, or a metric of rows that are not done yet
        text = f"warning: no result has the metric {path}; {done} of {len(plan.rows)} rows are done"
        print(f"{text}: see {os.path.relpath(plan.results)}", file=sys.stderr)


def _plot(plan, line: argparse.Namespace, slurm: dict[str, str]) -> int:
    from score_sde.sweep import plot

    if not plan.study.plots:
        raise UserError(f"{line.folder} has no plots: its sweep.py names none")
    for path in plot.write(plan):
        print(f"wrote {os.path.relpath(path)}")
    return 0


def _report(plan, line: argparse.Namespace, slurm: dict[str, str]) -> int:
    from score_sde.sweep import overview

    print(f"wrote {os.path.relpath(overview.write(plan))}")
    return 0


_COMMANDS = {"run": _run, "status": _status, "table": _table, "plot": _plot, "report": _report}

if __name__ == "__main__":
    sys.exit(main(sys.argv))
