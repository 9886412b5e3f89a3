r"""Classification of noisy data: the cross-entropy of a time-dependent classifier.

Trained on noisy data by a mixture of cross-entropies over the noise levels (Song et al. 2021, arXiv
2011.13456, Appendix I.1),

    E_t E_(x_0, y) E_eps [ -log p(y | x_t, t) ],    x_t = alpha x_0 + sigma eps.             (1)

Its minimum is the exact posterior, whose gradient guides a score network (score_sde.guidance).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

import jax

from score_sde import sections
from score_sde.checks import present
from score_sde.classifier import Classifier, LogProb
from score_sde.fields import Field
from score_sde.noise_labels import NOISE_LABELS, check_levels
from score_sde.objectives.base import CLASSIFIER, Network, Objective
from score_sde.objectives.times import TimeDistribution, check_t_min, draw_times, uniform_times
from score_sde.prediction import Denoiser
from score_sde.processes import SDE, expand
from score_sde.values import Name, Positive, one_of


def cross_entropy(
    key: jax.Array,
    log_prob: LogProb,
    sde: SDE,
    x0: jax.Array,
    label: jax.Array,
    *,
    times: TimeDistribution,
    stratified: bool = False,
) -> jax.Array:
    """The loss of each example, equation (1).

    Args:
        key: JAX random key, for t and eps.
        log_prob: the classifier to train.
        sde: the forward process.
        x0: data, [batch, *data].
        label: classes, int [batch].
        times: distribution of t.
        stratified: see times.draw_times.

    Returns:
        Nats, [batch]; its mean is the training loss.
    """
    key_t, key_eps = jax.random.split(key)
    t, correction = draw_times(key_t, sde, len(x0), times, stratified)
    t, correction = t.astype(x0.dtype), correction.astype(x0.dtype)
    mean, std = sde.marginal(x0, t)
    x = mean + expand(std, x0) * jax.random.normal(key_eps, x0.shape, x0.dtype)
    return -correction * log_prob(x, t, label)


@dataclasses.dataclass(frozen=True)
class Classification(Objective):
    """Equation (1) of the module, with t uniform.

    Attributes:
        field: of the data set, the label that is predicted.
        t_min: smallest time to train on; the process's own if None.
        stratified: spread the times of a batch evenly; see times.draw_times.
        noise_label: how the network is told the time, a name in noise_labels.NOISE_LABELS: "ratio"
            for wide_resnet, "time" for adm_classifier.
    """

    TRAINS: ClassVar[str] = CLASSIFIER

    field: Name = "label"
    t_min: Positive | None = None
    stratified: bool = False
    noise_label: Annotated[str, one_of(NOISE_LABELS)] = "ratio"

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def answers(self) -> str:
        """The label."""
        return self.field

    @property
    def fields(self) -> tuple[str, ...]:
        """The label."""
        return (self.field,)

    def model(
        self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]
    ) -> Classifier:
        """The classifier of the network."""
        return Classifier(network, process, NOISE_LABELS[self.noise_label])

    def facts(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The number of classes."""
        field = fields[self.field]
        if field.kind != "label":
            raise ValueError(f"the field {field.name!r} is of kind {field.kind}, not label")
        return {"classes": field.values}

    def check(self, process: SDE) -> None:
        """Raise ValueError if t_min is not a time of the process, or it has no levels to tell."""
        check_t_min(self.t_min, process)
        check_levels(self.noise_label, process)

    def held_out(self) -> Self:
        """As for denoising: with times that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def __call__(
        self,
        key: jax.Array,
        model: Classifier,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """The loss of each example, nats, [batch]; see Objective."""
        return cross_entropy(
            key,
            model.log_prob,
            process,
            x0,
            present("cond", cond)[self.field],
            times=uniform_times(self.t_min),
            stratified=self.stratified,
        )
