"""Denoising score matching: how t is drawn, how it is weighted, what is regressed.

The loss of one example x_0 (Song et al. 2021, arXiv 2011.13456, equation 7) is

    c(t) lambda(t) || q(denoise(x_t, t)) - q(x_0, eps) ||^2,    x_t = alpha x_0 + sigma eps,     (1)

with t from a time distribution (c corrects for one that is used for importance sampling only),
and q the quantity regressed. All quantities are linear in (x_0, eps), so for a given x_t their
errors are multiples of each other; a weighting therefore names the quantity in which its lambda
has the simplest form and stays finite.

With a learned uncertainty the gradient is that of e^(-u(t)) times (1) plus u(t); see
objectives.uncertainty. For the likelihood of the probability flow the error of the denoiser's
Jacobian may count too; see objectives.second_order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde import sections
from score_sde.checks import check_positive, present
from score_sde.fields import Field
from score_sde.objectives import multiscale, second_order, variational
from score_sde.objectives.base import DENOISER, Objective
from score_sde.objectives.couplings import Coupling, independent
from score_sde.objectives.times import (
    LARGEST_MODE_SCALE,
    TIMES,
    TimeDistribution,
    check_end,
    check_t_min,
    check_times,
    draw_times,
    shifted_times,
    uniform_times,
)
from score_sde.objectives.uncertainty import Uncertainty, reported, uncertain
from score_sde.objectives.weightings import QUANTITIES, WEIGHTINGS, Weighting, simple_weighting
from score_sde.prediction import Denoiser, Prediction, with_variance
from score_sde.processes import SDE, expand
from score_sde.sections import DERIVED
from score_sde.values import Length, NotNegative, Positive, between, one_of

# (process, t, x, x0, prediction, v) -> what is added to the loss, [batch]; see `variational.bound`.
Bound = Callable[[SDE, jax.Array, jax.Array, jax.Array, Prediction, jax.Array], jax.Array]

REDUCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    # Over the axes of an example: the mean for the paper's VP models, 0.5 * sum for its VE models.
    "mean": lambda squared: jnp.mean(squared.reshape(len(squared), -1), axis=1),
    "half_sum": lambda squared: 0.5 * jnp.sum(squared.reshape(len(squared), -1), axis=1),
}


def denoising_score_matching(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    x0: jax.Array,
    cond: Any = None,
    *,
    times: TimeDistribution | None = None,
    weighting: Weighting | None = None,
    stratified: bool = False,
    reduction: str = "mean",
    couple: Coupling | None = None,
    uncertainty: Callable[[SDE, jax.Array], jax.Array] | None = None,
    bound: Bound | None = None,
    coarse: Sequence[int] = (),
    jacobian: float = 0.0,
) -> jax.Array:
    """The loss of each example, equation (1).

    Args:
        key: JAX random key, for t and eps.
        denoise: the denoiser to train.
        sde: the forward process.
        x0: data, [batch, *data].
        cond: condition passed to denoise, or None.
        times: distribution of t; uniform if None.
        weighting: q and lambda; "simple" if None.
        stratified: see `draw_times`.
        reduction: over the axes of an example; a name in REDUCTIONS.
        couple: draws eps for the data; independent of them if None. See objectives.couplings.
        uncertainty: u of objectives.uncertainty, a function of the process and t; None for none.
        bound: what is added for a learned variance; None for none.
        coarse: the error counts at lower resolutions too, see objectives.multiscale.
        jacobian: weight of the loss of objectives.second_order, beside that of the first; without
            `bound`.

    Returns:
        [batch]; its mean is the training loss. With an uncertainty the value is that without, and
        the gradient that of the loss with it.
    """
    times = uniform_times() if times is None else times
    weighting = simple_weighting() if weighting is None else weighting
    couple = independent() if couple is None else couple
    key_t, key_eps = jax.random.split(key)
    t, correction = draw_times(key_t, sde, len(x0), times, stratified)
    t, correction = t.astype(x0.dtype), correction.astype(x0.dtype)
    x0, eps = couple(key_eps, x0, cond)
    x = expand(sde.alpha(t), x0) * x0 + expand(sde.sigma(t), x0) * eps
    quantity = QUANTITIES[weighting.quantity]
    truth, reduce = Prediction(x0, eps), REDUCTIONS[reduction]
    added: jax.Array | float = 0.0
    more: jax.Array | float = 0.0
    if bound is not None:
        prediction, v = with_variance(denoise, x, t, cond)
        added = bound(sde, t, x, x0, prediction, v)
    elif jacobian:
        key_probe = jax.random.fold_in(key, 2)
        prediction, *along = second_order.evaluated(key_probe, denoise, x, t, cond)
        errors = second_order.errors(sde, t, prediction, truth, *along)
        more = jacobian * reduce(second_order.squares(quantity(sde, t, errors), along[0]))
    else:
        prediction = denoise(x, t, cond)
    error = quantity(sde, t, prediction) - quantity(sde, t, truth)
    found = multiscale.reduced(error, coarse, reduce) + more
    loss = correction * weighting.weight(sde, t) * found
    if uncertainty is not None:
        loss = reported(loss, uncertain(loss, uncertainty(sde, t)))
    return loss + added


class _Of(NamedTuple):
    """Which choices an option belongs to, and what their functions call it."""

    field: str
    members: tuple[str, ...]
    argument: str

    def __str__(self) -> str:
        return f"{self.field}={' or '.join(self.members)}"


_OPTIONS = {
    "quantity": _Of("weighting", ("uniform",), "quantity"),
    "snr_gamma": _Of("weighting", ("min_snr", "soft_min_snr"), "gamma"),
    "p2_gamma": _Of("weighting", ("p2",), "gamma"),
    "p2_k": _Of("weighting", ("p2",), "k"),
    "sigmoid_bias": _Of("weighting", ("sigmoid",), "bias"),
    "time_mean": _Of("times", ("log_normal", "logit_normal"), "mean"),
    "time_std": _Of("times", ("log_normal", "logit_normal"), "std"),
    "time_scale": _Of("times", ("mode",), "scale"),
    "time_temperature": _Of("times", ("sigmoid_log_snr",), "temperature"),
    "t_min": _Of("times", ("uniform", "importance"), "t_min"),
}
# Those whose c(t) is 1 in continuous time.
_SHIFTED = tuple(name for name in TIMES if name not in ("importance", "discrete"))


@dataclasses.dataclass(frozen=True)
class Denoising(Objective):
    """Equation (1) of the module, with everything in it chosen by name.

    Attributes:
        weighting: q and lambda, a name in weightings.WEIGHTINGS.
        quantity: what the weighting "uniform" regresses, a name in weightings.QUANTITIES; its own
            choice if None.
        snr_gamma: of the weightings "min_snr" and "soft_min_snr", their gamma; 5 if None.
        p2_gamma: of the weighting "p2", its power gamma; 1 if None.
        p2_k: of the weighting "p2", its k; 1 if None.
        sigmoid_bias: of the weighting "sigmoid", the log SNR that weighs one half; 2 if None.
        times: distribution of t, a name in times.TIMES.
        time_mean: mean of the distributions log_normal and logit_normal; their own if None.
        time_std: their standard deviation; their own if None.
        time_scale: of the distribution "mode", its s; 1.29 if None.
        time_temperature: of the distribution "sigmoid_log_snr", its tau; 1 if None.
        time_shift: factor on sigma / alpha of the times that are drawn, for the resolution: see
            times.shifted_times; no shift if None.
        t_min: smallest time to train on, for the distributions uniform and importance; the
            process's own if None.
        stratified: spread the times of a batch evenly; see times.draw_times.
        reduction: over the axes of an example, a name in REDUCTIONS.
        multiscale: sides, in pixels, of squares over which the error is averaged and counts once
            more, for large images; see objectives.multiscale.
        second_order: weight of the error of the denoiser's Jacobian, for bits/dim by the
            probability flow: objectives.second_order. It makes a step about twice as long; small
            numbers are meant, for its least value grows with the dimensions of the data.
        uncertainty: learn what loss to expect at each noise level, and divide by it in training;
            what is reported is the loss without. See objectives.uncertainty.
        learned_variance: the network has twice the channels and learns the variance of reverse
            steps too, by vlb_weight times the variational bound (objectives.variational), of all N
            levels in bits/dim (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 16). It is for
            the sde ddpm or smld, with times="discrete"; the sampler improved_ddpm uses it.
        vlb_weight: of that bound; 0.001 if None.
        sigma_data: standard deviation of the data, of the weighting "edm".
        shape: of the data, which multiscale has to divide; None if it is not known.
        values: those that a number of discrete data can have in a state, for the first level of the
            bound of learned_variance, 256 in [-1, 1] if None, as the published code has on latents.

    Raises:
        ValueError: a name is unknown, a value cannot work, or an option is not of what is chosen.
    """

    TRAINS: ClassVar[str] = DENOISER
    IN_NETWORK: ClassVar[str] = "log_variance"

    weighting: Annotated[str, one_of(WEIGHTINGS)] = "simple"
    quantity: Annotated[str, one_of(QUANTITIES)] | None = None
    snr_gamma: Positive | None = None
    p2_gamma: NotNegative | None = None
    p2_k: Positive | None = None
    sigmoid_bias: float | None = None
    times: Annotated[str, one_of(TIMES)] = "uniform"
    time_mean: float | None = None
    time_std: Positive | None = None
    time_scale: Annotated[float, between(-1, LARGEST_MODE_SCALE)] | None = None
    time_temperature: Positive | None = None
    time_shift: Positive | None = None
    t_min: Positive | None = None
    stratified: bool = False
    reduction: Annotated[str, one_of(REDUCTIONS)] = "mean"
    multiscale: Annotated[Sequence[Annotated[int, between(2, 4096)]], Length(0, 8)] = ()
    second_order: NotNegative = 0.0
    uncertainty: bool = False
    learned_variance: bool = False
    vlb_weight: NotNegative | None = None
    sigma_data: float = dataclasses.field(default=0.5, metadata=DERIVED)
    values: tuple[float, ...] | None = dataclasses.field(default=None, metadata=DERIVED)
    shape: tuple[int, ...] | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)
        multiscale.check(self.multiscale, self.shape)
        for option, of in (*_OPTIONS.items(), ("time_shift", _Of("times", _SHIFTED, ""))):
            self._check_of(of.field, of.members, option)
        if self.vlb_weight is not None and not self.learned_variance:
            raise ValueError("vlb_weight is of learned_variance=True: leave it out")
        ends = (-1, 1) if self.values is None else (self.values[0], self.values[-1])
        if self.learned_variance and not np.allclose(ends, (-1, 1)):
            raise ValueError(
                "learned_variance is of data in [-1, 1]: use config.space.pixels.centered=True"
            )
        if self.learned_variance and self.second_order:
            raise ValueError(
                "second_order is for the likelihood of the probability flow, learned_variance for "
                "that of reverse steps: leave one of them out"
            )
        if self.learned_variance and self.times != "discrete":
            raise ValueError(
                f"learned_variance is of times=discrete, the levels of a sequence, not {self.times}"
            )
        check_positive("sigma_data", self.sigma_data)

    def _check_of(self, choice: str, members: tuple[str, ...], *options: str) -> None:
        """Raise ValueError if options are given that are not of what is chosen."""
        for option in options:
            chosen = getattr(self, choice)
            if getattr(self, option) is not None and chosen not in members:
                raise ValueError(
                    f"{option} is of {choice}={' or '.join(members)}, not of {choice}={chosen}: "
                    "leave it out, or give None"
                )

    def check(self, process: SDE) -> None:
        """Raise ValueError if the times are not of the process."""
        check_t_min(self.t_min, process)
        if self.times == "discrete" and process.scales is None:
            raise ValueError("times=discrete needs a discrete sequence: use the sde smld or ddpm")
        if self.times == "importance":
            check_end("the weight of times=importance", process)
        if self.weighting == "likelihood" and not process.alpha(np.asarray(process.t_max)):
            raise ValueError(
                f"weighting=likelihood is infinite where no signal is left, as at the end of "
                f"{process}: use weighting=uniform with quantity=v"
            )
        if self.times != "discrete":
            check_times(self._times(), process)

    def module(self) -> Callable[[nnx.Rngs], Uncertainty] | None:
        """u, if it is asked for."""
        return (lambda rngs: Uncertainty(rngs=rngs)) if self.uncertainty else None

    def facts(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """Whether it learns a variance."""
        return {"learn_variance": True} if self.learned_variance else {}

    def held_out(self) -> Self:
        """Held-out losses are compared over training, so their times are always spread evenly.

        Nor have they the error of the second order, which is noisy, and a choice of training.
        """
        return dataclasses.replace(self, stratified=True, second_order=0.0)

    def __call__(
        self,
        key: jax.Array,
        model: Denoiser,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        own: Uncertainty | None = None,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        return denoising_score_matching(
            key,
            model,
            process,
            x0,
            cond,
            times=self._times(),
            weighting=self._weighting(),
            stratified=self.stratified,
            reduction=self.reduction,
            couple=self.couple(),
            uncertainty=own,
            bound=self._bound if self.learned_variance else None,
            coarse=self.multiscale,
            jacobian=self.second_order,
        )

    def couple(self) -> Coupling:
        """How noise is drawn for the data."""
        return independent()

    def _times(self) -> TimeDistribution:
        chosen = TIMES[self.times](**self._given("times"))
        if self.time_shift is None:
            return chosen
        return shifted_times(chosen, self.time_shift, self.t_min)

    def _weighting(self) -> Weighting:
        given = {"sigma_data": self.sigma_data} if self.weighting == "edm" else {}
        return WEIGHTINGS[self.weighting](**given, **self._given("weighting"))

    def _bound(
        self,
        sde: SDE,
        t: jax.Array,
        x: jax.Array,
        x0: jax.Array,
        prediction: Prediction,
        v: jax.Array,
    ) -> jax.Array:
        weight = 0.001 if self.vlb_weight is None else self.vlb_weight
        levels = 256 if self.values is None else len(self.values)
        term = variational.bound(sde, t, x, x0, prediction, v, data_levels=levels)
        return weight * present("scales", sde.scales) * term

    def _given(self, field: str) -> dict[str, Any]:
        """The options of what a field chooses, as its function takes them; not those left out."""
        found = {of.argument: getattr(self, n) for n, of in _OPTIONS.items() if of.field == field}
        return {argument: value for argument, value in found.items() if value is not None}
