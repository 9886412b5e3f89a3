"""What a run's folder keeps that is not trained there: parts/, see score_sde.parts.

parts/network.safetensors         the network of an imported run, in place of checkpoints
parts/autoencoder.safetensors     of its space, by the name in Space.PARTS
parts/text_encoder.safetensors    of what tells it of prompts; then text_encoder_2, ...
parts/tokenizer/                  the files of its tokeniser; then tokenizer_2, ...
parts/control.safetensors         of a folder that is no run: a network that steers others
parts/image_encoder.safetensors   of such a folder: what makes the embeddings that it is shown
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde import parts
from score_sde.controls import CONTROLS
from score_sde.errors import UserError
from score_sde.models.functional import Arrays, Functional, is_kernel, put
from score_sde.parts import Place, Stored
from score_sde.prompting import Encoder, System
from score_sde.spaces import Space
from score_sde.training import memory
from score_sde.training.sharding import placed

FOLDER = "parts"
NETWORK = "network"
CONTROL = "control"
IMAGE_ENCODER = "image_encoder"


def path(workdir: Path, name: str) -> Path:
    """The file of a part."""
    return workdir / FOLDER / f"{name}.safetensors"


def numbered(name: str, count: int) -> list[str]:
    """NAME, NAME_2, ... as released pipelines call them."""
    return [name if i == 0 else f"{name}_{i + 1}" for i in range(count)]


def kernels(config: ConfigDict) -> jnp.dtype | None:
    """The precision in which an imported run has the kernels of its layers; None for float32.

    A network that computes in bfloat16 casts them to that: they need no more than half the memory.
    """
    return jnp.bfloat16 if jnp.dtype(config.model.dtype) == jnp.bfloat16 else None


def space(workdir: Path, found: Space, config: ConfigDict) -> Space:
    """A space with the networks that it has.

    Raises:
        UserError: one cannot be read.
    """
    if not found.PARTS:
        return found
    kept = {name: _load(path(workdir, name), kernels(config)) for name in found.PARTS}
    return found.with_parts(kept)


def write(workdir: Path, found: Mapping[str, Stored]) -> None:
    """Keep networks, by name, in place of those that a run without a checkpoint had.

    Raises:
        OSError: they cannot be written.
    """
    for name, one in found.items():
        file = path(workdir, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        parts.save(file, *one)


def network(
    workdir: Path, made: Functional, config: ConfigDict, mesh: Mesh | None = None
) -> tuple[Arrays, Arrays] | None:
    """Parameters and constants of an imported network; None if there is none.

    Args:
        workdir: the run's folder.
        made: the network.
        config: the run's.
        mesh: over which they are split; None for the first device alone.

    Raises:
        UserError: they cannot be read, are not those of the network, or the memory is too small.
    """
    file = path(workdir, NETWORK)
    if not file.exists():
        return None
    _check_memory(workdir, made, config, mesh)
    try:
        return parts.fitted(file, parts.arrays(file), made, kernels(config), _place(mesh))
    except ValueError as error:
        raise UserError(str(error)) from error


def _place(mesh: Mesh | None) -> Place:
    """What puts an array where it belongs; see training.sharding."""
    return put if mesh is None else functools.partial(placed, mesh)


def _check_memory(workdir: Path, made: Functional, config: ConfigDict, mesh: Mesh | None) -> None:
    """Raise UserError if a network is larger than the memory, and say what would be smaller."""
    sizes = {name: array.size for part in made.shapes for name, array in part.items()}
    _check_fits(f"the network of {workdir}", [sizes], config, mesh)


def _check_fits(
    what: str, networks: Sequence[Mapping[str, int]], config: ConfigDict, mesh: Mesh | None
) -> None:
    """The same of several networks, of whose arrays the sizes are given, by their paths."""

    def needed(dtype: jnp.dtype | None) -> int:
        return sum(
            size * (4 if dtype is None or not is_kernel(name) else 2)
            for sizes in networks
            for name, size in sizes.items()
        )

    halves = memory.in_words(needed(jnp.bfloat16))
    advice = f"--config.model.dtype=bfloat16 when it is imported needs {halves} of it"
    if kernels(config) is not None:
        advice = "split it over more devices by --config.sampling.fsdp, or take a larger machine"
    there = memory.of_devices(1 if mesh is None else mesh.shape["fsdp"])
    memory.check(what, needed(kernels(config)), there, advice)


def encoders(
    workdir: Path, system: System, config: ConfigDict, mesh: Mesh | None = None
) -> Sequence[Encoder | None]:
    """What tells a run of prompts; arguments as for `network`.

    Raises:
        UserError: one cannot be read, or is missing and must be there; or the memory is too small
            for them and the network.
    """
    from score_sde import text  # its packages are needed for prompts alone

    found: list[Encoder | None] = []
    names = [numbered(name, system.ENCODERS) for name in ("text_encoder", "tokenizer")]
    files = [file for name in (NETWORK, *names[0]) if (file := path(workdir, name)).exists()]
    try:
        sizes = [{name: a.size for name, a in parts.arrays(file).items()} for file in files]
    except ValueError as error:
        raise UserError(str(error)) from error
    _check_fits(f"the network of {workdir} with its text encoders", sizes, config, mesh)
    for i, (encoder, tokenizer) in enumerate(zip(*names, strict=True)):
        file = path(workdir, encoder)
        if i in system.optional and not file.exists():
            found.append(None)
            continue
        try:
            found.append(
                Encoder(text.read(workdir / FOLDER / tokenizer), _load(file, kernels(config), mesh))
            )
        except ValueError as error:
            raise UserError(str(error)) from error
    return found


def control(workdir: Path) -> tuple[str, dict[str, Any], parts.Part]:
    """A network that steers others: its kind, its options and itself.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    file = path(workdir, CONTROL)
    if not file.is_file():
        raise UserError(
            f"{workdir} is no control: --mode=import --checkpoint=FOLDER_OR_FILE "
            f"--workdir={workdir} makes one of a released ControlNet, T2I-adapter or IP-Adapter"
        )
    kind, options, part = _described(file)
    if kind not in CONTROLS:
        raise UserError(f"{file} holds a network of the kind {kind}, which steers nothing")
    return kind, options, part


def image_encoder(workdir: Path) -> tuple[dict[str, Any], parts.Part]:
    """The options of what makes the embeddings of images that a control is shown, and itself.

    Raises:
        UserError: it cannot be read.
    """
    file = path(workdir, IMAGE_ENCODER)
    kind, options, part = _described(file)
    if kind != "clip_image":
        raise UserError(f"{file} holds a network of the kind {kind}, which sees no images")
    return options, part


def _described(file: Path) -> tuple[str, dict[str, Any], parts.Part]:
    try:
        return *parts.described(file), parts.load(file)
    except ValueError as error:
        raise UserError(str(error)) from error


def _load(file: Path, kernels: jnp.dtype | None, mesh: Mesh | None = None) -> parts.Part:
    try:
        return parts.load(file, kernels=kernels, place=_place(mesh))
    except ValueError as error:
        raise UserError(str(error)) from error
