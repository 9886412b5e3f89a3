"""The calls of the compiled training step, of several steps each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.training import memory, xla
from score_sde.training.options import TrainingOptions
from score_sde.training.sharding import batch_sharding, to_devices
from score_sde.training.state import TrainState
from score_sde.training.window import Window


class Calls:
    """Takes steps: a call is dispatched while the one before is under way.

    Args:
        steps: jitted, see step.make_train_step.
        fixed: what it is given beside a state, batches and a key, on the devices.
        mesh: the devices.
        options: the section `training`.
        window: takes the metrics of each call.
    """

    def __init__(
        self,
        steps: jax.stages.Wrapped,
        fixed: Any,
        mesh: Mesh,
        options: TrainingOptions,
        window: Window,
    ):
        self._steps, self._fixed, self._mesh, self._options = steps, fixed, mesh, options
        self._window = window
        self._compiled: dict[int, jax.stages.Compiled] = {}  # by the number of steps

    def __call__(
        self, state: TrainState, batches: Sequence[Any], key: jax.Array, say: Callable[[str], None]
    ) -> TrainState:
        """Take a step with each batch.

        Args:
            state: before them; its arrays are given away.
            batches: on the host, those of this process.
            key: of the run's steps.
            say: is told that it compiles, once for each number of steps.

        Raises:
            UserError: a call needs more memory than there is; it is not made.
        """
        self._window.wait()
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        sharding = batch_sharding(self._mesh, leading=1)
        arguments = (state, to_devices(sharding, stacked), self._fixed, key)
        if len(batches) not in self._compiled:
            begin = time.monotonic()
            say("compiling the training step ...")
            lowered = self._steps.lower(*arguments)
            compiled = xla.compiled(lowered, xla.options(xla.STEP, self._mesh))
            memory.check_step(compiled, self._options)
            self._compiled[len(batches)] = compiled
            say(f"compiled in {time.monotonic() - begin:.0f} s")
            self._window.start_clock()
        state, metrics = self._compiled[len(batches)](*arguments)
        self._window.pending.append(metrics)
        return state
