"""What samplers of tokens have in common: masks turn into tokens, in steps of one prediction.

A step predicts all places at once, draws a token for each, and then each sampler says which of them
are kept. What is no mask at the beginning is given, and stays: so infilling is a start.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from score_sde import keys, sections
from score_sde.composite import bound, evaluations
from score_sde.fields import TOKENS
from score_sde.processes import MASK, Masked
from score_sde.samplers.grids import MOST_STEPS
from score_sde.samplers.sample import NOISE, Sampler, Samples
from score_sde.samplers.token_draws import draw
from score_sde.subspace import WHOLE, Support
from score_sde.token_prediction import TokenPredictor
from score_sde.values import NotNegative, Range, between


class TokenState(NamedTuple):
    """Between two steps.

    Attributes:
        x: tokens, int [batch, length], MASK where one is not known yet.
        given: bool [batch, length], those that stay.
        t: the time of each example, [batch].
        nfe: evaluations so far, [].
    """

    x: jax.Array
    given: jax.Array
    t: jax.Array
    nfe: jax.Array


@dataclasses.dataclass(frozen=True)
class TokenSampler(Sampler):
    """Subclasses define `move`.

    Attributes:
        steps: predictions.
        temperature: of the tokens that are drawn; see token_draws.draw.
        top_p: the share of probability that they are drawn from; likewise.
    """

    STATES: ClassVar[str] = TOKENS

    steps: Annotated[int, between(1, MOST_STEPS)] = 64
    temperature: NotNegative = 1.0
    top_p: Annotated[float, Range(0, 1, open_low=True)] = 1.0

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def coupling(self) -> str:
        """Nothing makes a sample depend on the others of its batch."""
        return ""

    def follows_flow(self, sde: Masked) -> bool:
        """See Sampler: all that is random comes after the beginning."""
        return False

    def check(self, sde: Masked) -> None:
        """See Sampler: every process of tokens will do."""

    def pieces(self, sde: Masked) -> int:
        """See Sampler: the steps."""
        return self.steps

    def prior(
        self, key: jax.Array, sde: Masked, shape: tuple[int, ...], dtype: DTypeLike | None = None
    ) -> jax.Array:
        """See Sampler: masks, whatever the dtype of numbers would be."""
        return sde.prior_sample(key, tuple(shape))

    def begin(
        self,
        key: jax.Array,
        sde: Masked,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        support: Support = WHOLE,
    ) -> TokenState:
        """See Sampler; of x_init what is no mask is given."""
        x = super().begin(key, sde, shape=shape, x_init=x_init, support=support)
        t = jnp.full(x.shape[:1], sde.t_max, jnp.result_type(float))
        return TokenState(x, x != MASK, t, jnp.array(0))

    def advance(
        self,
        key: jax.Array,
        state: TokenState,
        denoise: TokenPredictor,
        sde: Masked,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> TokenState:
        """See Sampler."""
        predict, key = bound(denoise, sde), keys.fold_in(key, NOISE)

        def step(i: jax.Array, state: TokenState) -> TokenState:
            key_tokens, key_move = (keys.fold_in(keys.fold_in(key, i), n) for n in (0, 1))
            log_probs = predict(state.x, state.t, cond)
            drawn = draw(key_tokens, log_probs, self.temperature, self.top_p)
            x, t = self.move(key_move, state, log_probs, drawn.astype(state.x.dtype), i, sde)
            x = jnp.where(state.given, state.x, x)
            cost = jnp.asarray(evaluations(predict, state.t[0]), state.nfe.dtype)
            return TokenState(x, state.given, t.astype(state.t.dtype), state.nfe + cost)

        return jax.lax.fori_loop(first, last, step, state)

    def move(
        self,
        key: jax.Array,
        state: TokenState,
        log_probs: jax.Array,
        drawn: jax.Array,
        i: jax.Array,
        process: Masked,
    ) -> tuple[jax.Array, jax.Array]:
        """The tokens and the times after step i.

        Args:
            key: JAX random key, or one for each example, [batch].
            state: before the step.
            log_probs: predicted of it, [batch, length, V].
            drawn: a token of each place, [batch, length]; the own one of what is known.
            i: the step, [], from 0 to steps - 1.
            process: the forward process.
        """
        raise NotImplementedError

    def finish(self, state: TokenState) -> Samples:
        """See Sampler."""
        return Samples(state.x, state.nfe)
