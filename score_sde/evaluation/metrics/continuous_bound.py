r"""The variational bound in continuous time: bits/dim of discrete data, by draws of its integral.

Equation (1) of objectives.variational_diffusion (Kingma et al. 2021, arXiv 2107.00630) for each
image, with gamma, on which it does not depend, linear in time. The integral is the mean over N
draws, one in each of N equal parts of the range of log SNR, so that its expectation is the integral
itself: what the diffusion term of `variational_bound` comes to with more and more steps. The
decoder is the mean over as many draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from score_sde import keys, sections
from score_sde.evaluation import per_example
from score_sde.evaluation.metric import DENOISER, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.objectives.noise_schedule import Share
from score_sde.objectives.variational_diffusion import (
    Terms,
    check_ends,
    decoder,
    integrand,
    prior,
)
from score_sde.prediction import Denoiser
from score_sde.spaces import Space
from score_sde.values import Count


@dataclasses.dataclass(frozen=True)
class ContinuousBound(Metric):
    """Options of the estimate.

    Attributes:
        draws: N.
    """

    NEEDS: ClassVar[str] = DENOISER

    draws: Count = 128

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the model is not of discrete data as they are, or not of continuous time.
        """
        if subject.space.values is None:
            raise ValueError(
                "it is of models of discrete data as they are: use bits_per_dim for models of "
                "dequantised data, log_likelihood for continuous data"
            )
        check_ends(subject.sde)
        return lambda: {"continuous_bound": continuous_bound(subject, self.draws)}


def continuous_bound(subject: Subject, draws: int) -> dict[str, Any]:
    """Measure the bound, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        draws: N.

    Returns:
        The entry of evaluation.json: value and standard error over images, to which draws add what
        is theirs, bits/dim; the mean of each term; how they were made.
    """

    def measure(
        denoise: Denoiser, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        x = space.encode(batch[subject.field])
        return _terms(subject, denoise, key, x, subject.told(batch), draws)._asdict()

    protocol = subject.protocol() | subject.data_protocol() | {"draws": draws}
    bits = per_example.of_examples(subject, "continuous_bound", protocol, measure)
    whole = sum(bits[name] for name in Terms._fields)
    error = per_example.standard_error(whole)
    return {
        "value": float(whole.mean()),
        "standard_error": None if error is None else float(error),
        "unit": "bits/dim",
        "examples": len(whole),
        "nfe": draws,
        "terms": {name: float(bits[name].mean()) for name in Terms._fields},
        "protocol": protocol,
    }


def _terms(
    subject: Subject, denoise: Denoiser, key: jax.Array, x: jax.Array, cond: Any, draws: int
) -> Terms:
    """The terms of equation (1) for states x [batch, *data], by a key for each."""
    sde, values = subject.sde, subject.space.values

    def draw(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        place, *noises = (keys.fold_in(keys.fold_in(key, number), part) for part in range(3))
        u = jax.vmap(lambda one: jax.random.uniform(one, (), x.dtype))(place)
        eps, eps_0 = (keys.normal(noise, x.shape, x.dtype) for noise in noises)
        share = Share((number + u) / draws, jnp.ones_like(u))
        terms = integrand(denoise, sde, x, eps, share, cond), decoder(sde, x, eps_0, values)
        return total + jnp.stack(terms), None

    total, _ = jax.lax.scan(draw, jnp.zeros((2, len(x)), x.dtype), jnp.arange(draws))
    return Terms(prior(sde, x), *(total / draws))
