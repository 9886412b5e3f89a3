r"""Training of the autoencoder of latent diffusion.

A variational autoencoder with a small weight of the KL divergence (Rombach et al. 2022, arXiv
2112.10752, Section 3.1 and Appendix G; Kingma and Welling 2014, arXiv 1312.6114): for an image or a
signal x of d numbers, with z ~ q(z | x) and x' = D(z),

    (1 / d) [ -log p(x | z) + (d w / b) P(x, x') + beta KL(q(z | x) || N(0, I)) ].             (1)

p(x | z) is of independent numbers about x', Laplace's of scale b or Gaussian of standard deviation
b:

    -log p = sum_i |x_i - x'_i| / b + log 2 b,                                                 (2)
    -log p = sum_i (x_i - x'_i)^2 / (2 b^2) + log b + log(2 pi) / 2.                           (3)

b is fixed or learnt with the network, as one number. P is a distance of images by scales (see
pyramid) or of signals by spectra (see spectral), which need no trained network; in the place of it
Rombach et al. have the features of one.
A discriminator of patches, S, may be learnt beside it (Esser et al. 2021, arXiv 2012.09841,
Section 3.1), after a share of the training: with a weight c, (1) gets

    -c mean S(x'),    S fixed,                                                               (4)
    mean relu(1 - S(x)) + mean relu(1 + S(x')),    x' fixed,                                 (5)

where (5) alone teaches S and (4) alone is taught by it. So both are steps on one loss, at once.

With beta = 1 and w = c = 0, d times (1) is minus the evidence lower bound. A linear autoencoder is
then best where it is probabilistic principal component analysis (Lucas et al. 2019, arXiv
1911.02469).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde import sections
from score_sde.autoencoder import Gaussian, KLAutoencoder
from score_sde.checks import present
from score_sde.fields import Field
from score_sde.models.discriminator import Discriminator
from score_sde.objectives import pyramid, spectral
from score_sde.objectives.base import AUTOENCODER, Network, Objective
from score_sde.objectives.frozen import held
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.sections import DERIVED
from score_sde.values import NotNegative, Positive, Share, between, one_of


def laplace(error: jax.Array, b: jax.Array) -> jax.Array:
    """The terms of equation (2), nats; shape of error."""
    return jnp.abs(error) / b + jnp.log(2 * b)


def gaussian(error: jax.Array, b: jax.Array) -> jax.Array:
    """The terms of equation (3), nats; shape of error."""
    return error**2 / (2 * b**2) + jnp.log(b) + 0.5 * math.log(2 * math.pi)


LIKELIHOODS = {"laplace": laplace, "gaussian": gaussian}


class Kind(NamedTuple):
    """What an autoencoder is of.

    Attributes:
        fact: under which its network is told the channels.
        axes: of an example, before that of the channels.
        distance: P of two batches, [batch].
        judged: whether there is a discriminator for it.
    """

    fact: str
    axes: int
    distance: Callable[[jax.Array, jax.Array], jax.Array]
    judged: bool


_SIGNAL = Kind("signal_channels", 1, spectral.distance, False)
# By the number of axes of an example: a signal may be without one of channels.
KINDS = {1: _SIGNAL, 2: _SIGNAL, 3: Kind("image_channels", 2, pyramid.distance, True)}


class Beside(nnx.Module):
    """What is learnt beside an autoencoder.

    Args:
        learned_scale: whether the scale of its likelihood is.
        discriminator: makes one of random streams; None for none.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        learned_scale: bool,
        discriminator: Callable[[nnx.Rngs], Discriminator] | None,
        *,
        rngs: nnx.Rngs,
    ):
        self.log = nnx.Param(jnp.zeros(())) if learned_scale else None
        self.discriminator = discriminator(rngs) if discriminator else None

    def __call__(self) -> jax.Array:
        """The logarithm of the scale over the one that it begins with, []."""
        return jnp.zeros(()) if self.log is None else self.log[...]

    def judge(self, images: jax.Array) -> jax.Array:
        """S of images, [batch, patches]."""
        return present("discriminator", self.discriminator)(images)


@dataclasses.dataclass(frozen=True)
class Autoencoding(Objective):
    """Equation (1) of the module; the process is not used.

    Attributes:
        likelihood: "laplace" or "gaussian", of the numbers of an example, which are in [-1, 1].
        scale: b, or what it begins with.
        learned_scale: whether b is learnt.
        kl_weight: beta.
        perceptual: w.
        adversarial: c; 0 for no discriminator, which there is of images only.
        adversarial_from: the share of the training after which (4) and (5) begin.
        discriminator_width: features of its first layer.
        discriminator_halvings: of its layers, those that halve the sides.
        shape: of an image, (height, width, channels), or of a signal, (samples,) or (samples,
            channels).
        judged: 1 where (4) and (5) count, 0 before, [], and None of held-out examples.

    Raises:
        ValueError: the data are neither, or there is no such discriminator.
    """

    TRAINS: ClassVar[str] = AUTOENCODER

    likelihood: Annotated[str, one_of(LIKELIHOODS)] = "laplace"
    scale: Positive = 0.1
    learned_scale: bool = True
    kl_weight: NotNegative = 1e-3
    perceptual: NotNegative = 1.0
    adversarial: NotNegative = 0.0
    adversarial_from: Share = 0.25
    discriminator_width: Annotated[int, between(4, 4096)] = 32
    discriminator_halvings: Annotated[int, between(1, 8)] = 2
    shape: tuple[int, ...] | None = dataclasses.field(default=None, metadata=DERIVED)
    judged: jax.Array | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)
        if self.shape is None:
            return
        if len(self.shape) not in KINDS:
            raise ValueError(
                "it is of images or of signals: give config.space.name=pixels or waveforms"
            )
        if self.adversarial and not KINDS[len(self.shape)].judged:
            raise ValueError("the discriminator is of images: give adversarial=0")

    def module(self) -> Callable[[nnx.Rngs], nnx.Module] | None:
        """The logarithm of b over `scale`, if it is learnt, and the discriminator, if any."""
        if not (self.learned_scale or self.adversarial):
            return None
        sizes = self.discriminator_width, self.discriminator_halvings

        def discriminator(rngs: nnx.Rngs) -> Discriminator:
            return Discriminator(present("shape", self.shape)[-1], *sizes, rngs=rngs)

        made = discriminator if self.adversarial else None
        return lambda rngs: Beside(self.learned_scale, made, rngs=rngs)

    def at(self, done: jax.Array) -> Self:
        """With (4) and (5), after their share of the training."""
        if not self.adversarial:
            return self
        return dataclasses.replace(self, judged=jnp.where(done < self.adversarial_from, 0.0, 1.0))

    def model(
        self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]
    ) -> KLAutoencoder:
        """The autoencoder of the network."""
        return KLAutoencoder(network)

    def facts(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The channels of an image, or of a signal; 0 of one that has no axis of them."""
        shape = present("shape", self.shape)
        kind = KINDS[len(shape)]
        return {kind.fact: sum(shape[kind.axes :])}

    def __call__(
        self,
        key: jax.Array,
        model: KLAutoencoder,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        own: Callable[..., Any] | None = None,
    ) -> jax.Array:
        """The loss of each example, nats a number, [batch]; see Objective."""
        log_scale = own() if own else jnp.zeros((), x0.dtype)
        found = model.encode(x0)
        out = model.decode(found.draw(key))
        nats = self.of(x0, found, out, log_scale)
        if self.judged is None:
            return nats
        judge = functools.partial(present("own", own), method="judge")
        fooled = -self.adversarial * held(judge, out).mean(axis=1)
        fixed = jax.lax.stop_gradient(out)
        told = jax.nn.relu(1 - judge(x0)) + jax.nn.relu(1 + judge(fixed))
        loss: jax.Array = nats + self.judged * (fooled + told.mean(axis=1))
        return loss

    def of(self, x: jax.Array, found: Gaussian, out: jax.Array, log_scale: jax.Array) -> jax.Array:
        """Equation (1).

        Args:
            x: images, [batch, height, width, channels], or signals, [batch, samples] or [batch,
                samples, channels].
            found: q(z | x).
            out: x', of a draw of it; shape of x.
            log_scale: log b less that of `scale`, [].

        Returns:
            [batch].
        """
        b = self.scale * jnp.exp(log_scale)
        each = LIKELIHOODS[self.likelihood](x - out, b)
        nats = jnp.mean(each, axis=tuple(range(1, x.ndim)))
        if self.perceptual:
            nats = nats + self.perceptual / b * KINDS[x.ndim - 1].distance(x, out)
        return nats + self.kl_weight * found.kl() / math.prod(x.shape[1:])
