"""`python -m score_sde.data prepare NAME`, `info NAME` and `suggest NAME`.

What `suggest` does is in score_sde.cli.suggest: it makes configs, of which data sets know nothing.
"""

import argparse
import dataclasses
import importlib
import re
import sys
from collections.abc import Callable, Sequence

from score_sde import files, interrupts, terminal
from score_sde.data import selection
from score_sde.data.load import prepare
from score_sde.errors import UserError


def _parser() -> argparse.ArgumentParser:
    parser = terminal.Parser(
        prog="python -m score_sde.data", description="Prepares and describes data sets."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="{prepare,info,suggest}"
    )

    command = commands.add_parser("prepare", help="download a TFDS set and write it as ArrayRecord")
    command.add_argument("name", help="TFDS name, such as cifar10, or digits")
    command.add_argument(
        "--data_dir",
        type=files.typed,
        help="TFDS folder [$TFDS_DATA_DIR or ~/tensorflow_datasets]",
    )

    command = commands.add_parser("info", help="describe one split of a set")
    selection.add_flags(command)

    command = commands.add_parser("suggest", help="look at a sample and suggest a config for it")
    selection.add_flags(command)
    add_suggest_flags(command)
    return parser


def add_suggest_flags(parser: argparse.ArgumentParser) -> None:
    """Give `suggest` the options that it has beside those of data.selection."""
    parser.add_argument("--field", default="", help="that is modelled [the only image or vector]")
    parser.add_argument(
        "--num", type=_number(2), default=10_000, help="examples to look at, at most [10000]"
    )
    parser.add_argument("--seed", type=_number(0), default=0, help="of their choice [0]")
    parser.add_argument(
        "--run", type=files.typed, help="a run of these data that has measured loss_by_time"
    )
    parser.add_argument("--write", type=files.typed, help="the file of a new recipe")


def _number(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return number


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: arguments after the program's name; None takes those of the process.

    Returns:
      Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    try:
        args = _parser().parse_args(argv)
        if args.command == "prepare":
            interrupts.listen()  # TFDS removes what it has written in part
            print(f"{args.name} is ready in {prepare(args.name, data_dir=args.data_dir)}")
            return 0
        if args.command == "suggest":
            # By its name, because nothing in this package imports what stands above it.
            importlib.import_module("score_sde.cli.suggest").run(args)
            return 0
        source = selection.from_flags(args)
    except UserError as error:
        print(f"score_sde.data: {error}", file=sys.stderr)
        return 2
    info = source.info
    print(f"name: {info.name}\nsplit: {info.split}\nsize: {info.size}\nfields:")
    for field in info.fields:
        about = {k: v for k, v in dataclasses.asdict(field).items() if k != "name" and v}
        print(f"  {field.name}: " + ", ".join(f"{key} {value}" for key, value in about.items()))
    if source.note:
        print(f"note: {source.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
