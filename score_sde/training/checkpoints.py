"""Checkpoints of a run, through Orbax: asynchronous, atomic, sharded.

A checkpoint holds the parameters, the optimiser's state and each moving average as separate items
(so that sampling reads only what it needs), the state of the data iterator and the config. A
checkpoint appears under its final name only when it is complete: a process that is killed while it
writes leaves nothing that could be taken for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from score_sde.errors import UserError
from score_sde.training.state import TrainState


class CheckpointError(UserError):
    """A checkpoint that is missing or does not fit; the message says what to do."""


class Checkpoints:
    """The checkpoints in one folder.

    Args:
        folder: where they lie; made on the first save.
        keep_last: how many of the latest to keep.
        keep_every: also keep those whose step is a multiple of this; 0 for none.
    """

    def __init__(self, folder: Path, keep_last: int = 1, keep_every: int = 0):
        self.folder = Path(folder).resolve()
        self._options = ocp.CheckpointManagerOptions(
            max_to_keep=keep_last, keep_period=keep_every or None
        )
        self._open: ocp.CheckpointManager | None = None

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._open is None:
            self._open = ocp.CheckpointManager(self.folder, options=self._options)
        return self._open

    def latest_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._manager.latest_step() if self.folder.exists() else None

    def save(self, state: TrainState, data: dict[str, Any], config: dict[str, Any]) -> None:
        """Start to save; it goes on in the background.

        Args:
            state: the training state. Its arrays are copied before this returns.
            data: state of the data iterator, JSON-able.
            config: the config, JSON-able.
        """
        step = int(jax.device_get(state.step))
        if step == self._manager.latest_step():
            return
        items = {name: ocp.args.StandardSave(item) for name, item in _items(state).items()}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **items, data=ocp.args.JsonSave(data), config=ocp.args.JsonSave(config)
            ),
        )

    def restore(self, shapes: TrainState, step: int | None = None) -> tuple[TrainState, Any]:
        """Read a whole training state.

        Args:
            shapes: the state as jax.ShapeDtypeStruct, each with the sharding that it is to have.
            step: which checkpoint; the newest if None.

        Returns:
            The state, and the state of the data iterator.
        """
        items = {name: ocp.args.StandardRestore(item) for name, item in _items(shapes).items()}
        found = self._read(step, data=ocp.args.JsonRestore(), **items)
        at = np.int32(self.latest_step() if step is None else step)
        state = TrainState(
            step=jax.device_put(at, shapes.step.sharding),
            params=found["model"]["params"],
            constants=found["model"]["constants"],
            optimizer=found["optimizer"],
            ema={decay: found[_ema_item(decay)] for decay in shapes.ema},
        )
        return state, found["data"]

    def restore_weights(self, shapes: Any, weights: str, step: int | None = None) -> Any:
        """Read the parameters and constants, and nothing else.

        Args:
            shapes: (parameters, constants) as jax.ShapeDtypeStruct with shardings.
            weights: "raw", or the text of a decay for that moving average.
            step: which checkpoint; the newest if None.

        Returns:
            (parameters, constants).
        """
        params, constants = shapes
        model = {"params": params, "constants": constants}
        items = {"model": ocp.args.StandardRestore(model)}
        if weights != "raw":
            items[_ema_item(weights)] = ocp.args.StandardRestore(params)
        found = self._read(step, **items)
        return found.get(_ema_item(weights), found["model"]["params"]), found["model"]["constants"]

    def wait(self) -> None:
        """Wait until what is being saved has been saved."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait, and release what the manager holds."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _read(self, step: int | None, **items: Any) -> dict[str, Any]:
        step = self.latest_step() if step is None else step
        if step is None or step not in self._manager.all_steps():
            if step is None:
                raise CheckpointError(f"no checkpoint in {self.folder} yet; train on")
            have = ", ".join(map(str, self._manager.all_steps()))
            raise CheckpointError(f"no checkpoint {step} in {self.folder}; it has {have}")
        try:
            found = self._manager.restore(step, args=ocp.args.Composite(**items))
        except (ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise CheckpointError(
                f"checkpoint {step} in {self.folder} does not fit this config: {reason}"
            ) from error
        return dict(found.items())


def _items(state: TrainState) -> dict[str, Any]:
    averages = {_ema_item(decay): average for decay, average in state.ema.items()}
    model = {"params": state.params, "constants": state.constants}
    return {"model": model, "optimizer": state.optimizer, **averages}


def _ema_item(decay: str) -> str:
    return f"ema_{decay}"
