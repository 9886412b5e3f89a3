"""Whether pictures have the lines that were asked for: of a ControlNet that is told drawings.

    python -m score_sde.evaluation.retrieval captions emoji --field=sketch --out=held_out.csv
    python main.py --workdir=runs/emoji_control --mode=sample --prompt=held_out.csv
    python -m score_sde.evaluation.lines emoji runs/emoji_control/prompts

Pictures of the same prompts that another run drew are held against the same drawings by
`--asked=runs/emoji_control/prompts`: what is there without them.

Of a picture and of a drawing those pixels are lines that are darker than half. `iou` is what both
have over what either has, the mean over pictures; `others` the same of drawings that belong to
other pictures. The real held-out pictures, with their own drawings, are measured beside: what they
miss, a picture may miss too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import files, images, records, terminal
from score_sde.data import selection
from score_sde.errors import UserError

_DARK = 128


def measure(pictures: np.ndarray, drawings: np.ndarray) -> dict[str, Any]:
    """The numbers of some pictures.

    Args:
        pictures: uint8 [n, height, width, channels].
        drawings: uint8 [n, height, width, 1 or more channels], one for each.
    """
    found, asked = dark(pictures), dark(drawings)
    own = iou(found, asked)
    others = iou(found, np.roll(asked, len(asked) // 2, axis=0))
    return {
        "n": len(own),
        "iou": round(float(own.mean()), 4),
        "standard_error": round(float(own.std() / np.sqrt(len(own))), 4),
        "others": round(float(others.mean()), 4),
    }


def dark(pixels: np.ndarray) -> np.ndarray:
    """The pixels that are darker than half, bool [n, height, width]."""
    return pixels.mean(axis=-1) < _DARK


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of two sets of pixels, [n]; 1 where both are empty."""
    both, either = ((op(one, other)).sum(axis=(1, 2)) for op in (np.logical_and, np.logical_or))
    return np.where(either, both / np.maximum(either, 1), 1.0)


def read(folder: Path, field: str, asked: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that --mode=sample --prompt wrote, and the drawings that they were asked by.

    Args:
        folder: of the PNG files.
        field: the condition that is the drawing.
        asked: a folder whose pictures, of the same names and prompts, say the drawings; None for
            the pictures' own.

    Raises:
        UserError: there are none, they do not say their drawing, or it is of another size; those of
            `asked` are not of the same prompts.
    """
    pictures, drawings = [], []
    for path in sorted(folder.glob("*.png")):
        saying = path if asked is None else asked / path.name
        said = _said(saying)
        if said.get("prompt") != _said(path).get("prompt"):
            raise UserError(f"{saying} is not of the prompt of {path}")
        conditions = said.get("conditions")
        if not isinstance(conditions, Mapping) or field not in conditions:
            raise UserError(f"{saying} does not say what {field} it was asked by")
        pictures.append(np.asarray(images.read(path).convert("RGB")))
        drawing = Path(str(conditions[field]))
        drawings.append(images.resized(drawing, pictures[-1].shape[:2], 1))
    if not pictures:
        raise UserError(f"{folder} has no picture: draw some first, with --mode=sample --prompt")
    if len({picture.shape for picture in pictures}) > 1:
        raise UserError(f"{folder} holds pictures of several sizes")
    return np.array(pictures), np.array(drawings)


def _said(path: Path) -> Mapping[str, Any]:
    """What the file of a picture says of it; nothing if it says nothing."""
    text = images.about(path, keyword="parameters")
    try:
        return records.parse(text)
    except ValueError:
        return {}


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.lines",
        description="Compares pictures with the drawings that they were asked by.",
    )
    selection.add_flags(found, split="test")
    found.add_argument("pictures", nargs="+", type=files.typed, help="folders of PNG files")
    found.add_argument("--field", default="sketch", help="that is the drawing [sketch]")
    found.add_argument(
        "--asked",
        type=files.typed,
        help="a folder whose pictures of the same prompts say the drawings [each says its own]",
    )
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    args = parser().parse_args(argv)
    source = selection.from_flags(args)
    names = [source.info.of_kinds(("image",), name).name for name in ("", args.field)]
    found = source.gather(np.arange(len(source)))
    sets = [(f"{args.name}, {args.split}", *(found[name] for name in names))]
    sets += [(str(path), *read(path, args.field, args.asked)) for path in args.pictures]
    for name, pictures, drawings in sets:
        print(json.dumps({"pictures": name, **measure(pictures, drawings)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
