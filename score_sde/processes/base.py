"""Forward processes: linear SDEs with a Gaussian perturbation kernel.

Every process here is a linear SDE

    dx = f(t) x dt + g(t) dw                                                        (1)

whose transition from the data is Gaussian,

    x_t = alpha(t) x_0 + sigma(t) eps,    eps ~ N(0, I),                             (2)

with  f = d log alpha / dt  and  g^2 = d sigma^2 / dt - 2 f sigma^2             (3)

(Song et al. 2021, arXiv 2011.13456, Section 3; Karras et al. 2022, arXiv 2206.00364, Appendix B).
A process is given by alpha and sigma; their derivatives are those of automatic differentiation, and
equation (3) gives the rest. Where the general formula loses precision or a closed form is cheaper,
a process overrides it.

The methods take t as a JAX array (traced, differentiable, in the dtype of t) or as a NumPy array,
for which they compute on the host in NumPy: solver tables are made that way in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from score_sde import keys, sections
from score_sde.processes.process import Process

_HALVINGS = 60  # past them an interval of float64 is two neighbours


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


_Elementwise = Callable[[ArrayLike], jax.Array]


class Namespace(Protocol):
    """What NumPy and jax.numpy both have of what processes compute with, elementwise.

    Its arrays are said to be JAX's: those of NumPy have the same operators.
    """

    arcsin: _Elementwise
    arcsinh: _Elementwise
    arctan: _Elementwise
    asarray: Callable[..., jax.Array]
    ceil: _Elementwise
    clip: Callable[[ArrayLike, ArrayLike, ArrayLike], jax.Array]
    exp: _Elementwise
    expm1: _Elementwise
    floor: _Elementwise
    log: _Elementwise
    logaddexp: Callable[[ArrayLike, ArrayLike], jax.Array]
    ones_like: _Elementwise
    power: Callable[[ArrayLike, ArrayLike], jax.Array]
    round: _Elementwise
    sin: _Elementwise
    cos: _Elementwise
    sqrt: _Elementwise
    tan: _Elementwise
    where: Callable[[ArrayLike, ArrayLike, ArrayLike], jax.Array]
    zeros_like: _Elementwise


def namespace(t: ArrayLike) -> Namespace:
    """NumPy where t, of any shape, is NumPy's; jax.numpy for everything else."""
    return cast(Namespace, np if is_host(t) else jnp)


def number(t: ArrayLike) -> jax.Array:
    """The same t, said to be a JAX array, as in Namespace: for what operators make of it."""
    return cast(jax.Array, t)


def is_host(t: ArrayLike) -> bool:
    """Whether t is NumPy's, and so is what is made of it."""
    return isinstance(t, np.ndarray | np.generic)


def on_host(function: Callable[[jax.Array], jax.Array], t: ArrayLike) -> np.ndarray:
    """A function of JAX arrays at NumPy numbers: at once, in their dtype, also while JAX traces.

    Args:
        function: what jax.numpy computes with, elementwise.
        t: any shape, a float dtype.

    Returns:
        Shape and dtype of t, NumPy's.
    """
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return np.asarray(function(jnp.asarray(t)))


def at(function: Callable[[jax.Array], jax.Array], t: ArrayLike) -> jax.Array:
    """A function of JAX arrays at t: a JAX array, or on the host at NumPy's; shape of t."""
    if is_host(t):
        return number(on_host(function, t))
    return function(jnp.asarray(t, jnp.result_type(t, float)))


def derivative(function: Callable[[ArrayLike], jax.Array], t: ArrayLike) -> jax.Array:
    """d function / dt by automatic differentiation; shape and kind of t.

    Args:
        function: of t, elementwise.
        t: JAX's or NumPy's, as the methods of a process take it.
    """

    def of(t: jax.Array) -> jax.Array:
        tangent: jax.Array = jax.jvp(function, (t,), (jnp.ones_like(t),))[1]
        return tangent

    return at(of, t)


class SDE(Process):
    """A linear SDE, equation (1). Subclasses are frozen dataclasses that define alpha and sigma.

    sigma is nearly 0 at t_min.
    """

    def __post_init__(self) -> None:
        sections.check(self)
        if not self.t_min < self.t_max:
            raise ValueError(
                f"times must satisfy 0 < t_min < t_max, not {self.t_min}, {self.t_max}"
            )

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) of equation (2); shape of t."""
        raise NotImplementedError

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) of equation (2), the standard deviation of x_t given x_0; shape of t."""
        raise NotImplementedError

    def check_ends(self) -> None:
        """Raise ValueError unless alpha and sigma are numbers at both ends, and sigma above 0."""
        for t in (self.t_min, self.t_max):
            with np.errstate(all="ignore"):  # reported here
                alpha, sigma = (float(f(np.float64(t))) for f in (self.alpha, self.sigma))
                there = (
                    np.isfinite(np.array([alpha, sigma], np.float32)).all()
                    and np.float32(sigma) > 0
                )
            if not there:
                raise ValueError(
                    f"{self} has alpha={alpha:g} and sigma={sigma:g} at t={t:g}: both must be "
                    "numbers that a float32 can be, and sigma above 0"
                )

    def level_sigma(self, t: ArrayLike) -> jax.Array:
        """sigma of the noise level that stands for t; shape of t.

        It is sigma(t), but for a discrete sequence.
        """
        return self.sigma(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """d alpha / dt; shape of t."""
        return derivative(self.alpha, t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """d sigma / dt; shape of t."""
        return derivative(self.sigma, t)

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
        """log(alpha^2 / sigma^2), natural logarithm; it falls as t grows; shape of t."""
        return 2 * namespace(t).log(self.alpha(t) / self.sigma(t))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr, limited to [t_min, t_max], by bisection.

        At NumPy's numbers it is computed on the host, in their dtype.

        Args:
            log_snr: any shape.

        Returns:
            t, shape and dtype of log_snr.
        """

        def bisect(target: jax.Array) -> jax.Array:
            def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                low, high = ends
                middle = (low + high) / 2
                later = self.log_snr(middle) > target
                return jnp.where(later, middle, low), jnp.where(later, high, middle)

            ends = jnp.full_like(target, self.t_min), jnp.full_like(target, self.t_max)
            low: jax.Array
            high: jax.Array
            low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
            return (low + high) / 2

        return at(bisect, log_snr)

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

        Returns:
            [batch, *data].
        """
        dtype = jnp.result_type(float) if dtype is None else dtype
        return self.prior_std * keys.normal(key, shape, dtype)

    def prior_logp(self, x: jax.Array, dimension: ArrayLike | None = None) -> jax.Array:
        """Log-density of the prior.

        Args:
            x: [batch, *data].
            dimension: of the space of which it is a density, [batch] or a number, where x lies in
                a subspace; see score_sde.subspace. None: all of x.

        Returns:
            Nats, [batch].
        """
        axes = tuple(range(1, x.ndim))
        dimension = math.prod(x.shape[1:]) if dimension is None else dimension
        return -0.5 * (
            jnp.sum((x / self.prior_std) ** 2, axes)
            + dimension * math.log(2 * math.pi * self.prior_std**2)
        )

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """A and G of the discrete forward step x_t = A x_s + G z, z ~ N(0, I), for s < t.

        Euler's step with f and g at t; VP and VE override it with the steps of DDPM and SMLD
        (Song et al. 2021, Appendix E). The reverse-diffusion predictor undoes this step.

        Args:
            t: the later time, any shape.
            s: the earlier one, of that shape.

        Returns:
            A and G, shape of t each.
        """
        dt = number(t) - number(s)
        return 1 + self.f(t) * dt, namespace(t).sqrt(self.g2(t) * dt)

    def ancestral(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
        """A and G of the forward step x_t = A x_s + G z, and the noise level of its reverse.

        The exact transition of equation (1) and the standard deviation of p(x_s | x_t, x_0),
        G sigma_s / sigma_t (Ho et al. 2020, arXiv 2006.11239, equation 7; Song et al. 2021,
        Appendix F).

        Args:
            t: the later time, any shape.
            s: the earlier one, of that shape; 0 stands for the data itself: alpha = 1, sigma = 0.

        Returns:
            A, G and the noise level, shape of t each.
        """
        xp = namespace(t)
        alpha_s = xp.where(number(s) > 0, self.alpha(s), 1)
        sigma_s = xp.where(number(s) > 0, self.sigma(s), 0)
        sigma_t = self.sigma(t)
        a = self.alpha(t) / alpha_s
        # sigma_t^2 - A^2 sigma_s^2 as a product: a difference of squares would cancel.
        g = xp.sqrt((sigma_t - a * sigma_s) * (sigma_t + a * sigma_s))
        return a, g, g * sigma_s / sigma_t
