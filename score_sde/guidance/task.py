"""What is asked of a model: samples, samples of a class, images of which a part is known.

A task turns the model's denoiser, and its draw from the prior, into those of the question; any
sampler then answers it (Song et al. 2021, arXiv 2011.13456, Section 5). Tasks are pytrees: their
arrays are arguments of the compiled function, not constants in it.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde import guidance
from score_sde.classifier import LogProb
from score_sde.guidance import Colorization, Inpainting, Observation
from score_sde.prediction import Denoiser
from score_sde.processes import SDE

# What differs from image to image, [batch, ...] each: "image" in the model's range, "label".
Inputs = dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Task:
    """Plain sampling; of the labels in the inputs, if the model is class-conditional."""

    def denoiser(self, denoise: Denoiser, sde: SDE, inputs: Inputs) -> Denoiser:
        """The denoiser of the question, from the model's."""
        return denoise

    def start(self, sde: SDE, x: jax.Array, inputs: Inputs) -> jax.Array:
        """The state at t_max, [batch, *data], from a draw x from the prior."""
        return x

    def finish(self, x: jax.Array, inputs: Inputs) -> jax.Array:
        """The answer, from what the sampler returned; [batch, *data] both."""
        return x


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Guided(Task):
    """Samples of the labels in the inputs, by the gradient of a classifier.

    Attributes:
        log_prob: the classifier, log p(y | x_t).
        scale: factor on its gradient; see guidance.classifier.
        conditional: whether the model is given the labels too.
    """

    log_prob: LogProb
    scale: float = dataclasses.field(metadata={"static": True})
    conditional: bool = dataclasses.field(metadata={"static": True})

    def denoiser(self, denoise: Denoiser, sde: SDE, inputs: Inputs) -> Denoiser:
        """Guided by the classifier."""
        return guidance.classifier(
            denoise, sde, self.log_prob, self.scale, conditional=self.conditional
        )


class Observed(Task):
    """The images in the inputs, of which an observation is known and the rest is drawn."""

    def observation(self, image: jax.Array) -> Observation:
        """What is known of images, [batch, H, W, C]."""
        raise NotImplementedError

    def denoiser(self, denoise: Denoiser, sde: SDE, inputs: Inputs) -> Denoiser:
        """Conditioned on the observation."""
        return self.observation(inputs["image"]).condition(denoise, sde)

    def start(self, sde: SDE, x: jax.Array, inputs: Inputs) -> jax.Array:
        """With the known part at its own noise level."""
        return self.observation(inputs["image"]).start(sde, x)

    def finish(self, x: jax.Array, inputs: Inputs) -> jax.Array:
        """With the known part as it is known."""
        return self.observation(inputs["image"]).finish(x)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inpaint(Observed):
    """The pixels under a mask are known.

    Attributes:
        mask: true where pixels are known, [1, H, W, 1].
    """

    mask: jax.Array

    def observation(self, image: jax.Array) -> Inpainting:
        """The pixels under the mask."""
        return Inpainting(image, self.mask)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Colorize(Observed):
    """The mean of the channels is known."""

    def observation(self, image: jax.Array) -> Colorization:
        """The gray image."""
        return Colorization(jnp.mean(image, axis=-1, keepdims=True))
