"""What draws pictures of prompts: a run's sampler, or another on the grid of its release.

A sampler is compiled once for a process and shapes: what only numbers depend on, weights, what the
network is told, scales and keys, are arguments of one function.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from score_sde import records
from score_sde.errors import UserError, solver_error_as
from score_sde.guidance.task import Task
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
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


def part(run: Run, draw: Sampler, after: float, until: float) -> Sampler:
    """What makes the steps of a sampler from one share of them to another.

    Raises:
        UserError: they are no shares, no step lies between, or it has no steps to be left out.
    """
    if not 0 <= after < until <= 1:
        raise UserError(
            f"after={after:g} and until={until:g} are shares of the steps, from 0 to 1, the first "
            "below the second"
        )
    try:
        draw = draw if until == 1 else draw.earlier(run.sde, until)
        return draw if not after else draw.later(run.sde, 1 - after / until)
    except ValueError as error:
        raise UserError(f"after={after:g}, until={until:g}: {error}") from error


def denoiser(run: Run, draw: Sampler) -> Denoiser:
    """A run's denoiser, told its times as the sampler, released for such models, tells them."""
    released = _released(run)
    if released is None or not schedulers.tells_whole_times(released, draw):
        return run.denoise
    return dataclasses.replace(run.denoise, whole=True)


def drawn(
    draw: Sampler,
    sde: SDE,
    denoise: Denoiser,
    task: Task,
    known: jax.Array | None,
    key: jax.Array,
    x_init: jax.Array,
    cond: Mapping[str, jax.Array],
) -> tuple[jax.Array, int]:
    """States that answer a task, and the evaluations of the network for each.

    Called again with an equal sampler and process and arrays of the same shapes, it compiles
    nothing. Of a denoiser those leaves are arguments that are arrays or numbers.

    Args:
        draw: the sampler.
        sde: the process.
        denoise: of the model; guided, if it is to be.
        task: what is asked.
        known: states that the task is about; None for none.
        key: a key for each picture.
        x_init: what the sampler begins with.
        cond: what the network is told.

    Raises:
        UserError: an adaptive solver gave up.
    """
    with solver_error_as(UserError):
        x, nfe = _drawn(draw, sde, as_argument(denoise), task, known, key, x_init, cond)
        return x, int(nfe)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Fixed:
    """A denoiser that is no pytree: part of the program that is compiled, not an argument of it."""

    denoise: Denoiser = dataclasses.field(metadata={"static": True})


def as_argument(denoise: Denoiser) -> Any:
    """A denoiser as an argument of a compiled function, whose arrays are arguments too."""
    return jax.tree.map(lambda leaf: _Fixed(leaf) if callable(leaf) else leaf, denoise)


def of_argument(argument: Any) -> Denoiser:
    """The denoiser, in that function."""

    def fixed(leaf: Any) -> bool:
        return isinstance(leaf, _Fixed)

    return jax.tree.map(lambda a: a.denoise if fixed(a) else a, argument, is_leaf=fixed)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _drawn(
    draw: Sampler,
    sde: SDE,
    denoise: Any,
    task: Task,
    known: jax.Array | None,
    key: jax.Array,
    x_init: jax.Array,
    cond: Mapping[str, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    denoise = task.denoiser(of_argument(denoise), sde, known)
    out = draw(key, denoise, sde, x_init=x_init, cond=cond)
    return task.finish(out.x, known), out.nfe


def _released(run: Run) -> Mapping[str, Any] | None:
    """The scheduler that an imported run was released with; None of another run."""
    path = run.workdir / kept.FOLDER / schedulers.FILE
    try:
        return records.read(path)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error
