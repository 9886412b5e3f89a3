"""How well a classifier of noisy examples classifies, by noise level.

Each held-out example is noised once at each time, always with the same noise, and classified. The
paper shows the same curve (Song et al. 2021, arXiv 2011.13456, Appendix I.1, Figure 13).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.classifier import Classifier
from score_sde.evaluation import per_example
from score_sde.evaluation.metric import CLASSIFIER, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.processes import SDE, expand
from score_sde.spaces import Space
from score_sde.values import between

COLUMNS = ("t", "noise", "accuracy", "cross_entropy", "standard_error")


@dataclasses.dataclass(frozen=True)
class Accuracy(Metric):
    """The curve of the module.

    Attributes:
        points: times, evenly spaced over [t_min, t_max].
    """

    NEEDS: ClassVar[str] = CLASSIFIER

    points: Annotated[int, between(2, 10_000)] = 11

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric; nothing can be missing."""
        return lambda: {"accuracy": accuracy(subject, self)}


def accuracy(subject: Subject, options: Accuracy) -> dict[str, Any]:
    """Measure the curve, or go on with a measurement that was interrupted.

    Args:
        subject: the classifier and the data.
        options: how.

    Returns:
        The entry of evaluation.json: "value" is the accuracy at t_min, with its standard error over
        examples; the curve is under "curve", in columns: t, the noise sigma / alpha, the accuracy,
        the cross-entropy in nats, and the standard error of the accuracy.
    """
    sde = subject.sde
    times = np.linspace(sde.t_min, sde.t_max, options.points)

    def measure(
        classifier: Classifier, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        x0 = space.encode(batch[subject.field], keys.fold_in(key, 0))  # as in training
        return judged(keys.fold_in(key, 1), classifier, sde, x0, batch[subject.label], times)

    protocol = subject.protocol() | subject.data_protocol() | dataclasses.asdict(options)
    protocol["label"] = subject.label
    found = per_example.of_examples(subject, "accuracy", protocol, measure)
    shares = found["correct"].mean(axis=0).tolist()
    errors = per_example.standard_error(found["correct"])
    errors = [None] * len(times) if errors is None else errors.tolist()
    with np.errstate(divide="ignore"):
        noise = (sde.sigma(times) / sde.alpha(times)).tolist()
    if not math.isfinite(noise[-1]):
        noise[-1] = None  # no signal is left, for which JSON has no number
    columns = [times.tolist(), noise, shares, found["nats"].mean(axis=0).tolist(), errors]
    return {
        "value": shares[0],
        "standard_error": errors[0],
        "examples": len(found["correct"]),
        "curve": dict(zip(COLUMNS, columns, strict=True)),
        "protocol": protocol,
    }


def judged(
    key: jax.Array,
    classifier: Classifier,
    sde: SDE,
    x0: jax.Array,
    label: jax.Array,
    times: np.ndarray,
) -> dict[str, jax.Array]:
    """Whether examples are classified rightly at each time, one draw of noise each.

    Args:
        key: JAX random keys, one for each example, [batch].
        classifier: of states at any time.
        sde: the forward process.
        x0: data, [batch, *data].
        label: classes, int [batch].
        times: [n].

    Returns:
        "correct", whether the most probable class is the label, 0 or 1, and "nats", -log p(label |
        x_t); both [batch, n].
    """

    def at(number: jax.Array, t: jax.Array) -> dict[str, jax.Array]:
        t = jnp.full(len(x0), t)
        mean, std = sde.marginal(x0, t)
        noise = keys.normal(keys.fold_in(key, number), x0.shape, x0.dtype)
        log_probs = classifier.log_probs(mean + expand(std, x0) * noise, t)
        chosen = jnp.take_along_axis(log_probs, label[:, None], axis=1)[:, 0]
        return {"correct": (log_probs.argmax(axis=1) == label).astype(int), "nats": -chosen}

    inputs = jnp.arange(len(times)), jnp.asarray(times, x0.dtype)
    by_time = jax.lax.map(lambda pair: at(*pair), inputs)
    return {name: values.T for name, values in by_time.items()}
