"""The log-likelihood of continuous data under a model.

log p(example) = log p(x) + log |dx / d example|, with x the state of an example and log p(x) by the
probability-flow ODE (Song et al. 2021, arXiv 2011.13456, Section 4.3; see score_sde.likelihood).
What is reported is its mean over examples, nats. p is the density at t_min, of data with the noise
sigma(t_min) on it.

Of made-up data whose density is known, so are the exact mean over the same examples, and what the
model lacks of it. Minus the mean of that difference is an estimate of KL(data || model), where
nearly all of the noise of the draw of examples cancels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from score_sde import keys
from score_sde.evaluation import per_example
from score_sde.evaluation.likelihood_metric import LikelihoodMetric, check_continuous
from score_sde.evaluation.metric import Entries
from score_sde.evaluation.subject import Subject
from score_sde.prediction import Denoiser
from score_sde.spaces import Space


@dataclasses.dataclass(frozen=True)
class LogLikelihood(LikelihoodMetric):
    """The mean of the module; its options are those of the solver."""

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are discrete, or t_min cannot work.
        """
        check_continuous(subject.space)
        self.process(subject.sde)
        return lambda: {"log_likelihood": log_likelihood(subject, self)}


def log_likelihood(subject: Subject, options: LogLikelihood) -> dict[str, Any]:
    """Measure it, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        options: how.

    Returns:
        The entry of evaluation.json: value and standard error over examples, nats; of data whose
        density is known "exact", its mean, and under "difference" the mean of the model's less the
        exact one with its standard error.

    Raises:
        UserError: the solver gave up, or the run's folder cannot be written.
    """
    process = options.process(subject.sde)

    def measure(
        denoise: Denoiser, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        examples = batch[subject.field]
        x = space.encode(examples, keys.fold_in(key, 0))
        out = options.solve(keys.fold_in(key, 1), denoise, process, x, subject.told(batch))
        volume = space.log_volume(examples)
        return {"logp": out.logp, "log_volume": volume, "nfe": out.nfe_each}

    protocol = options.protocol(subject, process)
    found = per_example.of_examples(subject, "log_likelihood", protocol, measure)
    logp = found["logp"] + found["log_volume"]
    return {
        **_mean(logp),
        "unit": "nats",
        **({"of": subject.space.DENSITY} if subject.space.DENSITY else {}),
        "examples": len(logp),
        **_exact(subject, logp),
        "nfe_mean": float(found["nfe"].mean()),
        "nfe_max": int(found["nfe"].max()),
        "protocol": protocol,
    }


def _mean(values: np.ndarray) -> dict[str, float | None]:
    error = per_example.standard_error(values)
    return {
        "value": float(values.mean()),
        "standard_error": None if error is None else float(error),
    }


def _exact(subject: Subject, logp: np.ndarray) -> dict[str, Any]:
    """What is known of the density of the data; nothing of most."""
    if subject.source.log_density is None:
        return {}
    examples = subject.source.gather(np.arange(subject.number))[subject.field]
    exact = subject.source.log_density(examples)
    return {"exact": float(exact.mean()), "difference": _mean(logp - exact)}
