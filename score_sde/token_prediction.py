r"""Which tokens stand where masks are: what a model of tokens predicts.

Beside `denoise` for states of numbers there is one more function type, for processes.Masked,

    predict(tokens, t, cond=None) -> log p(x_0^i = v | tokens) of each place i and token v.   (1)

Where a token is no mask it is known, so p is 1 of that one and 0 of all others; and nothing is
given to the mask, which is none of the V tokens ("substitution", Sahoo et al. 2024, arXiv
2406.07524, Section 3.2.3). `t` is for networks that want to be told it: given the tokens, p does
not depend on it (Zheng et al. 2024, arXiv 2409.02908; Ou et al. 2024, arXiv 2406.03736).

What is made of two predictions, (1 - w) log p_0 + w log p_1 of guidance for example, need not be
normalised: samplers do that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp

from score_sde.processes import MASK, Masked

# log 0, with which one can still compute: (1 - w) NEVER + w NEVER is no NaN.
NEVER = -1e9


class TokenPredictor(Protocol):
    """What every algorithm of tokens takes; for TAKES_NULLS see prediction.Denoiser."""

    def __call__(
        self, tokens: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> jax.Array:
        """Equation (1): int [batch, length] and t [batch] (or []) to [batch, length, V]."""


def substituted(log_probs: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log-probabilities, [batch, length, V], with those of tokens that are known in their place.

    Args:
        log_probs: of each place and token.
        tokens: int [batch, length]; MASK where the token is not known.
    """
    known = jax.nn.one_hot(tokens, log_probs.shape[-1], dtype=bool)
    sure = jnp.where(known, 0, NEVER).astype(log_probs.dtype)
    return jnp.where((tokens == MASK)[..., None], log_probs, sure)


@dataclasses.dataclass(frozen=True, eq=False)
class OfNetwork:
    """The predictor of a network: equation (1) of its logits.

    Attributes:
        network: maps tokens, int [batch, length], noise labels [batch] and conditions (or None) to
            logits [batch, length, V].
        process: the forward process.
        noise_label: how it is told the time; one of noise_labels.NOISE_LABELS.
    """

    TAKES_NULLS: ClassVar[bool] = True

    network: Callable[[jax.Array, jax.Array, Any], jax.Array]
    process: Masked
    noise_label: Callable[[Masked, jax.Array], jax.Array]

    def __call__(self, tokens: jax.Array, t: jax.Array, cond: Any = None) -> jax.Array:
        """See TokenPredictor."""
        t = jnp.broadcast_to(jnp.asarray(t, jnp.result_type(float)), tokens.shape[:1])
        logits = self.network(tokens, self.noise_label(self.process, t), cond)
        return substituted(jax.nn.log_softmax(logits), tokens)
