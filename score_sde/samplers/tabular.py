"""What the samplers that follow a table share: where they begin, and how far they go."""

from __future__ import annotations

import jax

from score_sde.processes import SDE
from score_sde.samplers.loop import State, before
from score_sde.samplers.sample import Sampler, Samples
from score_sde.samplers.table import Table
from score_sde.subspace import WHOLE, Support


class TabularSampler(Sampler):
    """A sampler that follows the rows of a table; a subclass gives the table and `advance`."""

    def table(self, sde: SDE) -> Table:
        """The table for a process, on the host in float64.

        Raises:
            ValueError: these options cannot work for the process.
        """
        raise NotImplementedError

    def check(self, sde: SDE) -> None:
        """See Sampler: by making the table."""
        self.table(sde)

    def follows_flow(self, sde: SDE) -> bool:
        """See Sampler: by the noise of the rows."""
        return self.table(sde).deterministic

    @property
    def coupling(self) -> str:
        """Nothing makes a sample depend on the others of its batch."""
        return ""

    def pieces(self, sde: SDE) -> int:
        """See Sampler: the rows of the table."""
        return len(self.table(sde).t)

    def begins(self, sde: SDE) -> float:
        """See Sampler: the time of the first row."""
        return self.table(sde).t[0]

    def begin(
        self,
        key: jax.Array,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        support: Support = WHOLE,
    ) -> State:
        """See Sampler; nothing is evaluated yet."""
        start = super().begin(key, sde, shape=shape, x_init=x_init, support=support)
        return before(self.table(sde), start)

    def finish(self, state: State) -> Samples:
        """See Sampler."""
        return Samples(state.states[0], state.nfe)
