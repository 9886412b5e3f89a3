"""Parts that a run takes from another: of one that begins, the networks of its space.

An autoencoder is taken from its own run, from any run whose space has it, imported or trained here,
from a folder of latents that it made, or from a file of score_sde.parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from score_sde import parts
from score_sde.data.encoded import AUTOENCODER as FILE
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.models import NETWORKS, arguments
from score_sde.models.functional import split
from score_sde.objectives import AUTOENCODER, OWN
from score_sde.parts import Stored
from score_sde.runs import folder, kept
from score_sde.spaces import Space


def of_space(space: Space, config: ConfigDict) -> Mapping[str, Stored]:
    """The networks of a new run's space, which its options name, or which lie beside the data.

    Args:
        space: the space.
        config: the config that it is of.

    Raises:
        UserError: one is not given, or cannot be read; the option is named.
    """
    found = {}
    for part in space.PARTS:
        field = "config.data.dir" if space.OF_DATA else f"config.space.{config.space.name}.{part}"
        path = config.data.dir if space.OF_DATA else getattr(space, part)
        if not path:
            raise UserError(f"{field} is empty: give the folder of the run of an {part}")
        try:
            found[part] = autoencoder(expanded(path))
        except UserError as error:
            raise UserError(f"{field}: {error}") from error
    return found


def autoencoder(path: Path) -> Stored:
    """The autoencoder of a run, of a folder that has one, or of a file.

    Raises:
        UserError: there is none.
    """
    for file in (path, kept.path(path, "autoencoder"), path / FILE):
        if file.is_file():
            try:
                found = parts.stored(file)
            except ValueError as error:
                raise UserError(str(error)) from error
            if found.kind not in parts.AUTOENCODERS:
                raise UserError(f"{file} is of a {found.kind}, not of an autoencoder")
            return found
    run = folder.opened(path)
    if run.experiment.objective.TRAINS != AUTOENCODER:
        raise UserError(f"{path} has no autoencoder: train configs/emoji_autoencoder.py")
    model = run.config.model
    options = {name: model[name] for name in arguments.options(NETWORKS[model.name])}
    del options["dtype"]  # which whoever has it chooses
    options |= run.experiment.objective.facts({})
    params, constants = (split(arrays, OWN)[0] for arrays in (run.params, run.constants))
    return Stored(model.name, options, params, constants)
