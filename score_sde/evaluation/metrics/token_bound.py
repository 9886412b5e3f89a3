r"""The bound on the negative log-likelihood of tokens, by draws of masks: bits a token, and in all.

Equation (2) of objectives.masked (Nie et al. 2025, arXiv 2502.09992) for each example, the mean
over N draws, whose numbers of masks are spread evenly over 1, ..., L: its expectation is the bound
itself. Of texts of a certain length this is what perplexity is made of; of words with their end,
bits a word.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from score_sde import keys, sections
from score_sde.evaluation import per_example
from score_sde.evaluation.metric import TOKEN_PREDICTOR, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.objectives.masked import counted_bound
from score_sde.spaces import Space
from score_sde.token_prediction import TokenPredictor
from score_sde.values import Count


@dataclasses.dataclass(frozen=True)
class TokenBound(Metric):
    """Options of the estimate.

    Attributes:
        draws: N, predictions for each example.
    """

    NEEDS: ClassVar[str] = TOKEN_PREDICTOR

    draws: Count = 16

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric; of every model of tokens."""
        return lambda: token_bound(subject, self.draws)


def token_bound(subject: Subject, draws: int) -> Entries:
    """Measure the bound, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        draws: N.

    Returns:
        Two entries of evaluation.json, "bits_per_token" and "bits_per_example": value and standard
        error over examples, to which draws add what is theirs.
    """

    def measure(
        predict: TokenPredictor, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        x = space.encode(batch[subject.field])
        return {"bits": _bits(subject, predict, key, x, subject.told(batch), draws)}

    protocol = subject.protocol() | subject.data_protocol() | {"draws": draws}
    bits = per_example.of_examples(subject, "token_bound", protocol, measure)["bits"]
    length, error = subject.space.shape[0], per_example.standard_error(bits)
    about = {"examples": len(bits), "nfe": draws, "protocol": protocol}
    return {
        name: {
            "value": float(bits.mean()) / of,
            "standard_error": None if error is None else float(error) / of,
            "unit": unit,
            **about,
        }
        for name, unit, of in (
            ("bits_per_token", "bits/token", length),
            ("bits_per_example", "bits", 1),
        )
    }


def _bits(
    subject: Subject,
    predict: TokenPredictor,
    key: jax.Array,
    x: jax.Array,
    cond: Any,
    draws: int,
) -> jax.Array:
    """The mean of N draws for each of the examples x [batch, L], by a key for each; bits."""
    length, dtype = x.shape[1], jnp.result_type(float)
    offset = keys.uniform(keys.fold_in(key, 0), x.shape[:1], dtype)

    def draw(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        m = 1 + jnp.floor((number + offset) * length / draws).astype(jnp.int32)
        m = jnp.minimum(m, length)  # where rounding goes up
        own = keys.fold_in(key, 1 + number)
        return total + counted_bound(own, predict, subject.sde, x, m, cond), None

    total, _ = jax.lax.scan(draw, jnp.zeros(len(x), dtype), jnp.arange(draws))
    return total / (draws * math.log(2))
