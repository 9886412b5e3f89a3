r"""Inverse problems by the gradient of a likelihood: functions from denoiser to denoiser.

Of data x_0 an observation y = H x_0 + s m is known, m ~ N(0, I). By Bayes' rule the score given y
is that of the model plus G = grad_x log p(y | x_t), so that the prediction becomes

    eps' = eps - sigma G,        x0' = x0 + (sigma^2 / alpha) G.                             (1)

p(y | x_t) is the mean of p(y | x_0) over p(x_0 | x_t), of which the model knows the mean D(x_t).
The methods differ in what they take for its covariance C. If it were Gaussian, and C constant,

    G = J^T H^T (H C H^T + s^2 I)^-1 (y - H D),        J = dD / dx_t:                        (2)

    dps        C = 0                      (Chung et al. 2023, arXiv 2209.14687)
    pigdm      C = r_t^2 I                (Song et al. 2023, "Pseudoinverse-guided diffusion")
    moments    C = (sigma^2 / alpha) J    (Rozet et al. 2024, arXiv 2405.13712)

The last one is the true covariance, the second moment that Tweedie's formula has beside the mean.
So `moments` is exact for every Gaussian data, `pigdm` for N(0, std^2 I); neither is for others, and
dps for none. The linear system is solved by division where H H^T is a multiple of I (pigdm), else
by conjugate gradients. What each costs and how far off it is: experiments/posterior.

The gradient goes through the network: a forward and a backward pass, which counts as one
evaluation and takes about three times as long; each iteration of `moments` is another backward
pass and counts as one more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde import values
from score_sde.composite import Composite
from score_sde.guidance import conjugate
from score_sde.guidance.bayes import gain, shifted
from score_sde.guidance.measurement import Measurement
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.values import Count, Positive

Back = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Likelihood(Composite):
    """Equations (1) and (2); subclasses say with what the rest y - H D is weighed.

    Attributes:
        LIMITED: whether x0 moves at most so far that its observation changes by as much as the
            rest, which it never exceeds for the true C and J. Where alpha is small, what a network
            is wrong about J counts sigma^2 / alpha^2 times, and nothing else would hold it.
    """

    LIMITED: ClassVar[bool] = True

    sde: SDE
    measurement: Measurement

    def pulled(self, rest: jax.Array, x: jax.Array, t: jax.Array, back: Back) -> jax.Array:
        """H^T (H C H^T + s^2 I)^-1 rest, [batch, *data].

        Args:
            rest: y - H D, [batch, *observed].
            x: state, [batch, *data].
            t: time, [batch].
            back: J^T of [batch, *data].
        """
        raise NotImplementedError

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See Composite."""

        def data(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            prediction = self.denoise(x, t, cond)
            return prediction.x0, prediction.eps

        x0, pull, eps = jax.vjp(data, x, has_aux=True)
        rest = self.measurement.rest(x0)
        pulled = self.pulled(rest, x, t, lambda v: pull(v)[0])
        shift = gain(self.sde, t, x) * pull(pulled)[0]
        if self.LIMITED:
            explained = _norm(self.measurement.operator.forward(shift))
            size = jnp.minimum(1, _norm(rest) / jnp.where(explained > 0, explained, 1))
            shift = shift * size.reshape(size.shape[:1] + (1,) * (x.ndim - 1))
        return shifted(Prediction(x0, eps), shift, self.sde, t)


@dataclasses.dataclass(frozen=True, eq=False)
class PiGDM(Likelihood):
    """C = r^2 I with r^2 = std^2 sigma^2 / (alpha^2 std^2 + sigma^2), that of data ~ N(0, std^2 I).

    Attributes:
        std: standard deviation of the data, 1 in the paper.
    """

    std: float = 1.0

    def pulled(self, rest: jax.Array, x: jax.Array, t: jax.Array, back: Back) -> jax.Array:
        """See Likelihood."""
        return self.measurement.solved(rest, self._variance(t), x)

    def _variance(self, t: jax.Array) -> jax.Array:
        """r^2, of the shape of t."""
        clean, noisy = self.sde.alpha(t) * self.std, self.sde.sigma(t)
        return (self.std * noisy) ** 2 / (clean**2 + noisy**2)


@dataclasses.dataclass(frozen=True, eq=False)
class DPS(Likelihood):
    """C = 0: the likelihood of the mean in place of the mean likelihood.

    With `steps` it goes as far as Algorithm 1 of the paper does in so many steps of equal length:
    each moves x by -zeta grad ||y - H D||^2 with zeta = scale / ||y - H D||, whatever s is. As a
    part of the score, which a step of the reverse SDE multiplies by g^2 dt, that is

        G = 2 scale / (g^2 dt ||y - H D||) J^T H^T (y - H D),    dt = (t_max - t_min) / steps.

    Attributes:
        scale: factor on G; with `steps`, zeta' of the paper.
        steps: of the sampler; None: as equation (2) has it, which needs s > 0.
    """

    LIMITED: ClassVar[bool] = False

    scale: float = 1.0
    steps: int | None = None

    def pulled(self, rest: jax.Array, x: jax.Array, t: jax.Array, back: Back) -> jax.Array:
        """See Likelihood."""
        if self.steps is None:
            return self.measurement.back(self.scale / self.measurement.noise**2 * rest, x)
        size = _norm(rest)
        step = self.sde.g2(t) * (self.sde.t_max - self.sde.t_min) / self.steps
        towards = rest / jnp.where(size > 0, size, 1)
        return self.measurement.back(expand(2 * self.scale / step, rest) * towards, x)


@dataclasses.dataclass(frozen=True, eq=False)
class Moments(Likelihood):
    """C = (sigma^2 / alpha) J, never as a matrix: conjugate gradients multiply with it.

    Attributes:
        iterations: of them, each a backward pass through the network; as many as there are numbers
            observed are exact, and a few suffice where s is not small.
    """

    iterations: int = 3

    def pulled(self, rest: jax.Array, x: jax.Array, t: jax.Array, back: Back) -> jax.Array:
        """See Likelihood."""
        h, s = self.measurement, self.measurement.noise
        factor = gain(self.sde, t, x)

        def apply(v: jax.Array) -> jax.Array:
            return h.operator.forward(factor * back(h.back(v, x))) + s**2 * v

        return h.back(conjugate.solved(apply, rest, self.iterations), x)

    def evaluations(self, t: ArrayLike) -> ArrayLike:
        """See Composite: one, and a backward pass for each iteration."""
        return super().evaluations(t) * (1 + self.iterations)


def _norm(x: jax.Array) -> jax.Array:
    """The Euclidean norm of each example, [batch, 1, ...]."""
    return jnp.sqrt(jnp.sum(x**2, tuple(range(1, x.ndim)), keepdims=True))


def pigdm(denoise: Denoiser, sde: SDE, measurement: Measurement, std: float = 1.0) -> Denoiser:
    """Condition on an observation by PiGDM.

    Args:
        denoise: the model's denoiser; guide it before.
        sde: its process.
        measurement: what is known.
        std: standard deviation of the data, 1 in the paper.

    Returns:
        denoise(x, t, cond), for any sampler; a call counts as one of `denoise`.

    Raises:
        ValueError: std is not positive.
    """
    values.check("std", std, Positive)
    return PiGDM(denoise, sde, measurement, std)


def dps(
    denoise: Denoiser,
    sde: SDE,
    measurement: Measurement,
    scale: float = 1.0,
    steps: int | None = None,
) -> Denoiser:
    """Condition on an observation by DPS (Chung et al. 2023, arXiv 2209.14687, Algorithm 1).

    Args:
        denoise: the model's denoiser.
        sde: the forward process.
        measurement: what is observed, and how noisily.
        scale: zeta' of the paper, how far each step follows the gradient.
        steps: of equal length, in which it goes as far as the paper's algorithm; None: as far as
            the likelihood says. See DPS.

    Returns:
        As of `pigdm`.

    Raises:
        ValueError: without noise the likelihood of the mean is infinitely sharp; or an option is
            out of its range.
    """
    values.check("scale", scale, float)
    values.check("steps", steps, Count | None)
    if steps is None and not measurement.noise:
        raise ValueError(
            "dps weighs by 1 / noise^2, and this observation has no noise: give steps, the "
            "number of the sampler's, for the step sizes of the paper's algorithm, or use pigdm"
        )
    return DPS(denoise, sde, measurement, scale, steps)


def moments(denoise: Denoiser, sde: SDE, measurement: Measurement, iterations: int = 3) -> Denoiser:
    """Condition on an observation with the model's own covariance; see `pigdm` and Moments.

    Args:
        denoise: the model's denoiser.
        sde: the forward process.
        measurement: what is observed, and how noisily.
        iterations: of conjugate gradients, each a backward pass through the network.

    Returns:
        As of `pigdm`.

    Raises:
        ValueError: there are no iterations.
    """
    values.check("iterations", iterations, Count)
    return Moments(denoise, sde, measurement, iterations)
