"""Reference statistics of a data set, by one command.

    python -m score_sde.evaluation.statistics cifar10 --out=cifar10.npz
    python -m score_sde.evaluation.statistics digits --features=pixels --out=digits.npz
    python -m score_sde.evaluation.statistics moons --features=values --out=moons.npz

The file remembers its protocol: the data, the extractor with the hash of its weights, how images
were resized and rounded. Asking again for what a file already holds costs nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde import files, terminal
from score_sde.data import COUNTS, Source, eval_batches, selection
from score_sde.errors import UserError
from score_sde.evaluation import cache, extractors, reference
from score_sde.evaluation.moments import Moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.subject import examples_fingerprint
from score_sde.spaces import SPACES
from score_sde.training.progress import Count
from score_sde.training.sharding import make_mesh

# Features that are kept for KID, precision and recall: 82 MB of Inception's.
KEPT = 10_000
# Of fields that a space models, and so have statistics.
_KINDS = tuple(kind for space in SPACES.values() for kind in space.KINDS)


def compute(
    source: Source,
    field: str,
    extractor: extractors.Extractor,
    *,
    mesh: Mesh | None = None,
    batch_size: int = 256,
    keep: int = KEPT,
    say: Callable[[str], None] | None = None,
) -> Reference:
    """The statistics of all examples of a source; every example counts once.

    Args:
        source: the examples.
        field: of them.
        extractor: from its values to features.
        mesh: the devices; all if None.
        batch_size: examples at a time, over all devices.
        keep: how many features to keep, evenly spaced over the source.
        say: told now and then how far it is; None for silence.

    Raises:
        UserError: there are fewer than two examples, or the extractor does not give features.
    """
    if len(source) < 2:
        raise UserError(f"{source.info.name} has {len(source)} examples: statistics need two")
    mesh = make_mesh() if mesh is None else mesh
    spread = np.linspace(0, len(source) - 1, min(keep, len(source)))
    positions = np.unique(spread.astype(np.int64))
    total, kept = None, []
    quiet = say is None or jax.process_index() > 0
    count = Count(len(source), "examples", quiet=quiet, say=say)
    batches = _batches(source, field, batch_size)
    for found in extractors.extract(extractor, batches, mesh, batch_size):
        part = Moments.of(found.features)
        start = 0 if total is None else total.n
        first, last = np.searchsorted(positions, (start, start + part.n))
        kept.append(found.features[positions[first:last] - start])
        total = part if total is None else total.merge(part)
        count.reach(total.n)
    count.close()
    return Reference(
        total.mean,
        total.covariance,
        total.n,
        np.concatenate(kept) if keep else None,
        protocol(source, field, extractor) | {"kept_features": len(positions)},
    )


def protocol(source: Source, field: str, extractor: extractors.Extractor) -> dict[str, Any]:
    """What determines the statistics of a source, for the record."""
    info = source.info
    rounding = (
        "uint8; images of another size were cropped to the central square and resized by area or, "
        "when enlarged, bicubic"
    )
    return {
        "data": info.name,
        "split": info.split,
        "n": len(source),
        "field": field,
        "shape": list(info[field].shape),
        "sha256": examples_fingerprint(source, field, len(source)),
        **({"rounding": rounding} if info[field].kind == "image" else {}),
        **extractors.protocol(extractor),
    }


def cached(
    path: Path, source: Source, field: str, extractor: extractors.Extractor, **options: Any
) -> bool:
    """Make a file of statistics unless it holds them already.

    Args:
        path: the file.
        source: as for `compute`.
        field: as for `compute`.
        extractor: as for `compute`.
        **options: as for `compute`.

    Returns:
        Whether they had to be computed.

    Raises:
        UserError: the file holds something else or cannot be written, or the statistics cannot be
            computed.
    """
    if not path.exists():
        files.check_writable(path, "Give another --out")
        found = compute(source, field, extractor, **options)
        with files.writing(path.parent, "Give another --out"):
            reference.save(path, found)
        return True
    wanted = protocol(source, field, extractor)
    wanted["kept_features"] = min(options.get("keep", KEPT), len(source))
    found = reference.load(path).protocol
    for name, value in wanted.items():
        if found.get(name) != value:
            raise UserError(
                f"{path} holds other statistics, with {name}={found.get(name)}, not {value}: "
                "give another --out"
            )
    return False


def remembered(
    source: Source,
    field: str,
    extractor: extractors.Extractor,
    mesh: Mesh,
    batch_size: int,
    say: Callable[[str], None] | None = None,
) -> Reference:
    """The statistics of `compute`, from the cache if they are there, else put there.

    A damaged file of the cache is set aside.

    Args:
        source: as for `compute`.
        field: as for `compute`.
        extractor: as for `compute`.
        mesh: as for `compute`.
        batch_size: as for `compute`.
        say: as for `compute`.

    Raises:
        UserError: as `compute`, or the cache cannot be written.
    """
    about = protocol(source, field, extractor)
    text = json.dumps(about | {"kept_features": KEPT}, sort_keys=True)
    name = re.sub(r"[^\w.-]+", "_", f"{about['data']}-{about['split']}-{about['extractor']}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = cache.folder() / "statistics" / f"{name}-{digest}.npz"
    known = path.exists()
    # Every process has looked for the file before the first one writes it.
    multihost_utils.sync_global_devices("the statistics were looked for")
    if known:
        try:
            return reference.load(path)
        except UserError as error:
            if say is not None:
                say(f"warning: {error}; the statistics are computed again")
            if jax.process_index() == 0:  # others find a damaged file, or none
                with _writing(path):
                    files.set_aside(path)
    found = compute(source, field, extractor, mesh=mesh, batch_size=batch_size, say=say)
    if jax.process_index() == 0:
        with _writing(path):
            reference.save(path, found)
    return found


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a failure to write to the cache into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to {path.parent}: {error.strerror}. Set SCORE_SDE_CACHE to a folder "
            "that can be written"
        ) from error


def _batches(source: Source, field: str, size: int) -> Iterator[np.ndarray]:
    for batch in eval_batches(source, size):  # filled up with copies, which do not count
        yield batch[field][batch[COUNTS]]


def _say(text: str) -> None:
    print(text, flush=True)


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = terminal.Parser(
        prog="python -m score_sde.evaluation.statistics",
        description="Computes the statistics of a data set that FID, KID, precision and recall "
        "compare samples with.",
    )
    selection.add_flags(parser)
    parser.add_argument("--field", default="", help="of the set [its image or vector]")
    parser.add_argument("--out", required=True, type=files.typed, help="the .npz file to write")
    parser.add_argument(
        "--features", default="inception", help=f"{' or '.join(extractors.EXTRACTORS)} [inception]"
    )
    parser.add_argument(
        "--weights", type=files.typed, help="Inception's weight file [that in the cache]"
    )
    parser.add_argument(
        "--no_check_hash", action="store_true", help="accept weights other than the standard ones"
    )
    parser.add_argument("--batch_size", type=int, default=256, help="examples at a time [256]")
    parser.add_argument("--keep", type=int, default=KEPT, help=f"features to keep [{KEPT}]")
    return parser


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    try:
        args = parser().parse_args(argv)
        if args.batch_size < 1 or args.keep < 0:
            raise UserError("--batch_size must be at least 1, and --keep at least 0")
        extractor = extractors.get(args.features, args.weights, not args.no_check_hash)
        source = selection.from_flags(args)
        if source.note:
            _say(f"note: {source.note}")
        field = source.info.of_kinds(_KINDS, args.field)
        extractors.shapes(extractor, field)
        options = {"batch_size": args.batch_size, "keep": args.keep, "say": _say}
        new = cached(args.out, source, field.name, extractor, **options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say = "wrote" if new else "nothing to do: it is all in"
    print(f"{say} {args.out}: {len(source)} examples of {args.name}, {args.features}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
