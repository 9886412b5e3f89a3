"""What is asked of a model: samples, samples of a class, examples of which a part is known.

A task turns the model's denoiser, and its draw from the prior, into those of the question; any
sampler then answers it (Song et al. 2021, arXiv 2011.13456, Section 5). Tasks are pytrees: their
arrays are arguments of the compiled function, not constants in it.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde.classifier import LogProb
from score_sde.guidance.classifiers import classifier
from score_sde.guidance.methods import Method, Replacement
from score_sde.guidance.observation import (
    Colorization,
    Inpainting,
    Motif,
    Observation,
    SuperResolution,
    marginal,
)
from score_sde.guidance.operators import Average
from score_sde.prediction import Denoiser
from score_sde.processes import SDE, Process
from score_sde.samplers.sample import Sampler


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Task:
    """Plain sampling, under the conditions that the model is given."""

    def denoiser(self, denoise: Denoiser, sde: SDE, known: jax.Array | None) -> Denoiser:
        """The denoiser of the question, from the model's.

        Args:
            denoise: the model's.
            sde: its process.
            known: states of the examples in question, [batch, *data], if it is about any.
        """
        return denoise

    def sampler(self, sampler: Sampler, known: jax.Array | None) -> Sampler:
        """What draws the answer, in place of the run's sampler; its options are static."""
        return sampler

    def start(self, sde: SDE, x: jax.Array, t: float, known: jax.Array | None) -> jax.Array:
        """The first state, [batch, *data], from the one x that the sampler draws, of time t."""
        return x

    def finish(self, x: jax.Array, known: jax.Array | None) -> jax.Array:
        """The answer, from what the sampler returned; [batch, *data] both."""
        return x


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Redraw(Task):
    """Examples that are noised and drawn again from there (Meng et al. 2021, arXiv 2108.01073).

    How far they are noised, the sampler says by where it begins; see Sampler.later.

    Attributes:
        by: what draws from there, in place of the run's sampler; None for that one.
    """

    by: Sampler | None = dataclasses.field(default=None, metadata={"static": True})

    def sampler(self, sampler: Sampler, known: jax.Array | None) -> Sampler:
        """The later one, if it is given."""
        return self.by or sampler

    def start(self, sde: SDE, x: jax.Array, t: float, known: jax.Array | None) -> jax.Array:
        """alpha y + sigma z at time t, with z the x of standard deviation 1."""
        return marginal(sde, x, t, known)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Infill(Task):
    """Tokens of which some are known; samplers of tokens leave them as they are.

    Attributes:
        mask: true where they are, [length].
    """

    mask: jax.Array

    def start(self, sde: Process, x: jax.Array, t: float, known: jax.Array) -> jax.Array:
        """What is known, and masks, of which x is."""
        return jnp.where(self.mask[None], known, x)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Guided(Task):
    """Samples of the classes among the conditions, by the gradient of a classifier.

    Attributes:
        log_prob: the classifier, log p(y | x_t).
        scale: factor on its gradient; see guidance.classifier.
        field: the name of the classes among the conditions.
        conditional: whether the model is given the classes too.
    """

    log_prob: LogProb
    scale: float = dataclasses.field(metadata={"static": True})
    field: str = dataclasses.field(metadata={"static": True})
    conditional: bool = dataclasses.field(metadata={"static": True})

    def denoiser(self, denoise: Denoiser, sde: SDE, known: jax.Array | None) -> Denoiser:
        """Guided by the classifier."""
        return classifier(
            denoise,
            sde,
            self.log_prob,
            self.scale,
            field=self.field,
            conditional=self.conditional,
        )


@dataclasses.dataclass(frozen=True)
class Observed(Task):
    """Examples of which an observation is known and the rest is drawn.

    Attributes:
        method: how; one of methods.METHODS with its options.
    """

    method: Method = dataclasses.field(
        default=Replacement(), kw_only=True, metadata={"static": True}
    )

    def observation(self, known: jax.Array) -> Observation:
        """What is known of the states of examples, [batch, *data]."""
        raise NotImplementedError

    def denoiser(self, denoise: Denoiser, sde: SDE, known: jax.Array | None) -> Denoiser:
        """Conditioned on the observation."""
        return self.method.denoiser(self.observation(known), denoise, sde)

    def sampler(self, sampler: Sampler, known: jax.Array | None) -> Sampler:
        """The method's, if it has one of its own."""
        return self.method.sampler(self.observation(known), sampler)

    def start(self, sde: SDE, x: jax.Array, t: float, known: jax.Array | None) -> jax.Array:
        """As the method begins."""
        return self.method.start(self.observation(known), sde, x, t)

    def finish(self, x: jax.Array, known: jax.Array | None) -> jax.Array:
        """With the known part as it is known."""
        return self.observation(known).finish(x)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inpaint(Observed):
    """The elements under a mask are known.

    Attributes:
        mask: true where they are, of as many axes as a batch of states, each of its size or 1.
    """

    mask: jax.Array

    def observation(self, known: jax.Array) -> Inpainting:
        """The elements under the mask."""
        return Inpainting(known, self.mask)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaffold(Observed):
    """Some points of a set are known by how they lie to each other; the rest is drawn around them.

    Attributes:
        mask: true for these points of all examples, [1, n, 1]; None: those of each that are not
            zero in the states that are known, where examples differ in it.
    """

    mask: jax.Array | None = None

    def observation(self, known: jax.Array) -> Motif:
        """The points under the mask."""
        if self.mask is None:
            return Motif(known, jnp.any(known != 0, axis=-1, keepdims=True))
        return Motif(known, self.mask)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Colorize(Observed):
    """The mean of the channels, the last axis, is known."""

    def observation(self, known: jax.Array) -> Colorization:
        """The gray image."""
        return Colorization(jnp.mean(known, axis=-1, keepdims=True))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SuperResolve(Observed):
    """The means of squares of pixels are known.

    Attributes:
        factor: side of a square.
    """

    factor: int = dataclasses.field(metadata={"static": True})

    def observation(self, known: jax.Array) -> SuperResolution:
        """The image of lower resolution."""
        return SuperResolution(Average(self.factor).forward(known), self.factor)
