"""How an observation is used: one table of methods, for the tasks and for the command line."""

from __future__ import annotations

import dataclasses

import jax

from score_sde.guidance.gradients import dps, moments, pigdm
from score_sde.guidance.observation import Observation
from score_sde.guidance.split_gibbs import SplitGibbs
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.sample import Sampler


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to draw given an observation; this one leaves everything as it is."""

    def denoiser(self, observation: Observation, denoise: Denoiser, sde: SDE) -> Denoiser:
        """The denoiser given the observation, from the model's."""
        return denoise

    def start(self, observation: Observation, sde: SDE, x: jax.Array, t: float) -> jax.Array:
        """The first state, from the one x that the sampler draws, of time t; see Observation."""
        return x

    def sampler(self, observation: Observation, sampler: Sampler) -> Sampler:
        """What draws, in place of the run's sampler."""
        return sampler


@dataclasses.dataclass(frozen=True)
class Replacement(Method):
    """Known parts are replaced by what they are at each time; see observation.py."""

    def denoiser(self, observation: Observation, denoise: Denoiser, sde: SDE) -> Denoiser:
        """See Method."""
        return observation.condition(denoise, sde)

    def start(self, observation: Observation, sde: SDE, x: jax.Array, t: float) -> jax.Array:
        """See Method."""
        return observation.start(sde, x, t)


@dataclasses.dataclass(frozen=True)
class ByPiGDM(Method):
    """See gradients.pigdm."""

    def denoiser(self, observation: Observation, denoise: Denoiser, sde: SDE) -> Denoiser:
        """See Method."""
        return pigdm(denoise, sde, observation.measurement())


@dataclasses.dataclass(frozen=True)
class ByDPS(Method):
    """See gradients.dps.

    Attributes:
        steps: of the sampler.
    """

    steps: int = 1000

    def denoiser(self, observation: Observation, denoise: Denoiser, sde: SDE) -> Denoiser:
        """See Method."""
        return dps(denoise, sde, observation.measurement(), steps=self.steps)


@dataclasses.dataclass(frozen=True)
class ByMoments(Method):
    """See gradients.moments."""

    def denoiser(self, observation: Observation, denoise: Denoiser, sde: SDE) -> Denoiser:
        """See Method."""
        return moments(denoise, sde, observation.measurement())


@dataclasses.dataclass(frozen=True)
class ByGibbs(Method):
    """See split_gibbs.

    Attributes:
        sweeps: see SplitGibbs.
    """

    sweeps: int = 100

    def sampler(self, observation: Observation, sampler: Sampler) -> Sampler:
        """See Method."""
        return SplitGibbs(observation.measurement(), self.sweeps)


METHODS: dict[str, type[Method]] = {
    "replacement": Replacement,
    "pigdm": ByPiGDM,
    "dps": ByDPS,
    "moments": ByMoments,
    "gibbs": ByGibbs,
}
