"""`python -m score_sde.data prepare NAME`, `info NAME`, `encode NAME` and `suggest NAME`.

What `suggest` and `encode` do is in score_sde.cli: data sets know nothing of configs and networks.
"""

import argparse
import dataclasses
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from score_sde import files, interrupts, terminal
from score_sde.data import gallery, selection
from score_sde.data.load import is_read_as_it_is, needs, prepare
from score_sde.fields import decode_texts

_TEXTS = 5  # that `info` shows of each field of texts
_NAMES = 20  # of classes that it shows in full


def _parser() -> argparse.ArgumentParser:
    parser = terminal.Parser(
        prog="python -m score_sde.data", description="Prepares and describes data sets."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="{prepare,info,encode,suggest}"
    )

    command = commands.add_parser(
        "prepare",
        help="download a TFDS set, draw the emoji, or make another from what is there",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_sets(),
    )
    command.add_argument("name", help="one of the sets below, or of TFDS, such as cifar10")
    command.add_argument(
        "--data_dir",
        type=files.typed,
        help="TFDS folder [$TFDS_DATA_DIR or ~/tensorflow_datasets]; the file or folder of a set "
        "that is read as it is",
    )
    add_made_flags(command)
    add_emoji_flags(command)
    add_text_flags(command)
    add_sound_flags(command)

    command = commands.add_parser("info", help="describe one split of a set")
    selection.add_flags(command)
    add_info_flags(command)

    command = commands.add_parser("encode", help="write a set of latents, by an autoencoder")
    selection.add_flags(command, split=None)
    add_encode_flags(command)

    command = commands.add_parser("suggest", help="look at a sample and suggest a config for it")
    selection.add_flags(command)
    add_suggest_flags(command)
    return parser


def _sets() -> str:
    """A line for each set that comes with the code: its name, and what it is made of."""
    made_of = needs()
    widest = max(map(len, made_of))
    lines = [f"  {name:<{widest}}  {what}" for name, what in made_of.items()]
    title = "sets, and what each is made of (no download, but of those of TFDS):"
    return "\n".join((title, *lines))


def add_made_flags(parser: argparse.ArgumentParser) -> None:
    """Give `prepare` the option of sets that are made, see data.load.MADE, absent if not given."""
    parser.add_argument(
        "--from",
        dest="source",
        type=files.typed,
        default=argparse.SUPPRESS,
        metavar="PATH",
        help="what it is made from, where the package with it is not installed",
    )


def add_emoji_flags(parser: argparse.ArgumentParser) -> None:
    """Give `prepare` the options of data.emoji.prepare, absent where they are not given."""
    absent = {"default": argparse.SUPPRESS}
    group = parser.add_argument_group("emoji")
    group.add_argument(
        "--size", type=_number(1), help="side of the pictures in pixels [32]", **absent
    )
    group.add_argument(
        "--styles",
        type=_paths,
        metavar="PATH,...",
        help="folders or .tgz files of npm pack with further styles, as @iconify-json/noto",
        **absent,
    )
    group.add_argument(
        "--skip_damaged", action="store_true", help="leave out SVGs that cannot be drawn", **absent
    )


def add_text_flags(parser: argparse.ArgumentParser) -> None:
    """Give `prepare` the options of data.texts.prepare, absent where they are not given."""
    absent = {"default": argparse.SUPPRESS}
    group = parser.add_argument_group("texts")
    group.add_argument("--texts", type=files.typed, help="folder of files *.txt", **absent)
    group.add_argument(
        "--tokenizer", type=files.typed, help="a tokenizer.json [tokens are characters]", **absent
    )
    group.add_argument("--length", type=_number(1), help="tokens of an example [256]", **absent)


def add_sound_flags(parser: argparse.ArgumentParser) -> None:
    """Give `prepare` the options of data.sounds.prepare, absent where they are not given."""
    absent = {"default": argparse.SUPPRESS}
    group = parser.add_argument_group("sounds")
    group.add_argument("--sounds", type=files.typed, help="folder of files *.wav", **absent)
    group.add_argument(
        "--rate", type=_number(1000, 192_000), help="samples a second [16000]", **absent
    )
    group.add_argument("--seconds", type=_seconds, help="of an example [1.0]", **absent)
    group.add_argument(
        "--channels", type=_number(1, 64), help="of the set [the mean of a file's]", **absent
    )


def add_info_flags(parser: argparse.ArgumentParser) -> None:
    """Give `info` the options that it has beside those of data.selection."""
    parser.add_argument(
        "--picture", type=files.typed, metavar="FILE.png", help="draw some examples into it"
    )


def add_encode_flags(parser: argparse.ArgumentParser) -> None:
    """Give `encode` the options that it has beside those of data.selection."""
    parser.add_argument(
        "--autoencoder", type=files.typed, required=True, metavar="RUN", help="that encodes"
    )
    parser.add_argument(
        "--out", type=files.typed, required=True, metavar="FOLDER", help="that is made"
    )
    parser.add_argument("--field", default="", help="that is encoded [the only image or signal]")
    parser.add_argument(
        "--mean_only",
        action="store_true",
        help="keep the mean, half as much: no draw is another in training",
    )


def _paths(text: str) -> list[Path]:
    if not all(text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} has no path between its commas")
    return [files.typed(path) for path in text.split(",")]


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


def _number(least: int, most: int = 10**9) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            to = "" if most == 10**9 else f" and at most {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}{to}")
        return int(text)

    return number


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,4}(\.\d{0,6})?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 1.5")
    return float(text)


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: arguments after the program's name; None takes those of the process.

    Returns:
      Exit status: 0, or 2 after one line on stderr if the input is bad; 130 after Ctrl-C, 143 after
      SIGTERM.
    """
    args = _parser().parse_args(argv)
    interrupts.listen()  # what was written in part is removed
    if args.command == "prepare":
        given = {key: value for key, value in vars(args).items() if key != "command"}
        place = prepare(**given)
        if is_read_as_it_is(args.name):
            where = f" from {place}" if place else ""
            print(f"{args.name} needs no preparation: it is read as it is{where}")
        else:
            print(f"{args.name} is ready in {place}")
        return 0
    if args.command in ("suggest", "encode"):
        # By its name, because nothing in this package imports what stands above it.
        importlib.import_module(f"score_sde.cli.{args.command}").run(args)
        return 0
    source = selection.from_flags(args)
    if args.picture:
        gallery.save(source, args.picture)
    info = source.info
    print(f"name: {info.name}\nsplit: {info.split}\nsize: {info.size}\nfields:")
    for field in info.fields:
        about = {k: v for k, v in dataclasses.asdict(field).items() if k != "name" and v}
        for key, names in (("names", field.names), ("vocabulary", field.vocabulary)):
            if len(names) > _NAMES:
                first = [n if n.isprintable() else ascii(n) for n in names[:_TEXTS]]
                about[key] = f"{', '.join(first)}, ... {names[-1]}"
        print(f"  {field.name}: " + ", ".join(f"{key} {value}" for key, value in about.items()))
    for field in info.fields:
        if field.kind == "text":
            first = source.gather(np.arange(min(info.size, _TEXTS)))[field.name]
            print(f"{field.name}, the first: {'; '.join(decode_texts(first))}")
    if source.license:
        print(f"license: {source.license}")
    if source.place:
        print(f"place: {source.place}")
    if source.note:
        print(f"note: {source.note}")
    if args.picture:
        print(f"wrote {args.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
