r"""Masked diffusion: a weighted cross-entropy that bounds -log p(x_0).

With predict of token_prediction and (1) and (2) of processes.masked, the bound on the negative
log-likelihood of L tokens is (Sahoo et al. 2024, arXiv 2406.07524, equation 10; Shi et al. 2024,
arXiv 2406.04329, equation 4)

    int_0^1 (sigma' / sigma) E [ sum_{i masked in z_t} -log p(x_0^i | z_t) ] dt.              (1)

The integral over t of the probability of m certain masks, sigma^m (1 - sigma)^(L - m), times
sigma' / sigma, is 1 / m over the number of ways to choose them. So the bound is also

    E_m E_{m masks} [ (L / m) sum_{i masked} -log p(x_0^i | z) ],    m uniform in 1, ..., L,  (2)

(Nie et al. 2025, arXiv 2502.09992, equation 6; Ou et al. 2024, arXiv 2406.03736), whatever the
schedule. The number of masks is then no longer random given the weight: its variance is lower. Of
the exact predictor both are -log p(x_0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp

from score_sde import keys, sections
from score_sde.fields import TOKENS, Field
from score_sde.objectives.base import TOKEN_PREDICTOR, Network, Objective
from score_sde.objectives.times import draw_times, uniform_times
from score_sde.prediction import PredictionOptions
from score_sde.processes import MASK, Masked
from score_sde.sections import DERIVED
from score_sde.token_prediction import OfNetwork, TokenPredictor

Cond = Mapping[str, jax.Array] | None


def continuous_bound(
    key: jax.Array,
    predict: TokenPredictor,
    process: Masked,
    x0: jax.Array,
    t: jax.Array,
    cond: Cond,
) -> jax.Array:
    """The integrand of (1), a draw of the masks at time t.

    Args:
        key: JAX random key, or one for each example, [batch].
        predict: the model.
        process: the forward process.
        x0: tokens, int [batch, length].
        t: time, [batch], above 0.
        cond: conditions.

    Returns:
        Nats of all tokens, [batch].
    """
    tokens = process.corrupt(key, x0, t)
    return process.rate(t) * _cross_entropy(predict(tokens, t, cond), tokens, x0)


def counted_bound(
    key: jax.Array,
    predict: TokenPredictor,
    process: Masked,
    x0: jax.Array,
    m: jax.Array,
    cond: Cond,
) -> jax.Array:
    """The inner expectation of (2), a draw of m masks.

    Args:
        key: JAX random key, or one for each example, [batch].
        predict: the model; it is told the time at which the share m / L is masked.
        process: the forward process.
        x0: tokens, int [batch, length].
        m: how many are masked, int [batch], at least 1.
        cond: conditions.

    Returns:
        Nats of all tokens, [batch].
    """
    dtype, length = jnp.result_type(float), x0.shape[1]
    order = jnp.argsort(jnp.argsort(keys.uniform(key, x0.shape, dtype), axis=1), axis=1)
    tokens = jnp.where(order < m[:, None], MASK, x0)
    share = m.astype(dtype) / length
    return _cross_entropy(predict(tokens, process.time(share), cond), tokens, x0) / share


def _cross_entropy(log_probs: jax.Array, tokens: jax.Array, x0: jax.Array) -> jax.Array:
    """-log p of what is masked, [batch]."""
    each = jnp.take_along_axis(log_probs, x0[..., None], axis=-1)[..., 0]
    return -jnp.where(tokens == MASK, each, 0).sum(axis=1)


@dataclasses.dataclass(frozen=True)
class MaskedBound(Objective):
    """A draw of the bound over the number of tokens: nats a token.

    Attributes:
        form: "counted", equation (2) of the module, or "continuous", equation (1), with t uniform.
        stratified: spread the times, or the numbers of masks, of a batch evenly; see
            times.draw_times.
        vocabulary: tokens that there are.
    """

    TRAINS: ClassVar[str] = TOKEN_PREDICTOR
    STATES: ClassVar[str] = TOKENS

    form: Literal["counted", "continuous"] = "counted"
    stratified: bool = True
    vocabulary: int = dataclasses.field(default=0, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)

    # What is not numbers has another kind of process: STATES holds both together.
    def reader(  # type: ignore[override]
        self, predicts: PredictionOptions, process: Masked
    ) -> Callable[[Network], TokenPredictor]:
        """See Objective: logits of tokens, whatever the parametrization."""
        label = predicts.label(process)
        return lambda network: OfNetwork(network, process, label)

    def facts(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The number of tokens, without which no network is for them."""
        return {"vocabulary": self.vocabulary}

    def held_out(self) -> Self:
        """With times, or numbers of masks, that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def __call__(  # type: ignore[override]
        self,
        key: jax.Array,
        model: TokenPredictor,
        process: Masked,
        x0: jax.Array,
        cond: Cond = None,
    ) -> jax.Array:
        """The loss of each example, nats a token, [batch]; see Objective."""
        key_t, key_masks = jax.random.split(key)
        t, _ = draw_times(key_t, process, len(x0), uniform_times(), self.stratified)
        length = x0.shape[1]
        if self.form == "continuous":
            return continuous_bound(key_masks, model, process, x0, t, cond) / length
        m = 1 + jnp.floor(t * length).astype(jnp.int32)  # t is below 1, see draw_times
        return counted_bound(key_masks, model, process, x0, m, cond) / length
