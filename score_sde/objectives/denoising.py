"""Denoising score matching: how t is drawn, how it is weighted, what is regressed.

The loss of one example x_0 (Song et al. 2021, arXiv 2011.13456, equation 7) is

    c(t) lambda(t) || q(denoise(x_t, t)) - q(x_0, eps) ||^2,    x_t = alpha x_0 + sigma eps,     (1)

with t from a time distribution (c corrects for one that is used for importance sampling only),
and q the quantity regressed. All quantities are linear in (x_0, eps), so for a given x_t their
errors are multiples of each other; a weighting therefore names the quantity in which its lambda
has the simplest form and stays finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.checks import check_positive
from score_sde.objectives.base import DENOISER, Objective
from score_sde.objectives.times import (
    TIMES,
    TimeDistribution,
    check_t_min,
    draw_times,
    uniform_times,
)
from score_sde.objectives.weightings import QUANTITIES, WEIGHTINGS, Weighting, simple_weighting
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.sections import DERIVED
from score_sde.values import Positive, one_of

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

    Returns:
        [batch]; its mean is the training loss.
    """
    times = uniform_times() if times is None else times
    weighting = simple_weighting() if weighting is None else weighting
    key_t, key_eps = jax.random.split(key)
    t, correction = draw_times(key_t, sde, len(x0), times, stratified)
    t, correction = t.astype(x0.dtype), correction.astype(x0.dtype)
    eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
    x = expand(sde.alpha(t), x0) * x0 + expand(sde.sigma(t), x0) * eps
    quantity = QUANTITIES[weighting.quantity]
    error = quantity(sde, t, denoise(x, t, cond)) - quantity(sde, t, Prediction(x0, eps))
    return correction * weighting.weight(sde, t) * REDUCTIONS[reduction](error**2)


@dataclasses.dataclass(frozen=True)
class Denoising(Objective):
    """Equation (1) of the module, with everything in it chosen by name.

    Attributes:
        weighting: q and lambda, a name in weightings.WEIGHTINGS.
        quantity: what the weighting "uniform" regresses, a name in weightings.QUANTITIES; its own
            choice if None.
        times: distribution of t, a name in times.TIMES.
        time_mean: mean of the distributions log_normal and logit_normal; their own if None.
        time_std: their standard deviation; their own if None.
        t_min: smallest time to train on, for the distributions uniform and importance; the
            process's own if None.
        stratified: spread the times of a batch evenly; see times.draw_times.
        reduction: over the axes of an example, a name in REDUCTIONS.
        sigma_data: standard deviation of the data, of the weighting "edm".

    Raises:
        ValueError: a name is unknown, a value cannot work, or an option is not of what is chosen.
    """

    TRAINS: ClassVar[str] = DENOISER

    weighting: Annotated[str, one_of(WEIGHTINGS)] = "simple"
    quantity: Annotated[str, one_of(QUANTITIES)] | None = None
    times: Annotated[str, one_of(TIMES)] = "uniform"
    time_mean: float | None = None
    time_std: Positive | None = None
    t_min: Positive | None = None
    stratified: bool = False
    reduction: Annotated[str, one_of(REDUCTIONS)] = "mean"
    sigma_data: float = dataclasses.field(default=0.5, metadata=DERIVED)

    def __post_init__(self):
        sections.check(self)
        for option, choice, members in (
            ("quantity", "weighting", ("uniform",)),
            ("time_mean", "times", ("log_normal", "logit_normal")),
            ("time_std", "times", ("log_normal", "logit_normal")),
            ("t_min", "times", ("uniform", "importance")),
        ):
            if getattr(self, option) is not None and getattr(self, choice) not in members:
                raise ValueError(
                    f"{option} is of {choice}={' or '.join(members)}, not of "
                    f"{choice}={getattr(self, choice)}: leave it out, or give None"
                )
        check_positive("sigma_data", self.sigma_data)

    def check(self, process: SDE) -> None:
        """Raise ValueError if the times are not of the process."""
        check_t_min(self.t_min, process)
        if self.times == "discrete" and process.scales is None:
            raise ValueError("times=discrete needs a discrete sequence: use the sde smld or ddpm")
        if self.weighting == "likelihood" and not process.alpha(np.asarray(process.t_max)):
            raise ValueError(
                f"weighting=likelihood is infinite where no signal is left, as at the end of "
                f"{process}: use weighting=uniform with quantity=v"
            )

    def held_out(self) -> Self:
        """Held-out losses are compared over training, so their times are always spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def __call__(
        self,
        key: jax.Array,
        model: Denoiser,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
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
        )

    def _times(self) -> TimeDistribution:
        chosen = {"t_min": self.t_min, "mean": self.time_mean, "std": self.time_std}
        return TIMES[self.times](**{name: v for name, v in chosen.items() if v is not None})

    def _weighting(self) -> Weighting:
        if self.weighting == "edm":
            return WEIGHTINGS["edm"](self.sigma_data)
        if self.quantity is not None:
            return WEIGHTINGS[self.weighting](self.quantity)
        return WEIGHTINGS[self.weighting]()
