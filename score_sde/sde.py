r"""Forward processes: linear SDEs with a Gaussian perturbation kernel.

Every process here is a linear SDE

    dx = f(t) x dt + g(t) dw                                                        (1)

whose transition from the data is Gaussian,

    x_t = alpha(t) x_0 + sigma(t) eps,    eps ~ N(0, I),                             (2)

with  f = d log alpha / dt  and  g^2 = d sigma^2 / dt - 2 f sigma^2             (3)

(Song et al. 2021, arXiv 2011.13456, Section 3; Karras et al. 2022, arXiv 2206.00364, Appendix B).
A process is given by alpha and sigma and their derivatives; equation (3) gives the rest. Where the
general formula loses precision, a process overrides it with its own closed form.

The methods take t as a JAX array (traced, differentiable, in the dtype of t) or as a NumPy array,
for which they compute on the host in NumPy: solver tables are made that way in float64.
"""

from __future__ import annotations

import dataclasses
import math
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from score_sde import keys


def expand(coefficient: ArrayLike, x: jax.Array) -> jax.Array:
    """Reshape a per-example coefficient, [batch] or a scalar, so that it multiplies x.

    Args:
        coefficient: [batch] or [].
        x: [batch, *data].

    Returns:
        The coefficient as [batch, 1, ..., 1], with as many axes as x (a scalar stays a scalar).
    """
    coefficient = jnp.asarray(coefficient)
    trailing = (1,) * (x.ndim - 1) if coefficient.ndim else ()
    return coefficient.reshape(coefficient.shape + trailing)


def namespace(t: ArrayLike) -> ModuleType:
    """NumPy for NumPy input, jax.numpy for everything else."""
    return np if isinstance(t, np.ndarray | np.generic) else jnp


class SDE:
    """A linear SDE, equation (1). Subclasses are frozen dataclasses that define alpha and sigma.

    Attributes:
        t_min: the smallest time that samplers and losses reach, where sigma is nearly 0.
        t_max: the time at which the process has forgotten the data.
        scales: for a discrete sequence (score_sde.discrete) its number of noise levels, else None.
    """

    t_min: float
    t_max: float
    scales: int | None = None

    def __post_init__(self):
        if not 0 < self.t_min < self.t_max < math.inf:
            raise ValueError(
                f"times must satisfy 0 < t_min < t_max, not {self.t_min}, {self.t_max}"
            )

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) of equation (2); shape of t."""
        raise NotImplementedError

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) of equation (2), the standard deviation of x_t given x_0; shape of t."""
        raise NotImplementedError

    def level_sigma(self, t: ArrayLike) -> jax.Array:
        """sigma of the noise level that stands for t: sigma(t), but for a discrete sequence."""
        return self.sigma(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """d alpha / dt; shape of t."""
        raise NotImplementedError

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """d sigma / dt; shape of t."""
        raise NotImplementedError

    def f(self, t: ArrayLike) -> jax.Array:
        """f(t) = d log alpha / dt, the coefficient of the drift; shape of t."""
        return self.alpha_dot(t) / self.alpha(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g(t)^2 = d sigma^2 / dt - 2 f sigma^2, equation (3); shape of t."""
        sigma = self.sigma(t)
        return 2 * sigma * (self.sigma_dot(t) - self.f(t) * sigma)

    def drift(self, x: jax.Array, t: jax.Array) -> jax.Array:
        """f(t) x.

        Args:
            x: state, [batch, *data].
            t: time, [batch] or [].

        Returns:
            [batch, *data].
        """
        return expand(self.f(t), x) * x

    def diffusion(self, t: ArrayLike) -> jax.Array:
        """g(t); shape of t."""
        return namespace(t).sqrt(self.g2(t))

    def marginal(self, x0: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and standard deviation of x_t given x_0, equation (2).

        Args:
            x0: data, [batch, *data].
            t: time, [batch] or [].

        Returns:
            The mean, [batch, *data], and the standard deviation, shape of t.
        """
        return expand(self.alpha(t), x0) * x0, self.sigma(t)

    def log_snr(self, t: ArrayLike) -> jax.Array:
        """log(alpha^2 / sigma^2), natural logarithm; it falls as t grows. Shape of t."""
        return 2 * namespace(t).log(self.alpha(t) / self.sigma(t))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr, limited to [t_min, t_max]: bisection in float64 on the host.

        Every process of this module overrides it with a closed form.

        Args:
            log_snr: any shape.

        Returns:
            t, shape and dtype of log_snr.
        """

        def bisect(target: np.ndarray) -> np.ndarray:
            target = np.asarray(target)
            low = np.full(target.shape, self.t_min, np.float64)
            high = np.full(target.shape, self.t_max, np.float64)
            for _ in range(100):  # past 60 halvings the interval is two neighbouring floats
                middle = (low + high) / 2
                later = np.asarray(self.log_snr(middle)) > target
                low, high = np.where(later, middle, low), np.where(later, high, middle)
            return ((low + high) / 2).astype(target.dtype)

        if namespace(log_snr) is np:
            return bisect(log_snr)
        log_snr = jnp.asarray(log_snr)
        return jax.pure_callback(
            bisect,
            jax.ShapeDtypeStruct(log_snr.shape, log_snr.dtype),
            log_snr,
            vmap_method="expand_dims",
        )

    @property
    def prior_std(self) -> float:
        """Standard deviation of the prior N(0, prior_std^2 I), which stands for x at t_max."""
        return 1.0

    def prior_sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike | None = None
    ) -> jax.Array:
        """Draw x at t_max from the prior.

        Args:
            key: JAX random key, or one for each example, [batch]; see score_sde.keys.
            shape: [batch, *data].
            dtype: of the result; JAX's default float if None.
        """
        dtype = jnp.result_type(float) if dtype is None else dtype
        return self.prior_std * keys.normal(key, shape, dtype)

    def prior_logp(self, x: jax.Array) -> jax.Array:
        """Log-density of the prior.

        Args:
            x: [batch, *data].

        Returns:
            Nats, [batch].
        """
        axes = tuple(range(1, x.ndim))
        dimension = math.prod(x.shape[1:])
        return -0.5 * (
            jnp.sum((x / self.prior_std) ** 2, axes)
            + dimension * math.log(2 * math.pi * self.prior_std**2)
        )

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """A and G of the discrete forward step x_t = A x_s + G z, z ~ N(0, I), for s < t.

        Euler's step with f and g at t; VP and VE override it with the steps of DDPM and SMLD
        (Song et al. 2021, Appendix E). The reverse-diffusion predictor undoes this step.
        """
        dt = t - s
        return 1 + self.f(t) * dt, namespace(t).sqrt(self.g2(t) * dt)

    def ancestral(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
        """A and G of the forward step x_t = A x_s + G z, and the noise level of its reverse.

        The exact transition of equation (1) and the standard deviation of p(x_s | x_t, x_0),
        G sigma_s / sigma_t (Ho et al. 2020, arXiv 2006.11239, equation 7; Song et al. 2021,
        Appendix F). s = 0 stands for the data itself: alpha = 1, sigma = 0.
        """
        xp = namespace(t)
        alpha_s = xp.where(s > 0, self.alpha(s), 1)
        sigma_s = xp.where(s > 0, self.sigma(s), 0)
        sigma_t = self.sigma(t)
        a = self.alpha(t) / alpha_s
        # sigma_t^2 - A^2 sigma_s^2 as a product: a difference of squares would cancel.
        g = xp.sqrt((sigma_t - a * sigma_s) * (sigma_t + a * sigma_s))
        return a, g, g * sigma_s / sigma_t


@dataclasses.dataclass(frozen=True)
class _LinearBeta(SDE):
    """alpha of the linear schedule beta(t) that VP and sub-VP share."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3
    t_max: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(
                f"need 0 < beta_min <= beta_max, not {self.beta_min} and {self.beta_max}"
            )

    def beta(self, t: ArrayLike) -> jax.Array:
        """beta(t) = beta_min + t (beta_max - beta_min); shape of t."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _integral_beta(self, t: ArrayLike) -> jax.Array:
        """The integral of beta from 0 to t, which is -2 log alpha(t); shape of t."""
        return t * self.beta_min + 0.5 * t**2 * (self.beta_max - self.beta_min)

    def _time_at_integral_beta(self, integral: jax.Array) -> jax.Array:
        """The positive root of the quadratic, in the form that does not cancel for small t."""
        xp = namespace(integral)
        slope = self.beta_max - self.beta_min
        return 2 * integral / (self.beta_min + xp.sqrt(self.beta_min**2 + 2 * slope * integral))

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = exp(-1/2 int_0^t beta); shape of t."""
        return namespace(t).exp(-0.5 * self._integral_beta(t))

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -beta alpha / 2; shape of t."""
        return -0.5 * self.beta(t) * self.alpha(t)

    def f(self, t: ArrayLike) -> jax.Array:
        """f(t) = -beta(t) / 2; shape of t."""
        return -0.5 * self.beta(t)


@dataclasses.dataclass(frozen=True)
class VP(_LinearBeta):
    """The variance-preserving SDE, DDPM in continuous time: alpha^2 + sigma^2 = 1.

    Song et al. 2021 (arXiv 2011.13456), equations 11 and 33, with the linear beta of their
    experiments.

    Attributes:
        beta_min: beta(0).
        beta_max: beta(1).
        t_min: smallest time; the paper samples down to 1e-3 and trains down to 1e-5.
        t_max: largest time.
    """

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sqrt(1 - exp(-int_0^t beta)); shape of t."""
        xp = namespace(t)
        return xp.sqrt(-xp.expm1(-self._integral_beta(t)))

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = beta alpha^2 / (2 sigma); shape of t."""
        return 0.5 * self.beta(t) * self.alpha(t) ** 2 / self.sigma(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = beta; shape of t."""
        return self.beta(t)

    def log_snr(self, t: ArrayLike) -> jax.Array:
        """-log(exp(int_0^t beta) - 1); shape of t."""
        xp = namespace(t)
        return -xp.log(xp.expm1(self._integral_beta(t)))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr: int_0^t beta = log(1 + exp(-log_snr)); shape of log_snr."""
        xp = namespace(log_snr)
        return self._time_at_integral_beta(xp.logaddexp(-log_snr, xp.zeros_like(log_snr)))

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """DDPM's step x_t = sqrt(1 - b) x_s + sqrt(b) z with b = beta(t) (t - s)."""
        xp = namespace(t)
        b = self.beta(t) * (t - s)
        return xp.sqrt(1 - b), xp.sqrt(b)

    def ancestral(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
        """DDPM's step and the larger of its two noise levels, sqrt(b), as the paper samples it."""
        a, g = self.discretize(t, s)
        return a, g, g


@dataclasses.dataclass(frozen=True)
class SubVP(_LinearBeta):
    """The sub-VP SDE, whose variance never exceeds VP's: sigma = 1 - alpha^2.

    Song et al. 2021 (arXiv 2011.13456), equations 13 and 29.

    Attributes:
        beta_min: beta(0).
        beta_max: beta(1).
        t_min: smallest time.
        t_max: largest time.
    """

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = 1 - exp(-int_0^t beta): a standard deviation, not a variance; shape of t."""
        return -namespace(t).expm1(-self._integral_beta(t))

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = beta alpha^2; shape of t."""
        return self.beta(t) * self.alpha(t) ** 2

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = beta (1 - exp(-2 int_0^t beta)); shape of t."""
        return -self.beta(t) * namespace(t).expm1(-2 * self._integral_beta(t))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr: int_0^t beta = 2 arcsinh(exp(-log_snr / 2) / 2).

        With k = sigma / alpha = (1 - alpha^2) / alpha, alpha solves alpha^2 + k alpha = 1, so
        alpha = exp(-arcsinh(k / 2)).
        """
        xp = namespace(log_snr)
        return self._time_at_integral_beta(2 * xp.arcsinh(0.5 * xp.exp(-0.5 * log_snr)))


@dataclasses.dataclass(frozen=True)
class VE(SDE):
    """The variance-exploding SDE, SMLD in continuous time: sigma(t) is a geometric sequence.

    Song et al. 2021 (arXiv 2011.13456), equations 9 and 30, with sigma(t) itself (not
    sqrt(sigma(t)^2 - sigma(0)^2)) as the standard deviation, as in the published models.

    Attributes:
        sigma_min: sigma(0).
        sigma_max: sigma(1).
        t_min: smallest time.
        t_max: largest time.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    t_min: float = 1e-5
    t_max: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(
                f"need 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1; shape of t."""
        return namespace(t).ones_like(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = 0; shape of t."""
        return namespace(t).zeros_like(t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sigma_min (sigma_max / sigma_min)^t; shape of t."""
        # A power: exp(t log ratio) would round its large argument, which Fourier features of
        # log sigma, up to 300 radians per unit, turn into an error of the score.
        return self.sigma_min * namespace(t).power(self.sigma_max / self.sigma_min, t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = sigma log(sigma_max / sigma_min); shape of t."""
        return self.sigma(t) * self._log_ratio

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr = -2 log sigma(t); shape of log_snr."""
        return (-0.5 * log_snr - math.log(self.sigma_min)) / self._log_ratio

    @property
    def prior_std(self) -> float:
        """sigma(t_max), so sigma_max for t_max = 1."""
        return self.sigma_min * math.exp(self.t_max * self._log_ratio)

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """SMLD's step x_t = x_s + sqrt(sigma_t^2 - sigma_s^2) z; s = 0 stands for sigma = 0."""
        a, g, _ = self.ancestral(t, s)
        return a, g


@dataclasses.dataclass(frozen=True)
class EDM(SDE):
    """alpha = 1, sigma = t: time is the noise level (Karras et al. 2022, arXiv 2206.00364).

    Attributes:
        t_min: smallest noise level.
        t_max: largest noise level.
    """

    t_min: float = 0.002
    t_max: float = 80.0

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1; shape of t."""
        return namespace(t).ones_like(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = 0; shape of t."""
        return namespace(t).zeros_like(t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = t."""
        return namespace(t).asarray(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = 1; shape of t."""
        return namespace(t).ones_like(t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = exp(-log_snr / 2); shape of log_snr."""
        return namespace(log_snr).exp(-0.5 * log_snr)

    @property
    def prior_std(self) -> float:
        """sigma(t_max) = t_max."""
        return self.t_max


@dataclasses.dataclass(frozen=True)
class CosineVP(SDE):
    """The variance-preserving SDE with alpha = cos(pi t / 2), sigma = sin(pi t / 2).

    The cosine schedule of Nichol and Dhariwal 2021 (arXiv 2102.09672) without its offset, as in
    Salimans and Ho 2022 (arXiv 2202.00512). f diverges at t = 1, where alpha = 0: hence t_max.

    Attributes:
        t_min: smallest time.
        t_max: largest time, below 1.
    """

    t_min: float = 1e-3
    t_max: float = 0.999

    def __post_init__(self):
        super().__post_init__()
        if self.t_max > 1:
            raise ValueError(f"t_max must be at most 1, where alpha is 0, not {self.t_max}")

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = cos(pi t / 2), as sin(pi (1 - t) / 2), which is precise near t = 1."""
        return namespace(t).sin(0.5 * math.pi * (1 - t))

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sin(pi t / 2); shape of t."""
        return namespace(t).sin(0.5 * math.pi * t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -(pi / 2) sigma; shape of t."""
        return -0.5 * math.pi * self.sigma(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = (pi / 2) alpha; shape of t."""
        return 0.5 * math.pi * self.alpha(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = pi tan(pi t / 2); shape of t."""
        return math.pi * self.sigma(t) / self.alpha(t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = (2 / pi) arctan(exp(-log_snr / 2)); shape of log_snr."""
        xp = namespace(log_snr)
        return (2 / math.pi) * xp.arctan(xp.exp(-0.5 * log_snr))


@dataclasses.dataclass(frozen=True)
class RectifiedFlow(SDE):
    """The straight path alpha = 1 - t, sigma = t between data and noise, as an SDE.

    Liu et al. 2022 (arXiv 2209.03003); Lipman et al. 2022 (arXiv 2210.02747). Their velocity is the
    drift of the probability-flow ODE. f diverges at t = 1, where alpha = 0: hence t_max.

    Attributes:
        t_min: smallest time.
        t_max: largest time, below 1.
    """

    t_min: float = 1e-3
    t_max: float = 0.999

    def __post_init__(self):
        super().__post_init__()
        if self.t_max > 1:
            raise ValueError(f"t_max must be at most 1, where alpha is 0, not {self.t_max}")

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1 - t."""
        return namespace(t).asarray(1 - t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = t."""
        return namespace(t).asarray(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -1; shape of t."""
        return -namespace(t).ones_like(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = 1; shape of t."""
        return namespace(t).ones_like(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = 2 t / (1 - t); shape of t."""
        return 2 * t / (1 - t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = 1 / (1 + exp(log_snr / 2)); shape of log_snr."""
        return 1 / (1 + namespace(log_snr).exp(0.5 * log_snr))


SDES = {
    "vp": VP,
    "subvp": SubVP,
    "ve": VE,
    "edm": EDM,
    "cosine_vp": CosineVP,
    "rectified_flow": RectifiedFlow,
}
