r"""Conditioning on exactly known coordinates of the data by replacing them: denoise to denoise.

An observation knows the projection P x_0 = P y of the data onto a subspace: some pixels
(`Inpainting`), or the mean over the channels (`Colorization`). P is orthogonal and the noise is
isotropic, so it splits into independent noise in the subspace and in the rest. Given y the process
is known in the subspace (Song et al. 2021, arXiv 2011.13456, Section 5, Appendices I.2 and I.3):

    P x_t = P (alpha y + sigma z),   z ~ N(0, I),                                           (1)
    P x0 = P y,    P eps = P (x_t - alpha y) / sigma.                                       (2)

For the rest, the prediction of the unconditional model at x_t is taken. So `start` replaces the
known part of the first x by (1), `condition` that of every Prediction by (2), `finish` that of the
sample by y. Whatever sampler is between them, of whatever process, draws the known part from (1)
at each of its times, as exactly as its steps are, and has nothing to know about observations:

    x_T = observation.start(sde, sde.prior_sample(key_prior, shape))
    out = sampler(key, observation.condition(denoise, sde), sde, x_init=x_T)
    x = observation.finish(out.x)

The paper's other form, with fresh noise z in (1) before every step, needs a hook in each sampler
and has no probability flow.

Both forms approximate (split_gibbs.py and gradients.py have others, for noisy and for any linear
observations, too). With k and u the known and unknown parts, the score of u has to be that of
p(u_t | y), and is that of p(u_t | k_t) for one draw k_t of (1). They agree if the parts are
independent, and as t -> 0, where k_t -> y. In between, u hears too little of y, and only corrector
steps at small t make up for it. How much that matters, measured on a Gaussian of four strongly
correlated coordinates of which two are observed (tests/guidance/test_observation.py, VP): the error
of the mean in posterior standard deviations and of the whitened variance, at worst, with

    rk45                                                                1.13     +125 %
    predictor alone, 500 steps (in the paper's form: 0.97, +60 %)       0.97      +76 %
    500 steps, and 4 Langevin steps of snr 0.1 at each                  0.62      +29 %
    log_snr grid of 250, and 20 Langevin steps of snr 0.5 at each       below the noise of 4096

Use correctors, more of them and a larger snr than for sampling. Langevin's step is proportional to
snr^2 sigma^2 here, because the score of the known part, -z / sigma, sets it: its own error vanishes
with sigma, and what it repairs, it repairs where sigma is about the posterior's deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde.composite import Composite
from score_sde.guidance.measurement import Measurement
from score_sde.guidance.operators import Average, ChannelMean, Elements, Mutual
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand


def marginal(sde: SDE, x: jax.Array, t: float | None, known: jax.Array) -> jax.Array:
    """alpha y + sigma z at time t, with z the x that a sampler begins with, of deviation 1.

    Args:
        sde: the forward process.
        x: `sampler.prior(...)`, [batch, *data].
        t: the time of it, `sampler.begins(sde)`; t_max if None.
        known: y, of the shape of x or what broadcasts to it.
    """
    t_max = jnp.asarray(sde.t_max, x.dtype)
    start = t_max if t is None else jnp.asarray(t, x.dtype)
    z = x * (sde.sigma(t_max) / sde.sigma(start)) / sde.prior_std
    return sde.alpha(start) * known + sde.sigma(start) * z


class Observation:
    """What is known of the data, P y. Subclasses are frozen dataclasses of arrays, and pytrees.

    All of them work under `jax.jit`, and on a batch that is split over devices: they combine
    elements of one example only.

    Attributes:
        known: some y with the known projection P y, such that it broadcasts to [batch, *data].
    """

    known: ArrayLike

    def replace(self, x: jax.Array, value: ArrayLike) -> jax.Array:
        """The state x with its known part taken from another: x + P (value - x).

        Args:
            x: [batch, *data].
            value: [batch, *data], or what broadcasts to it.

        Returns:
            [batch, *data], of the dtype of x.
        """
        raise NotImplementedError

    def measurement(self) -> Measurement:
        """The same for the other methods: y = H x_0 without noise."""
        raise NotImplementedError

    def start(self, sde: SDE, x: jax.Array, t: float | None = None) -> jax.Array:
        """The first state, equation (1), that the sampler has to be given as x_init.

        Args:
            sde: the forward process.
            x: what a sampler starts from else, `sampler.prior(...)`, [batch, *data]. The unknown
                part stays; the known part, at a standard deviation of 1, is z.
            t: the time of it, `sampler.begins(sde)`; t_max if None, where it is a draw from the
                prior.

        Returns:
            [batch, *data].
        """
        return self.replace(x, marginal(sde, x, t, self._known(x)))

    def condition(self, denoise: Denoiser, sde: SDE) -> Denoiser:
        """The denoiser of the data given y, equation (2).

        Args:
            denoise: that of the unconditional model; guide it before it is conditioned.
            sde: the forward process that it belongs to.
        """
        return Conditioned(denoise, self, sde)

    def finish(self, x: jax.Array) -> jax.Array:
        """What a sampler returned, x [batch, *data], with y itself as its known part."""
        return self.replace(x, self._known(x))

    def predict(self, prediction: Prediction, sde: SDE, x: jax.Array, t: jax.Array) -> Prediction:
        """A model's prediction, with the known part of equation (2).

        Args:
            prediction: the model's.
            sde: the process.
            x: the state that it is of, [batch, *data].
            t: its time, [batch] or [].
        """
        y = self._known(x)
        alpha, sigma = expand(sde.alpha(t), x), expand(sde.sigma(t), x)
        return Prediction(
            self.replace(prediction.x0, y),
            self.replace(prediction.eps, (x - alpha * y) / sigma),
        )

    def _known(self, x: jax.Array) -> jax.Array:
        return jnp.asarray(self.known, x.dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Conditioned(Composite):
    """The denoiser of the data given an observation; attributes as of `Observation.condition`."""

    observation: Observation
    sde: SDE

    def __call__(self, x: jax.Array, t: jax.Array, cond: Any = None) -> Prediction:
        """See Composite."""
        return self.observation.predict(self.denoise(x, t, cond), self.sde, x, t)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inpainting(Observation):
    """Some elements, pixels for example, are known (Song et al. 2021, Appendix I.2).

    Attributes:
        known: clean states, [batch, *data] or [1, *data]; what they hold at unknown elements is not
            used.
        mask: nonzero where they are known, [batch or 1, ...]; each axis of its size or 1.
    """

    known: ArrayLike
    mask: ArrayLike

    def replace(self, x: jax.Array, value: ArrayLike) -> jax.Array:
        """x, with `value` where the mask says so."""
        return jnp.where(self.mask, value, x)

    def measurement(self) -> Measurement:
        """The elements under the mask."""
        return Measurement(Elements(self.mask), jnp.where(self.mask, self.known, 0))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Motif(Observation):
    """How some points of a set lie to each other is known, and not where all of them lie.

    What a motif of a protein says of a scaffold around it (Watson et al. 2023), up to how it is
    turned, which a model that was trained on all turns of its data does not care about. Points of
    which the places themselves were known would have a centre of mass, and states have none.

    Attributes:
        known: clean states, [batch, n, d] or [1, n, d]; what they hold elsewhere is not used.
        mask: nonzero for the points of the motif, [batch or 1, n, 1].
    """

    known: ArrayLike
    mask: ArrayLike

    def replace(self, x: jax.Array, value: ArrayLike) -> jax.Array:
        """x, with the points of the motif about their centre as `value` has them about its own."""
        return x + Mutual(self.mask).forward(jnp.broadcast_to(value, x.shape).astype(x.dtype) - x)

    def measurement(self) -> Measurement:
        """The places of the points about their centre."""
        operator = Mutual(self.mask)
        return Measurement(operator, operator.forward(jnp.asarray(self.known)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Colorization(Observation):
    """The mean over the channels is known (Song et al. 2021, Appendix I.3).

    P is the projection onto (1, 1, 1) / sqrt(3) in the space of colours: the first vector of an
    orthonormal basis, of which no other is needed.

    Attributes:
        gray: the mean over the channels, in the model's range, [batch, H, W, 1] or [1, H, W, 1].
    """

    gray: ArrayLike

    @property
    def known(self) -> ArrayLike:  # type: ignore[override]  # read only, as all is
        """The gray image, [batch, height, width, 1] or [1, ...]."""
        return self.gray

    def replace(self, x: jax.Array, value: ArrayLike) -> jax.Array:
        """x, moved along (1, 1, 1) to the mean of `value`."""
        return x + jnp.mean(value - x, axis=-1, keepdims=True)

    def measurement(self) -> Measurement:
        """The gray image, [batch, height, width, 1] or [1, ...]."""
        return Measurement(ChannelMean(), self.gray)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SuperResolution(Observation):
    """The means of squares of pixels are known: an image of lower resolution.

    Attributes:
        low: that image, in the model's range, [batch, H / factor, W / factor, C].
        factor: side of a square.
    """

    low: ArrayLike
    factor: int = dataclasses.field(metadata={"static": True})

    @property
    def known(self) -> jax.Array:  # type: ignore[override]  # read only, as all is
        """The image with each pixel as a square, [batch, height, width, channels] or [1, ...]."""
        return jnp.repeat(jnp.repeat(jnp.asarray(self.low), self.factor, -3), self.factor, -2)

    def replace(self, x: jax.Array, value: ArrayLike) -> jax.Array:
        """x, each square moved to the mean of `value`."""
        means = Average(self.factor).forward(jnp.asarray(value) - x)
        return x + jnp.repeat(jnp.repeat(means, self.factor, -3), self.factor, -2)

    def measurement(self) -> Measurement:
        """The image of lower resolution."""
        return Measurement(Average(self.factor), self.low)
