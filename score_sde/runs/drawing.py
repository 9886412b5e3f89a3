"""What draws pictures of prompts: a run's sampler, or another on the grid of its release."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from score_sde import records
from score_sde.errors import UserError
from score_sde.runs import config as configs
from score_sde.runs import kept, sampling, schedulers
from score_sde.samplers import Sampler

if TYPE_CHECKING:
    from score_sde.runs.opened import Run


def sampler(
    run: Run, sampler: str | Sampler | None, steps: int | None, pixels: tuple[int, int]
) -> Sampler:
    """What draws.

    Args:
        run: the run.
        sampler: its name, or a sampler; None for the run's own.
        steps: how many; None: as the run's config says.
        pixels: (height, width) of the pictures.

    Raises:
        UserError: there is no such sampler, or an option cannot work.
    """
    if isinstance(sampler, Sampler):
        return sampler
    config = run.config.copy_and_resolve_references()
    given = {"sampling.sampler": sampler, "sampling.steps": steps}
    given = {path: value for path, value in given.items() if value is not None}
    try:
        for path, value in given.items():
            configs.set_field(config, path, value)
        return asked(run, config, given, pixels)
    except ValueError as error:
        raise UserError(str(error)) from error


def asked(run: Run, config: ConfigDict, given: Collection[str], pixels: tuple[int, int]) -> Sampler:
    """What a config has a run drawn by.

    Another sampler than the run's takes the time grid with which it is released for such models,
    but for what is given.

    Args:
        run: the run.
        config: its own, with other values.
        given: dotted paths of the fields that have been set.
        pixels: (height, width) of the pictures.

    Raises:
        UserError: there is no such sampler, or an option cannot work.
    """
    released, config = _released(run), config.copy_and_resolve_references()
    if released is not None and "sampling.sampler" in given:
        usual = schedulers.of_sampler(released, config.sampling.sampler)
        for path, value in usual.items():
            if path not in given or path == "sampling.sampler":
                configs.set_field(config, path, value)
    if released is not None and released.get("use_dynamic_shifting"):
        sides = [side // run.space.factor // config.model.patch for side in pixels]
        if "sampling.shift" not in given:
            config.sampling.shift = schedulers.dynamic_shift(released, math.prod(sides))
    found = sampling.sampler(config.sampling)
    sampling.check_sampler(found, run.sde, run.experiment.objective.TRAINS)
    return found


def first_state(run: Run, draw: Sampler, noise: jax.Array) -> jax.Array:
    """The state with which a sampler begins, as it was released, from noise of deviation 1."""
    released = _released(run)
    scale = run.sde.prior_std
    if released is not None:
        scale *= schedulers.first(released, draw, run.sde)
    return noise * jnp.asarray(scale, noise.dtype)


def _released(run: Run) -> Mapping[str, Any] | None:
    """The scheduler that an imported run was released with; None of another run."""
    path = run.workdir / kept.FOLDER / schedulers.FILE
    try:
        return records.read(path)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error
