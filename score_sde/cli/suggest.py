"""The command that suggests a config for new data: python -m score_sde.data suggest."""

from __future__ import annotations

import argparse
import os
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score_sde import files
from score_sde.errors import UserError, printable

if TYPE_CHECKING:
    from score_sde.runs.suggest import Suggestion

_ADVICE = "Give another --write"
_TEMPLATE = '''"""{title}

{reasons}

    python main.py --config={path}
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get({recipe!r})
{lines}
    return config
'''


def run(args: argparse.Namespace) -> None:
    """Look at the data, print the report and, if it is asked for, write the recipe.

    Args:
        args: of the flags of the command, see data.__main__.

    Raises:
        UserError: the data, the run or the file cannot work.
    """
    if args.write is not None:
        _check_new(args.write)
    from score_sde.data import selection
    from score_sde.runs import loss_curve, suggest

    source = selection.from_flags(args)
    if not len(source):
        raise UserError(f"split {args.split!r} of {args.name} is empty: use another split")
    curve = None if args.run is None else loss_curve.read(args.run, source.info)
    data = {
        "name": args.name,
        "dir": "" if args.data_dir is None else os.fspath(args.data_dir),
        "field": args.field,
        "image_size": args.image_size or 0,
        "crop": args.crop,
        "background": args.background,
        "skip_damaged": args.skip_damaged,
        "only": tuple(args.only),
    }
    found = suggest.suggest(source, data, args.num, args.seed, curve)
    title = (
        f"{args.name}, {args.split}: {found.field.words}; looked at {found.states.examples:,} of "
        f"{len(source):,} examples"
    )
    print(printable(title), end="\n\n")
    for line in _rows(found):
        print(line)
    if source.note:
        print(f"\nnote: {printable(source.note)}")
    if args.write is None:
        print(f"\nTrain with it, or give --write=configs/NAME.py for a recipe:\n\n{_flags(found)}")
        return
    text = _recipe(found, title, args.write)
    with files.writing(args.write.parent, _ADVICE), files.replacing(args.write) as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    print(f"\nWrote {args.write}. Train with it:\n\n    {_train(args.write)}")


def _check_new(path: Path) -> None:
    """Raise UserError if no recipe can be written there, before any work."""
    if path.suffix != ".py":
        raise UserError(f"--write={path}: a recipe is a file of Python, such as configs/mine.py")
    if os.path.lexists(path):
        raise UserError(f"{path} is there already. {_ADVICE}, or remove it")
    files.check_writable(path, _ADVICE)


def _rows(found: Suggestion) -> Iterator[str]:
    """A line for each value: its name, what it is, why."""
    names = max(len(value.name) for value in found.values)
    widest = max(len(value.value) for value in found.values)
    for value in found.values:
        yield printable(f"{value.name:<{names}}  {value.value:<{widest}}  {value.reason}")


def _flags(found: Suggestion) -> str:
    """The command that trains with it, a flag a line."""
    words = [f"--config={found.recipe}", "--workdir=runs/mine"]
    words += [f"--config.{path}={_typed(value)}" for path, value in found.fields.items()]
    return "    python main.py " + " \\\n        ".join(shlex.quote(word) for word in words)


def _typed(value: Any) -> str:
    """A value as flags take it."""
    return value if isinstance(value, str) else repr(value).replace(" ", "")


def _train(path: Path) -> str:
    return f"python main.py --config={shlex.quote(os.fspath(path))}"


def _recipe(found: Suggestion, title: str, path: Path) -> str:
    """The text of a recipe. Nothing of what it quotes can end its docstring."""
    wrapped = textwrap.TextWrapper(width=98, subsequent_indent="    ", break_long_words=False)
    reasons = [f"{v.name} {v.value}: {v.reason}" for v in found.values]
    lines = [f"    config.{path} = {value!r}" for path, value in found.fields.items()]
    return _TEMPLATE.format(
        title=_quoted("\n".join(wrapped.wrap(f"{title}."))),
        reasons=_quoted("\n".join(line for text in reasons for line in wrapped.wrap(text))),
        path=_quoted(shlex.quote(os.fspath(path))),
        recipe=found.recipe,
        lines="\n".join(lines),
    )


def _quoted(text: str) -> str:
    return (
        "\n".join(printable(line) for line in text.splitlines())
        .replace("\\", "/")
        .replace('"', "'")
    )
