"""The held-out loss of a training."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.data import COUNTS, Source, eval_batches
from score_sde.runs.experiment import Experiment, Fixed
from score_sde.runs.streams import Stream
from score_sde.training.sharding import batch_sharding, reader, rounded_up, to_devices
from score_sde.training.state import TrainState
from score_sde.training.step import make_eval_step


class HeldOutLoss:
    """The mean loss over all held-out examples with a moving average, always the same draws.

    Batches are as evaluation has them, rounded up to what the devices divide: where they do not
    divide it, draws are others than on one device.

    Args:
        experiment: what is trained.
        mesh: the devices.
        held_out: the examples.
        fixed: what the loss is given beside the network, on the devices.
    """

    def __init__(self, experiment: Experiment, mesh: Mesh, held_out: Source, fixed: Fixed):
        self._mesh, self._held_out, self._fixed = mesh, held_out, fixed
        self._size = rounded_up(mesh, experiment.evaluation_batch_size)
        self._average = experiment.training.averages[0]
        self._key = Stream.HELD_OUT.key(experiment.seed)
        self._step = jax.jit(make_eval_step(experiment.loss))

    def __call__(self, state: TrainState) -> float:
        """That of a state."""
        sharding, sums = batch_sharding(self._mesh), []
        batches = eval_batches(self._held_out, self._size, *reader(self._mesh))
        for index, batch in enumerate(batches):
            batch = to_devices(sharding, batch)
            mask = batch.pop(COUNTS)
            sums.append(
                self._step(
                    state.ema[self._average],
                    state.constants,
                    self._fixed,
                    batch,
                    mask,
                    jax.random.fold_in(self._key, index),
                )
            )
        total, number = np.sum(jax.device_get(sums), axis=0, dtype=np.float64)
        return float(total / number)
