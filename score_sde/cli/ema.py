"""The table of metrics over lengths of a moving average: python -m score_sde.evaluation.ema."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from score_sde import files, terminal
from score_sde.errors import UserError


def _lengths(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list such as 0.05,0.10") from error


def _parser() -> argparse.ArgumentParser:
    parser = terminal.Parser(
        prog="python -m score_sde.evaluation.ema",
        description="Measures a run with power-function averages of several lengths (sigma_rel, "
        "Karras et al. 2023), made of those that it kept, as --mode=evaluate "
        "--weights=posthoc:LENGTH does for one. The metrics are those of "
        "--config.evaluation.metrics; any --config.FIELD=VALUE may be given. evaluation.json stays "
        "as it is.",
    )
    parser.add_argument("run", type=files.expanded, help="the run's folder")
    parser.add_argument("--lengths", type=_lengths, required=True, help="such as 0.03,0.05,0.10")
    return parser


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments after the program's name; those of the process if None.

    Returns:
        Exit code: 0, 2 after one line on stderr if the input is bad, 130 after Ctrl-C, 143 after
            SIGTERM.
    """
    try:
        args, others = _parser().parse_known_args(argv)
        print("\n".join(_table(_measured(args, others))), flush=True)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _measured(args: argparse.Namespace, others: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The entries of each length, by its text."""
    from score_sde import sections
    from score_sde.cli import flags, modes
    from score_sde.cli.begin import begin
    from score_sde.runs import config as configs
    from score_sde.runs import posthoc
    from score_sde.training.options import TrainingOptions

    argv = ["ema", f"--workdir={args.run}", "--mode=evaluate", *others]
    line = flags.parse(argv)
    begin(line)
    config, _ = configs.read(args.run)
    options = TrainingOptions(**sections.own(TrainingOptions, config.training))
    asked = {f"{length:g}": f"{posthoc.PREFIX}{length:g}" for length in args.lengths}
    for weights in asked.values():  # all of them, before hours of measuring the first
        posthoc.planned(args.run, options, line.step, posthoc.asked(weights, options))
    return {
        length: modes.measure(dataclasses.replace(line, weights=weights), write=False)
        for length, weights in asked.items()
    }


def _table(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A row for each length, a column for each metric."""
    names = list(next(iter(measured.values())))
    rows = [["sigma_rel", *names]]
    for length, entries in measured.items():
        rows.append([length, *(_number(entries[name]) for name in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(w.rjust(n) for w, n in zip(row, widths, strict=True)) for row in rows]


def _number(entry: Mapping[str, Any]) -> str:
    error = entry["standard_error"]
    return f"{entry['value']:.4f}" + ("" if error is None else f" +- {error:.4f}")
