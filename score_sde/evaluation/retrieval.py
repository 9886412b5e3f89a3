"""Whether pictures are of what was asked for: the rank of their captions among held-out ones.

    python -m score_sde.evaluation.retrieval train emoji --out=towers.safetensors
    python -m score_sde.evaluation.retrieval captions emoji --out=held_out.csv
    python main.py --workdir=runs/emoji_text --mode=sample --prompt=held_out.csv
    python -m score_sde.evaluation.retrieval measure emoji towers.safetensors \
        runs/emoji_text/prompts

Two towers (models.two_towers) are trained on the real training pairs, and never on samples. Each
picture is held against its own caption and 49 others of the held-out examples: `first` is the share
of pictures of which the right one scores best (R-precision of Xu et al. 2018, arXiv 1711.10485,
Section 4), by chance 1 / 50. The real held-out pictures are measured beside the samples: what those
miss is the towers' fault. Pictures are a folder that --mode=sample --prompt made, or a samples.npz
of a model that is told a text.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields, files, images, parts, records, terminal
from score_sde.data import Source, selection
from score_sde.errors import UserError
from score_sde.evaluation import towers
from score_sde.evaluation.pictures import Folder, stacked
from score_sde.evaluation.towers import Captions
from score_sde.formats import npz
from score_sde.parts import Part
from score_sde.spaces.pictures import save_png

CANDIDATES = 50


def measure(
    network: Part,
    pictures: np.ndarray,
    texts: list[str],
    pool: Captions,
    candidates: int,
    seed: int,
) -> dict[str, Any]:
    """The numbers of some pictures.

    Args:
        network: the towers.
        pictures: uint8 [n, height, width, channels].
        texts: their captions.
        pool: held-out captions.
        candidates: captions that each is held against.
        seed: of their choice.
    """
    own = captions(network, texts)
    found = towers.ranks(towers.of_images(network, pictures), own, pool, candidates, seed)
    first = found == 1
    return {
        "n": len(found),
        "first": round(float(first.mean()), 4),
        "standard_error": round(float(first.std() / np.sqrt(len(first))), 4),
        "mean_rank": round(float(found.mean()), 2),
        "chance": round(1 / candidates, 4),
    }


def captions(network: Part, texts: Sequence[str]) -> Captions:
    """Texts with their vectors."""
    most = max(1, *(len(text.encode()) for text in texts))
    return Captions(list(texts), towers.of_texts(network, fields.encode_texts(texts, most)))


def pairs(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """All images and texts of a data set.

    Raises:
        DataError: it has none.
    """
    names = [source.info.of_kinds((kind,)).name for kind in ("image", "text")]
    found = source.gather(np.arange(len(source)))
    return found[names[0]], found[names[1]]


def _distinct(texts: np.ndarray) -> list[str]:
    return sorted(set(fields.decode_texts(texts)))


def _train(args: argparse.Namespace) -> None:
    if args.out.exists():
        raise UserError(f"{args.out} exists: give another --out")
    files.check_writable(args.out, "Give another --out")
    source = selection.from_flags(args)
    pictures, texts = pairs(source)
    options = {"channels": pictures.shape[-1]}
    print(f"training towers on {len(pictures):,} pairs of {args.name}", flush=True)
    arrays = towers.train(
        pictures,
        texts,
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
        options=options,
        say=lambda text: print(text, flush=True),
    )
    with files.writing(args.out.parent, "Give another --out"):
        parts.save(args.out, towers.KIND, options, *arrays)
    print(f"wrote {args.out}")


def _captions(args: argparse.Namespace) -> None:
    folder = args.out.with_suffix("")
    for path in (args.out, folder) if args.field else (args.out,):
        if path.exists():
            raise UserError(f"{path} exists: give another --out")
    source = selection.from_flags(args)
    texts = fields.decode_texts(pairs(source)[1])
    first = {text: i for i, text in reversed(list(enumerate(texts)))}  # an example of each
    chosen = sorted(first)
    if args.number:
        order = np.random.default_rng(args.seed).permutation(len(chosen))
        chosen = [chosen[i] for i in sorted(order[: args.number])]
    # Pictures of one seed begin with the same noise, and are alike.
    rows = [["prompt", "seed"], *([text, str(seed)] for seed, text in enumerate(chosen))]
    advice = "Give another --out"
    if args.field:
        drawn = source.gather(np.array([first[text] for text in chosen]))
        name = source.info.of_kinds(("image",), args.field).name
        rows[0].append(name)
        for number, (row, image) in enumerate(zip(rows[1:], drawn[name], strict=True)):
            row.append(str(folder / f"{number:06d}.png"))
            with files.writing(folder, advice):
                save_png(Path(row[-1]), image)
    table = io.StringIO()
    csv.writer(table).writerows(rows)
    with files.writing(args.out.parent, advice), files.replacing(args.out) as file:
        file.write(table.getvalue().encode())
    print(f"wrote {args.out}: {len(chosen)} captions")


def _measure(args: argparse.Namespace) -> None:
    network = towers.opened(args.towers)
    pictures, texts = pairs(selection.from_flags(args))
    pool = captions(network, _distinct(texts))
    if not 2 <= args.candidates <= len(pool.texts):
        raise UserError(
            f"--candidates={args.candidates}: {args.name} has {len(pool.texts)} captions in its "
            f"split {args.split}, and 2 are the fewest"
        )
    sets = [(f"{args.name}, {args.split}", pictures, fields.decode_texts(texts))]
    sets += [(str(path), *read(path, pictures.shape[1:])) for path in args.pictures]
    for name, images_, own in sets:
        found = measure(network, images_, own, pool, args.candidates, args.seed)
        print(json.dumps({"pictures": name, **found}), flush=True)


def read(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """Pictures and what they are of.

    Args:
        path: a folder of PNG files that --mode=sample --prompt wrote, or a samples.npz.
        shape: of a picture.

    Raises:
        UserError: there are none, or they do not say what they are of.
    """
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if not len(found[0]):
        raise UserError(f"{path} has no picture: draw some first, with --mode=sample")
    if found[0].dtype != np.uint8 or found[0].shape[1:] != shape:
        raise UserError(
            f"{path} holds {found[0].dtype} {found[0].shape}; need uint8 {['n', *shape]}"
        )
    return found


def _of_folder(path: Path) -> tuple[np.ndarray, list[str]]:
    found, texts = Folder(sorted(path.glob("*.png"))), []
    for file in found.files:
        try:
            texts.append(str(records.parse(images.about(file, keyword="parameters"))["prompt"]))
        except (KeyError, ValueError) as error:
            raise UserError(f"{file} does not say what it is of") from error
    return stacked(found, path), texts


def _of_file(path: Path) -> tuple[np.ndarray, list[str]]:
    if not path.is_file():
        raise UserError(f"no file {path}: draw samples first, with --mode=sample")
    with npz.opened(path, "a samples.npz") as arrays:
        texts = [a for n, a in arrays.items() if n != "samples" and _is_text(a)]
        if "samples" not in arrays or len(texts) != 1:
            raise ValueError("it does not say which texts its samples are of")
        return arrays["samples"], fields.decode_texts(texts[0])


def _is_text(array: np.ndarray) -> bool:
    return array.dtype == np.uint8 and array.ndim == 2


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.retrieval",
        description="Ranks the captions of pictures by towers that are trained on real pairs.",
    )
    commands = found.add_subparsers(
        dest="command", required=True, metavar="{train,captions,measure}"
    )
    train = commands.add_parser("train", help="the towers, on the training pairs of a data set")
    selection.add_flags(train)
    train.add_argument("--out", required=True, type=files.typed, help="the .safetensors file")
    train.add_argument("--steps", type=int, default=1000, help="[1000]")
    train.add_argument("--batch_size", type=int, default=128, help="pairs a step [128]")
    train.add_argument("--learning_rate", type=float, default=1e-3, help="[0.001]")
    names = commands.add_parser("captions", help="of held-out examples, to draw pictures of")
    selection.add_flags(names, split="test")
    names.add_argument("--out", required=True, type=files.typed, help="the .csv file")
    names.add_argument("--field", default="", help="an image to be told too, such as sketch: PNGs")
    names.add_argument("--number", type=int, default=0, help="so many at random [all]")
    ranked = commands.add_parser("measure", help="pictures, beside the real held-out ones")
    selection.add_flags(ranked, split="test")
    ranked.add_argument("towers", type=files.typed, help="what train wrote")
    ranked.add_argument("pictures", nargs="*", type=files.typed, help="folders, or samples.npz")
    ranked.add_argument("--candidates", type=int, default=CANDIDATES, help=f"[{CANDIDATES}]")
    for command, run in ((train, _train), (names, _captions), (ranked, _measure)):
        command.add_argument("--seed", type=int, default=0, help="[0]")
        command.set_defaults(run=run)
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    args = parser().parse_args(argv)
    for name in ("steps", "batch_size"):
        if getattr(args, name, 1) < 1:
            raise UserError(f"--{name} must be at least 1")
    args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
