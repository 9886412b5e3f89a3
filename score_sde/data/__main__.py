"""`python -m score_sde.data prepare NAME` and `python -m score_sde.data info NAME`."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from score_sde import files, interrupts, terminal
from score_sde.data import selection
from score_sde.data.load import prepare
from score_sde.errors import UserError


def _parser() -> argparse.ArgumentParser:
    parser = terminal.Parser(
        prog="python -m score_sde.data", description="Prepares and describes data sets."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{prepare,info}")

    command = commands.add_parser("prepare", help="download a TFDS set and write it as ArrayRecord")
    command.add_argument("name", help="TFDS name, such as cifar10, or digits")
    command.add_argument(
        "--data_dir",
        type=files.typed,
        help="TFDS folder [$TFDS_DATA_DIR or ~/tensorflow_datasets]",
    )

    command = commands.add_parser("info", help="describe one split of a set")
    selection.add_flags(command)
    return parser


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
