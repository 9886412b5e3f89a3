"""What a run learns from beside its data: another run, its teacher.

Reflow (Liu et al. 2022, arXiv 2209.03003, Section 2.1): pairs of noise and what the probability
flow of a trained model makes of it keep both distributions, and the paths of a model trained on
them cross less, so that it takes fewer steps. They are drawn by the teacher's own sampler with its
own number of steps, anew in each training step, or once and kept (runs.pairs); the data give the
conditions alone.

Distillation asks the teacher's denoiser itself (objectives.distillation).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from score_sde.errors import UserError
from score_sde.models.functional import fingerprint
from score_sde.objectives.couplings import Cond
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.runs import config as configs
from score_sde.runs import folder, pairs
from score_sde.runs.experiment import Experiment
from score_sde.runs.guide import Weak, check_same
from score_sde.runs.pairs import Pairs
from score_sde.samplers import Sampler

_PAIRS = 5  # folded into the seed's key: 0 to 4 are those of training and sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Teacher:
    """A model that teaches; called, it is a coupling of objectives.couplings. A pytree.

    The coupling is of noise, and where the model's flow leads from it.

    Attributes:
        denoise: the model, told of what it knows alone.
        sde: its process.
        sampler: what follows its flow; one without noise, for pairs of which each gives the other.
    """

    denoise: Denoiser
    sde: SDE = dataclasses.field(metadata={"static": True})
    sampler: Sampler = dataclasses.field(metadata={"static": True})

    def __call__(self, key: jax.Array, x0: jax.Array, cond: Cond) -> tuple[jax.Array, jax.Array]:
        """See couplings.Coupling; of x_0 only the shape is read."""
        key_eps, key_sampler = jax.random.split(key)
        eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
        first, last = (
            self.sde.sigma(jnp.asarray(t, x0.dtype))
            for t in (self.sampler.begins(self.sde), self.sde.t_max)
        )
        start = self.sde.prior_std * (first / last) * eps
        out = self.sampler(key_sampler, self.denoise, self.sde, x_init=start, cond=cond)
        return jax.lax.stop_gradient(out.x), eps


class Taught(NamedTuple):
    """What a run learns from beside its data.

    Attributes:
        by: the teacher, its pairs, or None.
        record: what config.json says of the teacher, as JSON values; None for none.
    """

    by: Teacher | Pairs | None = None
    record: Mapping[str, Any] | None = None


def opened(experiment: Experiment, begun: Path | None = None) -> Taught:
    """The teacher that an experiment's objective names, or its pairs.

    Args:
        experiment: what is to be trained.
        begun: the folder of the run, if it has begun: its config.json says of which step and
            weights the teacher is, which may have trained on since; it keeps the pairs.

    Raises:
        UserError: the run cannot be opened, or cannot teach this objective, or is of another space
            or of conditions that the model is not told; or it is not what this run began with.
    """
    objective = experiment.objective
    number = getattr(objective, "pairs", 0)
    if not getattr(objective, "teacher", ""):
        return Taught()
    record = _recorded(begun) if begun else None
    if not number:
        return _teacher(experiment, record)
    if experiment.conditions:
        raise UserError(
            f"{_section(experiment)}.pairs={number}: pairs that are kept are of no condition: give "
            "0, for pairs that are drawn in each step"
        )
    shape = experiment.space.shape
    if begun and (begun / pairs.NAME).exists():
        return Taught(pairs.read(begun, number, shape), record)
    key = jax.random.fold_in(jax.random.key(experiment.seed), _PAIRS)
    teacher, record = _teacher(experiment, record)
    return Taught(pairs.drawn(key, teacher, number, shape), record)


def _teacher(experiment: Experiment, record: Mapping[str, Any] | None) -> Taught:
    objective = experiment.objective
    field = f"{_section(experiment)}.teacher"
    try:
        run = folder.load(Path(objective.teacher), step=record["step"] if record else None)
    except UserError as error:
        raise UserError(f"{field}: {error}") from error
    found = {"step": run.step, "weights_sha256": fingerprint(run.params, run.constants)}
    if record is not None and found != record:
        raise UserError(
            f"{field}={objective.teacher} has other weights at step {run.step} than when this run "
            "began: give it back those, or give another --workdir"
        )
    check_same(field, run, experiment, process=objective.SAME_PROCESS)
    taught, named = run.experiment, f"{field}={objective.teacher}"
    try:
        objective.check_teacher(taught.objective, taught.conditions)
    except ValueError as error:
        raise UserError(f"{named}: {error}") from error
    if taught.sampler.JUMPS and not objective.SAME_PROCESS:
        raise UserError(f"{named} jumps: its own steps are as few already")
    if not objective.SAME_PROCESS and not taught.sampler.follows_flow(run.sde):
        raise UserError(
            f"{named} draws by a sampler that adds noise, so that its samples are not of the noise "
            "they begin with: give a run whose config.sampling.sampler is dpmpp_2m, for example"
        )
    return Taught(Teacher(Weak(run.denoise, taught.conditions), run.sde, taught.sampler), found)


def _recorded(workdir: Path) -> Mapping[str, Any] | None:
    """What config.json says of the teacher of a run that has begun."""
    match configs.read(workdir)[1].get("teacher"):
        case None:
            return None
        case {"step": int(), "weights_sha256": str(), **others} as record if not others:
            return record
    raise UserError(f"{workdir / 'config.json'} is not a run's config: see its run.teacher")


def _section(experiment: Experiment) -> str:
    return f"config.objective.{experiment.config.objective.name}"
