"""The command that writes a data set of latents: python -m score_sde.data encode."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from score_sde import fields, files, parts
from score_sde.data import DataError, Info, Source, SplitError, arrays, encoded, selection
from score_sde.errors import UserError
from score_sde.spaces import SPACES, OfData
from score_sde.training.progress import Count

if TYPE_CHECKING:
    from score_sde.parts import Part, Stored

SPLITS = ("train", "test")
_ADVICE = "Give another --out"
_NUMBERS = 2**22  # of examples that are encoded at a time, at most
# By the kind of fields that are encoded, the space of what they become.
SPACE_OF: dict[str, tuple[str, type[OfData]]] = {
    cls.MADE_OF: (name, cls) for name, cls in SPACES.items() if issubclass(cls, OfData)
}


def run(args: argparse.Namespace) -> None:
    """Encode a data set and print how to train on it.

    Args:
        args: of the flags of the command, see data.__main__.

    Raises:
        UserError: the data, the autoencoder or the folder cannot work; nothing is left of it then.
    """
    files.check_new(args.out, _ADVICE)
    from score_sde.runs import borrowed_parts

    stored = borrowed_parts.autoencoder(args.autoencoder)
    with files.making(args.out, _ADVICE) as partial:
        parts.save(partial / encoded.AUTOENCODER, *stored)
        infos, field = _splits(args, stored, partial)
    latent = infos["train"]["latent"]
    counts = ", ".join(f"{info.size:,} {name}" for name, info in infos.items())
    options = [f"data.name={encoded.NAME}", f"data.dir={shlex.quote(str(args.out))}"]
    name, space = SPACE_OF[field.kind]
    options += [f"space.name={name}"]
    own = space.options_of(field, latent, stored)
    options += [f"space.{name}.{option}={value}" for option, value in own.items()]
    print(
        f"{args.out} holds {counts} examples with {latent.words}. Train on it with "
        + " ".join(f"--config.{option}" for option in options)
    )


def _open(args: argparse.Namespace, split: str) -> Source:
    return selection.from_flags(argparse.Namespace(**{**vars(args), "split": split}))


def _splits(
    args: argparse.Namespace, stored: Stored, folder: Path
) -> tuple[dict[str, Info], fields.Field]:
    """Write each split that there is.

    Returns:
        What they are, and the field that was encoded.
    """
    infos, about, field = {}, {}, None
    for split in SPLITS:
        try:
            source = _open(args, split)
        except SplitError:
            if split == "train":
                raise
            continue
        field = source.info.of_kinds(tuple(SPACE_OF), args.field)
        infos[split] = _split(source, field, args.mean_only, stored, folder / split)
        about = {"note": f"latents of {source.info.name}", "license": source.license}
    encoded.write_index(folder, infos, about)
    return infos, field


def _split(
    source: Source, field: fields.Field, mean_only: bool, stored: Stored, folder: Path
) -> Info:
    """Write the arrays of a split; what they are."""
    import jax
    import jax.numpy as jnp

    others = [other for other in source.info.fields if other.name != field.name]
    if any(other.name == "latent" for other in others):
        raise DataError(f"{source.info.name} has a field latent already")

    part, (_, space) = stored.part(), SPACE_OF[field.kind]

    @jax.jit
    def encode(part: Part, examples: jax.Array) -> jax.Array:
        found = space.encoder(stored)(part, examples)
        return found.mean if mean_only else jnp.concatenate([found.mean, found.std], axis=-1)

    size = max(1, min(64, len(source), _NUMBERS // int(np.prod(field.shape))))
    try:
        one = jax.ShapeDtypeStruct((1, *field.shape), field.dtype)
        shape = jax.eval_shape(encode, part, one).shape[1:]
    except (ValueError, TypeError) as error:
        raise UserError(f"the autoencoder is not of these {field.kind}s: {error}") from error
    latent = fields.Field("latent", "latent" if mean_only else "gaussian", shape)
    every = (latent, *others)
    written = {one.name: _array(folder, one, len(source)) for one in every}
    with Count(len(source), f"{source.info.split} examples") as count:
        for start in range(0, len(source), size):
            # The last batch is filled up, so that it is of the shape that is compiled.
            rows = np.minimum(np.arange(start, start + size), len(source) - 1)
            batch = source.gather(rows)
            batch["latent"] = np.asarray(encode(part, batch[field.name]))
            if not np.isfinite(batch["latent"]).all():
                raise UserError("the autoencoder gives latents that are not finite")
            done = min(size, len(source) - start)
            for name, array in written.items():
                array[start : start + done] = batch[name][:done]
            count.reach(start + done)
    for array in written.values():
        array.flush()
    split = source.info.split
    return arrays.source({split: written}, name=encoded.NAME, split=split, fields=every).info


def _array(folder: Path, field: fields.Field, size: int) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    path = folder / f"{field.name}.npy"
    return np.lib.format.open_memmap(path, "w+", field.dtype, (size, *field.shape))
