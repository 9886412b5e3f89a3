"""The command that writes a data set of latents: python -m score_sde.data encode."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from score_sde import fields, files, parts
from score_sde.data import DataError, Info, Source, SplitError, arrays, encoded, selection
from score_sde.errors import UserError
from score_sde.spaces import Encoded, levels
from score_sde.training.progress import Count

if TYPE_CHECKING:
    from score_sde.parts import Part

SPLITS = ("train", "test")
_ADVICE = "Give another --out"
_NUMBERS = 2**22  # of images that are encoded at a time, at most


def run(args: argparse.Namespace) -> None:
    """Encode a data set and print how to train on it.

    Args:
        args: of the flags of the command, see data.__main__.

    Raises:
        UserError: the data, the autoencoder or the folder cannot work; nothing is left of it then.
    """
    if args.out.exists():
        raise UserError(f"{args.out} exists: give another --out")
    from score_sde.runs import borrowed_parts

    stored = borrowed_parts.autoencoder(args.autoencoder)
    partial = args.out.with_name(f"{args.out.name}.{os.getpid()}.partial")
    with files.writing(args.out, _ADVICE):
        partial.mkdir(parents=True)
    try:
        with files.writing(args.out, _ADVICE):
            parts.save(partial / encoded.AUTOENCODER, *stored)
            infos, image = _splits(args, stored.part(), partial)
            partial.rename(args.out)
    except BaseException:
        shutil.rmtree(partial)
        raise
    latent = infos["train"]["latent"]
    counts = ", ".join(f"{info.size:,} {name}" for name, info in infos.items())
    options = [f"data.name={encoded.NAME}", f"data.dir={shlex.quote(str(args.out))}"]
    options += ["space.name=encoded"]
    options += [f"space.encoded.factor={image.shape[0] // latent.shape[0]}"]
    if image.values != Encoded.levels:
        options += [f"space.encoded.levels={image.values}"]
    print(
        f"{args.out} holds {counts} examples with {latent.words}. Train on it with "
        + " ".join(f"--config.{option}" for option in options)
    )


def _open(args: argparse.Namespace, split: str) -> Source:
    return selection.from_flags(argparse.Namespace(**{**vars(args), "split": split}))


def _splits(
    args: argparse.Namespace, part: Part, folder: Path
) -> tuple[dict[str, Info], fields.Field]:
    """Write each split that there is.

    Returns:
        What they are, and the field of their images.
    """
    infos, about, image = {}, {}, None
    for split in SPLITS:
        try:
            source = _open(args, split)
        except SplitError:
            if split == "train":
                raise
            continue
        image = source.info.of_kinds(("image",), args.field)
        infos[split] = _split(source, image, args.mean_only, part, folder / split)
        about = {"note": f"latents of {source.info.name}", "license": source.license}
    encoded.write_index(folder, infos, about)
    return infos, image


def _split(source: Source, image: fields.Field, mean_only: bool, part: Part, folder: Path) -> Info:
    """Write the arrays of a split; what they are."""
    import jax
    import jax.numpy as jnp

    from score_sde.autoencoder import Gaussian

    others = [field for field in source.info.fields if field.name != image.name]
    if any(field.name == "latent" for field in others):
        raise DataError(f"{source.info.name} has a field latent already")

    @jax.jit
    def encode(part: Part, images: jax.Array) -> jax.Array:
        found = Gaussian(*part(levels.to_model(images, True), method="encode"))
        return found.mean if mean_only else jnp.concatenate([found.mean, found.std], axis=-1)

    size = max(1, min(64, len(source), _NUMBERS // int(np.prod(image.shape))))
    try:
        shape = jax.eval_shape(encode, part, jnp.zeros((1, *image.shape), jnp.uint8)).shape[1:]
    except ValueError as error:
        raise UserError(f"the autoencoder is not of these images: {error}") from error
    latent = fields.Field("latent", "latent" if mean_only else "gaussian", shape)
    written = {field.name: _array(folder, field, len(source)) for field in (latent, *others)}
    with Count(len(source), f"{source.info.split} examples") as count:
        for start in range(0, len(source), size):
            # The last batch is filled up, so that it is of the shape that is compiled.
            rows = np.minimum(np.arange(start, start + size), len(source) - 1)
            batch = source.gather(rows)
            batch["latent"] = np.asarray(encode(part, batch[image.name]))
            if not np.isfinite(batch["latent"]).all():
                raise UserError("the autoencoder gives latents that are not finite")
            done = min(size, len(source) - start)
            for field, array in written.items():
                array[start : start + done] = batch[field][:done]
            count.reach(start + done)
    for array in written.values():
        array.flush()
    split, every = source.info.split, (latent, *others)
    return arrays.source({split: written}, name=encoded.NAME, split=split, fields=every).info


def _array(folder: Path, field: fields.Field, size: int) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    path = folder / f"{field.name}.npy"
    return np.lib.format.open_memmap(path, "w+", field.dtype, (size, *field.shape))
