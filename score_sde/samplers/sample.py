"""What every sampler takes and returns, and where it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from score_sde import keys
from score_sde.fields import NUMBERS, TOKENS
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.subspace import WHOLE, Support, support_of

# A sampler's key is folded with one of these first: samplers that share a key share their start.
PRIOR, NOISE = 0, 1

_DTYPES = {NUMBERS: ("a floating", jnp.floating), TOKENS: ("an integer", jnp.integer)}


class Samples(NamedTuple):
    """What a sampler returns.

    Attributes:
        x: samples, [batch, *data].
        nfe: evaluations of a network for each image; an integer array [] under `jax.jit`.
    """

    x: jax.Array
    nfe: int | jax.Array


class Sampler:
    """What every sampler is: a frozen dataclass of options that is called, or advanced in pieces.

        state = sampler.begin(key, sde, shape=shape, support=support_of(denoise, cond))
        state = sampler.advance(key, state, denoise, sde, 0, sampler.pieces(sde), cond)
        out = sampler.finish(state)

    is a call. Between its pieces, of as many steps as one likes, a caller can say how far it is;
    the samples are the same. A state is a pytree of arrays [batch, ...] or []; it may be donated.

    Attributes:
        STATES: what its states are, as of processes.Process.
        JUMPS: whether its denoiser must be a flow map; see score_sde.flow_map.
        NEEDS_VARIANCE: whether it must have learnt a variance; see prediction.with_variance.
    """

    STATES: ClassVar[str] = NUMBERS
    JUMPS: ClassVar[bool] = False
    NEEDS_VARIANCE: ClassVar[bool] = False

    def follows_flow(self, sde: SDE) -> bool:
        """Whether the first state alone gives the sample, in `sde`: no noise is drawn after it."""
        return True

    def __call__(
        self,
        key: jax.Array,
        denoise: Denoiser,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        cond: Any = None,
    ) -> Samples:
        """Sample. Wrap it in `jax.jit` to use it more than once.

        Args:
            key: JAX random key, or one for each example, [batch], of which alone its randomness is
                then a function.
            denoise: (x [batch, *data], t [batch], cond) -> Prediction.
            sde: the forward process that `denoise` belongs to.
            shape: [batch, *data], to draw the first state from the prior; or None.
            x_init: x at the time `begins(sde)`, [batch, *data], possibly sharded; or None.
            cond: handed to `denoise`.

        Returns:
            Samples of the dtype of x_init (of JAX's default float if `shape` is given).

        Raises:
            ValueError: not exactly one of shape and x_init, or the options cannot work for the
                process, as `check_states` and `check` say.
        """
        self.check_states(sde)
        where = support_of(denoise, cond)
        state = self.begin(key, sde, shape=shape, x_init=x_init, support=where)
        return self.finish(self.advance(key, state, denoise, sde, 0, self.pieces(sde), cond))

    def pieces(self, sde: SDE) -> int:
        """How many steps there are from the prior of `sde` on; 1 if it cannot stop between."""
        raise NotImplementedError

    def begins(self, sde: SDE) -> float:
        """The time of the first state: t_max of `sde`, unless a sampler begins below."""
        return sde.t_max

    def later(self, sde: SDE, share: float) -> Self:
        """The same sampler for the last share of its steps, with which it begins.

        It is what draws from data that are noised to the time `begins(sde)` of it.

        Args:
            sde: the forward process.
            share: above 0, at most 1; a part of a step that it ends with is left out.

        Raises:
            ValueError: that is no step, or too few for its order, or this sampler has no steps that
                could be left out.
        """
        raise self._has_no_steps("first")

    def earlier(self, sde: SDE, share: float) -> Self:
        """The same sampler for the first share of its steps: its samples are states with noise.

        Args:
            sde: the forward process.
            share: above 0, at most 1; a part of a step that it begins with is left out.

        Raises:
            ValueError: as for `later`.
        """
        raise self._has_no_steps("last")

    def _has_no_steps(self, which: str) -> ValueError:
        return ValueError(
            f"{type(self).__name__} has no steps of which the {which} could be left out: use a "
            "solver with fixed steps, such as ddim"
        )

    def prior(
        self, key: jax.Array, sde: SDE, shape: tuple[int, ...], dtype: DTypeLike | None = None
    ) -> jax.Array:
        """Draw the first state, [batch, *data].

        The prior stands for x at t_max. Where a sampler begins below, its noise is scaled to that
        of the time.

        Args:
            key: JAX random key, or one for each example, [batch].
            sde: the forward process.
            shape: [batch, *data].
            dtype: of the result; JAX's default float if None.
        """
        x = sde.prior_sample(key, tuple(shape), dtype)
        first, last = (sde.sigma(jnp.asarray(t, x.dtype)) for t in (self.begins(sde), sde.t_max))
        return x * (first / last)

    def begin(
        self,
        key: jax.Array,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        support: Support = WHOLE,
    ) -> Any:
        """The state before step 0; errors as for a call.

        Here x itself, [batch, *data]; a sampler that keeps more adds it.

        Args:
            key: as for a call.
            sde: as for a call.
            shape: as for a call.
            x_init: as for a call.
            support: where the states of the batch lie, onto which the first one is projected.

        Raises:
            ValueError: not exactly one of shape and x_init is given, or it is no batch.
        """
        if (shape is None) == (x_init is None):
            raise ValueError("give exactly one of shape (to draw from the prior) and x_init")
        sizes = np.shape(x_init) if x_init is not None else shape
        whole = isinstance(sizes, Sequence) and all(isinstance(n, int | np.integer) for n in sizes)
        if not whole or not sizes or min(sizes) < 1:
            raise ValueError(
                f"samples are of a shape (batch, *data), whole numbers of at least 1, not {sizes!r}"
            )
        if shape is not None:
            return support.project(self.prior(keys.fold_in(key, PRIOR), sde, shape))
        x_init, (words, wanted) = jnp.asarray(x_init), _DTYPES[self.STATES]
        if not jnp.issubdtype(x_init.dtype, wanted):
            raise ValueError(f"x_init must be of {words} dtype, not {x_init.dtype}")
        return support.project(x_init)

    def advance(
        self,
        key: jax.Array,
        state: Any,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> Any:
        """The state before step `last`, from that before step `first`.

        Args:
            key: the one that was given to `begin`.
            state: what `begin` gave, or `advance` as far as `first`.
            denoise: as for a call.
            sde: as for a call.
            first: the step to begin with, a whole number [].
            last: the step to stop before, at most `pieces`, []. One compiled function serves all
                pieces if both are its arguments; only with numbers known when it is compiled can
                it be differentiated backwards.
            cond: as for a call.
        """
        raise NotImplementedError

    def finish(self, state: Any) -> Samples:
        """The samples, of the state after the last step."""
        raise NotImplementedError

    @property
    def coupling(self) -> str:
        """What makes a sample depend on the others of its batch, in words; "" if nothing does."""
        raise NotImplementedError

    def check_states(self, sde: SDE) -> None:
        """Raise ValueError unless the states of `sde`, a process, are what this sampler draws."""
        if sde.STATES != self.STATES:
            raise ValueError(
                f"the sampler {type(self).__name__} draws {self.STATES}, and the process "
                f"{type(sde).__name__} is of {sde.STATES}"
            )

    def check(self, sde: SDE) -> None:
        """Raise ValueError if these options cannot work for `sde`; nothing is computed."""
        raise NotImplementedError
