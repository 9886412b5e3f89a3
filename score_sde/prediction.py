r"""From what a network outputs to a consistent pair (x0, eps), and from there to everything else.

One evaluation of a model at (x, t), whatever it was trained to output, gives

    Prediction(x0, eps)    with    x = alpha(t) x0 + sigma(t) eps.                    (1)

From it, without dividing by something that vanishes where it is used,

    score     = -eps / sigma,                 the gradient of log p_t(x)               (2)
    velocity  = alpha' x0 + sigma' eps,       the drift of the probability-flow ODE    (3)
    v         = alpha eps - sigma x0          (Salimans and Ho 2022, arXiv 2202.00512)  (4)

A function `denoise(x, t, cond=None) -> Prediction` is what losses, samplers, guidance and
likelihoods are written against. `from_network` makes one from a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.errors import UserError
from score_sde.noise_labels import NOISE_LABELS, check_levels
from score_sde.processes import SDE, Process, expand
from score_sde.values import Positive, one_of


class Prediction(NamedTuple):
    """A consistent pair, equation (1): the expected data and the expected noise given x at time t.

    Attributes:
        x0: expected clean data, [batch, *data].
        eps: expected noise, of unit variance, [batch, *data].
    """

    x0: jax.Array
    eps: jax.Array

    def score(self, sde: SDE, t: jax.Array) -> jax.Array:
        """Gradient of log p_t at x, equation (2).

        Args:
            sde: the process that x is of.
            t: its time, [batch] or [].

        Returns:
            [batch, *data].
        """
        return -self.eps / expand(sde.sigma(t), self.eps)

    def velocity(self, sde: SDE, t: jax.Array) -> jax.Array:
        """Drift of the probability-flow ODE, equation (3), of `sde` at time t [batch] or [].

        Returns:
            [batch, *data].
        """
        alpha_dot, sigma_dot = (expand(c, self.x0) for c in (sde.alpha_dot(t), sde.sigma_dot(t)))
        return alpha_dot * self.x0 + sigma_dot * self.eps

    def v(self, sde: SDE, t: jax.Array) -> jax.Array:
        """The v-prediction, equation (4), of `sde` at time t [batch] or [].

        Returns:
            [batch, *data].
        """
        alpha, sigma = _levels(sde, t, self.x0)
        return alpha * self.eps - sigma * self.x0


class Denoiser(Protocol):
    """What every algorithm here takes: x [batch, *data] and t [batch] (or []) to a Prediction.

    A condition that is not in `cond`, or all of them if it is None, is missing for all examples.
    One that has the attribute TAKES_NULLS = True, as those of networks, knows too that it is
    missing for some, where its value is `null_like`. One whose states do not fill their space says
    by a method `lies_in` what they do; see score_sde.subspace.
    """

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """Predict the data and the noise in x at time t, given conditions: arrays by name."""


def with_variance(
    denoise: Denoiser, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
) -> tuple[Prediction, jax.Array]:
    """What a denoiser predicts, and the variance that it has learnt.

    Args:
        denoise: of a network with twice the channels of x, or made of one.
        x: state, [batch, *data].
        t: time, [batch].
        cond: as of Denoiser.

    Returns:
        The prediction, and v [batch, *data]: the log of the variance of a reverse step is v log max
        + (1 - v) log min, of its upper and its lower bound (Nichol and Dhariwal 2021, arXiv
        2102.09672, equation 15). v is 0 where the network says -1, and 1 where it says 1.

    Raises:
        UserError: it has learnt no variance.
    """
    own = getattr(denoise, "with_variance", None)
    if own is None:
        raise UserError(
            "this denoiser has learnt no variance: train a network with "
            "config.objective.denoising.learned_variance=True"
        )
    found: tuple[Prediction, jax.Array] = own(x, t, cond)
    return found


def null_like(value: jax.Array) -> jax.Array | None:
    """What stands for a condition that an example does not have.

    It is a negative number, NaN, or, of rows of bytes, which texts are, zeros: the text "". Of
    images and videos of bytes it is one that is black all over.

    Args:
        value: of the condition, [batch, ...].

    Returns:
        Of its shape and dtype; None if no value of this dtype stands for it.
    """
    if jnp.issubdtype(value.dtype, jnp.floating):
        return jnp.full_like(value, jnp.nan)
    if jnp.issubdtype(value.dtype, jnp.signedinteger):
        return jnp.full_like(value, -1)
    if value.dtype == jnp.uint8 and value.ndim in (2, 4, 5):  # a label of bytes has a class 0
        return jnp.zeros_like(value)
    return None


def _levels(sde: SDE, t: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return expand(sde.alpha(t), x), expand(sde.sigma(t), x)


class Parametrization:
    """The meaning of a network's output: its conversion to a Prediction, and back."""

    def input_scale(self, sde: SDE, t: jax.Array) -> jax.Array:
        """Factor on x before it enters the network, of `sde` at time t; shape of t."""
        return jnp.ones_like(t)

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """The pair that the output stands for.

        Args:
            sde: the forward process.
            x: state, [batch, *data].
            t: time, [batch].
            output: what the network returned, [batch, *data].
        """
        raise NotImplementedError

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """The inverse: the network output that stands for this pair.

        Args:
            sde: the process.
            t: time, [batch].
            prediction: the pair, [batch, *data] each.

        Returns:
            [batch, *data].
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Eps(Parametrization):
    """The network outputs the noise (Ho et al. 2020, arXiv 2006.11239)."""

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """x0 = (x - sigma eps) / alpha."""
        alpha, sigma = _levels(sde, t, x)
        return Prediction((x - sigma * output) / alpha, output)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """eps."""
        return prediction.eps


@dataclasses.dataclass(frozen=True)
class X0(Parametrization):
    """The network outputs the clean data."""

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """eps = (x - alpha x0) / sigma."""
        alpha, sigma = _levels(sde, t, x)
        return Prediction(output, (x - alpha * output) / sigma)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """x0."""
        return prediction.x0


@dataclasses.dataclass(frozen=True)
class Score(Parametrization):
    """The network outputs the score (Song et al. 2021, arXiv 2011.13456)."""

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """eps = -sigma score, x0 = (x + sigma^2 score) / alpha (Tweedie's formula)."""
        alpha, sigma = _levels(sde, t, x)
        return Prediction((x + sigma**2 * output) / alpha, -sigma * output)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """-eps / sigma."""
        return prediction.score(sde, t)


@dataclasses.dataclass(frozen=True)
class LevelEps(Parametrization):
    """The network outputs eps of a level of a discrete sequence: score = -output / sigma(t_i).

    t_i is the level that stands for t, so at the levels (and for a process in continuous time) this
    is `Eps`. Between them the released DDPM models are read so; Ho et al. 2020 have no such times.
    """

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """eps = output sigma(t) / sigma(t_i), and its x0 by (1)."""
        ratio = expand(sde.sigma(t) / sde.level_sigma(t), x)
        return Eps().prediction(sde, x, t, ratio * output)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """eps sigma(t_i) / sigma(t)."""
        return expand(sde.level_sigma(t) / sde.sigma(t), prediction.eps) * prediction.eps


@dataclasses.dataclass(frozen=True)
class ScaledScore(Parametrization):
    """The network outputs sigma times the score: it is divided by sigma outside.

    Technique 3 of Song and Ermon 2020 (arXiv 2006.09011); the released NCSN++ models that are told
    a level's index, and so cannot divide by sigma inside. They divide by the sigma of that level.
    """

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """eps = -output (of a discrete level: see LevelEps), x0 = (x - sigma eps) / alpha."""
        return LevelEps().prediction(sde, x, t, -output)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """-eps."""
        return -LevelEps().output(sde, t, prediction)


@dataclasses.dataclass(frozen=True)
class V(Parametrization):
    """The network outputs v = alpha eps - sigma x0 (Salimans and Ho 2022, arXiv 2202.00512)."""

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """Solves (1) and (4) for x0 and eps."""
        alpha, sigma = _levels(sde, t, x)
        norm = alpha**2 + sigma**2
        return Prediction((alpha * x - sigma * output) / norm, (sigma * x + alpha * output) / norm)

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """alpha eps - sigma x0."""
        return prediction.v(sde, t)


@dataclasses.dataclass(frozen=True)
class Velocity(Parametrization):
    """The network outputs the velocity alpha' x0 + sigma' eps (Lipman et al. 2022, 2210.02747)."""

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """Solves (1) and (3) for x0 and eps."""
        alpha, sigma = _levels(sde, t, x)
        alpha_dot, sigma_dot = expand(sde.alpha_dot(t), x), expand(sde.sigma_dot(t), x)
        determinant = alpha * sigma_dot - sigma * alpha_dot
        return Prediction(
            (sigma_dot * x - sigma * output) / determinant,
            (alpha * output - alpha_dot * x) / determinant,
        )

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """alpha' x0 + sigma' eps."""
        return prediction.velocity(sde, t)


@dataclasses.dataclass(frozen=True)
class EDMPreconditioning(Parametrization):
    """D = c_skip x + c_out F(c_in x) (Karras et al. 2022, arXiv 2206.00364, equation 7, Table 1).

    Written for any alpha: Karras's x and sigma are x / alpha and sigma / alpha here. With
    v = sigma^2 + alpha^2 sigma_data^2, the variance of x_t, the division by alpha drops out.

    Attributes:
        sigma_data: standard deviation of the data.
    """

    sigma_data: float = 0.5

    def _variance(self, sde: SDE, t: jax.Array) -> jax.Array:
        return sde.sigma(t) ** 2 + (sde.alpha(t) * self.sigma_data) ** 2

    def input_scale(self, sde: SDE, t: jax.Array) -> jax.Array:
        """c_in / alpha = 1 / sqrt(v)."""
        return 1 / jnp.sqrt(self._variance(sde, t))

    def prediction(self, sde: SDE, x: jax.Array, t: jax.Array, output: jax.Array) -> Prediction:
        """x0 = (alpha sigma_d^2 / v) x + (sigma sigma_d / sqrt v) F, and its eps by (1)."""
        alpha, sigma = _levels(sde, t, x)
        v = expand(self._variance(sde, t), x)
        scaled = self.sigma_data * output / jnp.sqrt(v)
        return Prediction(
            alpha * self.sigma_data**2 / v * x + sigma * scaled, sigma / v * x - alpha * scaled
        )

    def output(self, sde: SDE, t: jax.Array, prediction: Prediction) -> jax.Array:
        """F = (sigma x0 - alpha sigma_d^2 eps) / (sigma_d sqrt v)."""
        alpha, sigma = _levels(sde, t, prediction.x0)
        v = expand(self._variance(sde, t), prediction.x0)
        numerator = sigma * prediction.x0 - alpha * self.sigma_data**2 * prediction.eps
        return numerator / (self.sigma_data * jnp.sqrt(v))


PARAMETRIZATIONS: dict[str, Callable[..., Parametrization]] = {
    "eps": Eps,
    "level_eps": LevelEps,
    "x0": X0,
    "score": Score,
    "scaled_score": ScaledScore,
    "v": V,
    "velocity": Velocity,
    "edm": EDMPreconditioning,
}


@dataclasses.dataclass(frozen=True, eq=False)
class OfNetwork:
    """The denoiser of a network; see `from_network`."""

    TAKES_NULLS: ClassVar[bool] = True

    network: Callable[[jax.Array, jax.Array, Any], jax.Array]
    sde: SDE
    parametrization: Parametrization
    noise_label: Callable[[SDE, jax.Array], jax.Array]

    def __call__(self, x: jax.Array, t: jax.Array, cond: Any = None) -> Prediction:
        """See Denoiser."""
        return self._read(x, t, cond)[0]

    def with_variance(
        self, x: jax.Array, t: jax.Array, cond: Any = None
    ) -> tuple[Prediction, jax.Array]:
        """See the function of this name."""
        prediction, rest = self._read(x, t, cond)
        if rest.shape != x.shape:
            raise UserError(
                f"the network has {x.shape[-1] + rest.shape[-1]} output channels: a learned "
                f"variance takes {2 * x.shape[-1]}, as config.objective.denoising.learned_variance "
                "gives it"
            )
        return prediction, (rest + 1) / 2

    def _read(self, x: jax.Array, t: jax.Array, cond: Any) -> tuple[Prediction, jax.Array]:
        """The prediction by the first channels of the output, as many as x has, and the others."""
        t = jnp.broadcast_to(jnp.asarray(t, x.dtype), x.shape[:1])
        scale = expand(self.parametrization.input_scale(self.sde, t), x)
        output = self.network(scale * x, self.noise_label(self.sde, t), cond)
        output, rest = jnp.split(output, x.shape[-1:], axis=-1)
        return self.parametrization.prediction(self.sde, x, t, output), rest


def from_network(
    network: Callable[[jax.Array, jax.Array, Any], jax.Array],
    sde: SDE,
    parametrization: Parametrization,
    noise_label: Callable[[SDE, jax.Array], jax.Array],
) -> Denoiser:
    """The denoiser of a network.

    Args:
        network: maps a state [batch, *data], noise labels [batch] and a condition (or None) to an
            output [batch, *data]. More channels than data have are no part of the prediction: see
            `with_variance`.
        sde: the forward process that it was trained on.
        parametrization: what its output means.
        noise_label: how it is told the time; one of noise_labels.NOISE_LABELS.

    Returns:
        denoise(x, t, cond=None) -> Prediction.
    """
    return OfNetwork(network, sde, parametrization, noise_label)


@dataclasses.dataclass(frozen=True)
class PredictionOptions:
    """What a network outputs and how it is told the time: part of the section `model` of a config.

    Attributes:
        parametrization: what its output means, a name in PARAMETRIZATIONS.
        noise_label: how it is told the time, a name in noise_labels.NOISE_LABELS.
        sigma_data: standard deviation of the data, for the parametrization and the weighting edm.

    Raises:
        ValueError: there is no such name, or sigma_data is not above 0.
    """

    parametrization: Annotated[str, one_of(PARAMETRIZATIONS)] = "eps"
    noise_label: Annotated[str, one_of(NOISE_LABELS)] = "time"
    sigma_data: Positive = 0.5

    def __post_init__(self) -> None:
        sections.check(self, "config.model.")

    def denoiser(self, sde: SDE) -> Callable[[Callable[..., jax.Array]], Denoiser]:
        """From a network to its denoiser, for a process `sde`; see `from_network`.

        Raises:
            ValueError: the noise label is not of such a process, or the output cannot say what the
                data are where it has no signal left.
        """
        label = self.label(sde)
        own = (self.sigma_data,) if self.parametrization == "edm" else ()
        parametrization = PARAMETRIZATIONS[self.parametrization](*own)
        if not sde.alpha(np.asarray(sde.t_max)):
            one, end = jnp.ones((1, 1)), jnp.full(1, sde.t_max)
            read = parametrization.prediction(sde, one, end, one)
            self._check_end("parametrization", "v", read, sde)
        return lambda network: from_network(network, sde, parametrization, label)

    def label(self, process: Process) -> Callable[[Any, jax.Array], jax.Array]:
        """How a network is told the time, one of noise_labels.NOISE_LABELS, of any process.

        Raises:
            ValueError: the noise label is not of such a process, or not finite where it has no
                signal left.
        """
        found: Callable[[Any, jax.Array], jax.Array] = NOISE_LABELS[self.noise_label]
        try:
            check_levels(self.noise_label, process)
        except ValueError as error:
            raise ValueError(f"config.model.{error}") from error
        if not process.alpha(np.asarray(process.t_max)):
            told = found(process, jnp.full(1, process.t_max))
            self._check_end("noise_label", "time", told, process)
        return found

    def _check_end(self, name: str, other: str, found: Any, process: Process) -> None:
        """Raise ValueError if what an option gives at the end of a process is not finite."""
        if not all(jnp.isfinite(part).all() for part in jax.tree.leaves(found)):
            raise ValueError(
                f"config.model.{name}={getattr(self, name)} means nothing where no signal is left, "
                f"as at the end of {process}: use {other}, or another"
            )
