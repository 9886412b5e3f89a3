"""Reflow: a run teaches another where its flow leads from each noise.

Liu et al. 2022 (arXiv 2209.03003), Section 2.1: pairs of noise and what the probability flow of a
trained model makes of it keep both distributions, and the paths of a model trained on them cross
less, so that it takes fewer steps. They are drawn anew in each training step, by the teacher's own
sampler with its own number of steps; the data give the conditions alone.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp

from score_sde.errors import UserError
from score_sde.objectives.couplings import Cond
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.runs import folder
from score_sde.runs.build import Experiment
from score_sde.runs.guide import Weak, check_same
from score_sde.samplers import Sampler


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Teacher:
    """A coupling of objectives.couplings: noise, and where a model's flow leads from it; a pytree.

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


def opened(experiment: Experiment) -> Teacher | None:
    """The teacher that an experiment's objective names; None if it names none.

    Raises:
        UserError: the run cannot be opened, or is of another space or of conditions that the model
            is not told.
    """
    path = getattr(experiment.objective, "teacher", "")
    if not path:
        return None
    try:
        run = folder.load(Path(path))
    except UserError as error:
        raise UserError(f"config.objective.flow_matching.teacher: {error}") from error
    check_same("config.objective.flow_matching.teacher", run, experiment, process=False)
    taught = run.experiment
    if taught.sampler.JUMPS:
        raise UserError(
            f"config.objective.flow_matching.teacher={path} jumps: its own steps are as few already"
        )
    return Teacher(Weak(run.denoise, taught.conditions), run.sde, taught.sampler)
