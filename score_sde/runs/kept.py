"""What a run's folder keeps that is not trained there: parts/, see score_sde.parts.

parts/network.safetensors         the network of an imported run, in place of checkpoints
parts/autoencoder.safetensors     of its space, by the name in Space.PARTS
parts/text_encoder.safetensors    of what tells it of prompts; then text_encoder_2, ...
parts/tokenizer/                  the files of its tokeniser; then tokenizer_2, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax

from score_sde import parts
from score_sde.errors import UserError
from score_sde.models.functional import Arrays, Functional
from score_sde.prompting import Encoder, System
from score_sde.spaces import Space

FOLDER = "parts"
NETWORK = "network"


def path(workdir: Path, name: str) -> Path:
    """The file of a part."""
    return workdir / FOLDER / f"{name}.safetensors"


def numbered(name: str, count: int) -> list[str]:
    """NAME, NAME_2, ... as released pipelines call them."""
    return [name if i == 0 else f"{name}_{i + 1}" for i in range(count)]


def space(workdir: Path, found: Space) -> Space:
    """A space with the networks that it has.

    Raises:
        UserError: one cannot be read.
    """
    if not found.PARTS:
        return found
    return found.with_parts({name: _load(path(workdir, name)) for name in found.PARTS})


def network(workdir: Path, made: Functional) -> tuple[Arrays, Arrays] | None:
    """Parameters and constants of an imported network; None if there is none.

    Raises:
        UserError: they cannot be read, or are not those of the network.
    """
    file = path(workdir, NETWORK)
    if not file.exists():
        return None
    try:
        return jax.device_put(parts.fitted(file, parts.arrays(file), made))
    except ValueError as error:
        raise UserError(str(error)) from error


def encoders(workdir: Path, system: System) -> Sequence[Encoder | None]:
    """What tells a run of prompts.

    Raises:
        UserError: one cannot be read, or is missing and must be there.
    """
    from score_sde import text  # its packages are needed for prompts alone

    found: list[Encoder | None] = []
    names = (numbered(name, system.ENCODERS) for name in ("text_encoder", "tokenizer"))
    for i, (encoder, tokenizer) in enumerate(zip(*names, strict=True)):
        file = path(workdir, encoder)
        if i in system.OPTIONAL and not file.exists():
            found.append(None)
            continue
        try:
            found.append(Encoder(text.read(workdir / FOLDER / tokenizer), _load(file)))
        except ValueError as error:
            raise UserError(str(error)) from error
    return found


def _load(file: Path) -> parts.Part:
    try:
        return parts.load(file)
    except ValueError as error:
        raise UserError(str(error)) from error
