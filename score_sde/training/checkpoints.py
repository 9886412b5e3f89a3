"""Checkpoints of a run, through Orbax: asynchronous, atomic, sharded, and checked when read.

A checkpoint holds the parameters, the optimiser's state and each moving average as separate items
(so that sampling reads only what it needs), the state of the data iterator, the config, and a
record of what all of that was: the step and digests of every array, see training/digests.py. A
checkpoint appears under its final name only when it is complete: a process that is killed while it
writes leaves nothing that could be taken for one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from score_sde.training import checkpoint_folder, reading, record
from score_sde.training.failures import CheckpointError, DamagedError, silence_orbax, unwritten
from score_sde.training.state import TrainState


class Checkpoints:
    """The checkpoints in one folder.

    Args:
        folder: where they lie; made on the first save.
        keep_last: how many of the latest to keep; None for all.
        keep_every: also keep those whose step is a multiple of this; 0 for none.
    """

    def __init__(self, folder: Path, keep_last: int | None = 1, keep_every: int = 0):
        self.folder = Path(os.path.realpath(folder))  # which a link to itself does not stop
        self._options = ocp.CheckpointManagerOptions(
            max_to_keep=keep_last,
            keep_period=keep_every or None,
            # Where a folder cannot be made, the threads that wait for it would never end.
            async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
        )
        self._open: ocp.CheckpointManager | None = None
        self._prepared = False
        self._saving: int | None = None
        self._failed = False
        silence_orbax()

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._open is None:
            checkpoint_folder.check_metadata(self.folder)
            self._open = ocp.CheckpointManager(self.folder, options=self._options)
        return self._open

    def latest_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return checkpoint_folder.latest(self.folder)

    def prepare(self) -> None:
        """Make the folder; CheckpointError if nothing could be saved in it."""
        with self._writing(None):
            if self.folder.exists() and not self.folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self._prepared = True

    def save(self, state: TrainState, data: dict[str, Any], config: dict[str, Any]) -> None:
        """Start to save; it goes on in the background.

        Args:
            state: the training state. Its arrays are copied before this returns.
            data: state of the data iterator, JSON-able.
            config: the config, JSON-able.

        Raises:
            CheckpointError: it cannot be written, or what was being saved before could not be.
        """
        self._write(int(jax.device_get(state.step)), _items(state), data, config)

    def save_averages(self, state: TrainState, names: Sequence[str]) -> None:
        """Start to save moving averages alone, by their names; otherwise as `save`."""
        items = {_ema_item(name): state.ema[name] for name in names}
        self._write(int(jax.device_get(state.step)), items, {}, {})

    def _write(
        self, step: int, items: dict[str, Any], data: dict[str, Any], config: dict[str, Any]
    ) -> None:
        self.wait()
        if step == self.latest_step():
            return
        with self._writing(step):
            self._check_there()
            self._saving, self._failed = step, False
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    **{name: ocp.args.StandardSave(item) for name, item in items.items()},
                    data=ocp.args.JsonSave(data),
                    config=ocp.args.JsonSave(config),
                    record=ocp.args.JsonSave(record.make(step, items, data)),
                ),
            )

    def check(self) -> None:
        """Raise CheckpointError if what was being saved could not be, or the next cannot be.

        It waits for nothing. What `prepare` has made and somebody has removed is not made again:
        it would come back without the rest of the run.
        """
        if self._prepared:
            with self._writing(None):
                self._check_there()
        if self._open is not None and not self._open.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Wait until what is being saved has been saved.

        Raises:
            CheckpointError: it could not be.
        """
        if self._open is not None:
            with self._writing(self._saving):
                self._open.wait_until_finished()

    def close(self) -> None:
        """Wait, and release what the manager holds; errors as for `wait`, but each only once."""
        manager, self._open = self._open, None
        if manager is not None:
            with contextlib.suppress(Exception) if self._failed else self._writing(self._saving):
                manager.close()

    def restore(self, shapes: TrainState, step: int | None = None) -> tuple[TrainState, Any]:
        """Read a whole training state.

        Args:
            shapes: the state as jax.ShapeDtypeStruct, each with the sharding that it is to have.
            step: which checkpoint; the newest if None.

        Returns:
            The state, and the state of the data iterator.

        Raises:
            DamagedError: it is not what was written.
            CheckpointError: there is none, or it is of another state.
        """
        step = checkpoint_folder.chosen(self.folder, step)
        found, data = reading.read(self._manager, self.folder, step, _items(shapes), data=True)
        state = TrainState(
            step=jax.device_put(np.int32(step), shapes.step.sharding),
            params=found["model"]["params"],
            constants=found["model"]["constants"],
            optimizer=found["optimizer"],
            ema={decay: found[_ema_item(decay)] for decay in shapes.ema},
        )
        return state, data

    def resume(self, shapes: TrainState) -> tuple[TrainState, Any] | None:
        """Read the newest training state that is not damaged, for training to go on from.

        Damaged ones are named on stderr and set aside, under another name, so that training can
        write their steps again.

        Args:
            shapes: as for `restore`.

        Returns:
            As `restore`; None if there is no checkpoint.

        Raises:
            CheckpointError: all are damaged, or the newest that is not is of another state.
        """
        damaged: dict[int, str] = {}
        for step in reversed(checkpoint_folder.steps(self.folder)):
            try:
                found = self.restore(shapes, step)
            except DamagedError as error:
                damaged[step] = error.reason
                continue
            self._set_aside(damaged, step)
            return found
        if damaged:
            each = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged ({each}). "
                "Remove them to begin again, or give another --workdir"
            )
        self._set_aside({}, None)
        return None

    def go_back(self, every: int) -> int:
        """Remove those after the newest that was due, each `every` steps, whose step it returns.

        Or 0, if there is none. All processes call it together; errors as of `remove_after`.
        """
        self.wait()
        last = np.int32(checkpoint_folder.latest_due(self.folder, every) or 0)
        if jax.process_count() > 1:
            last = multihost_utils.broadcast_one_to_all(last)
        self.remove_after(int(last))
        return int(last)

    def remove_after(self, step: int) -> None:
        """Remove those of later steps, which are to be taken again; all processes call it together.

        Raises:
            CheckpointError: what was being saved could not be, or one cannot be removed.
        """
        self.close()  # what it knows of the folder is not true any more
        if jax.process_index() == 0:
            for later in checkpoint_folder.steps(self.folder):
                if later > step:
                    with self._writing(later):
                        checkpoint_folder.remove(self.folder, later)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("later checkpoints were removed")

    def restore_weights(self, shapes: Any, weights: str, step: int | None = None) -> Any:
        """Read the parameters and constants, and nothing else.

        But for the raw parameters of a network with constants, which lie in one item with these.

        Args:
            shapes: (parameters, constants) as jax.ShapeDtypeStruct with shardings.
            weights: "raw", or the text of a decay for that moving average.
            step: which checkpoint; the newest if None.

        Returns:
            (parameters, constants).

        Raises:
            DamagedError: it is not what was written.
            CheckpointError: there is none, or it is of other arrays.
        """
        params, constants = shapes
        average, raw = _ema_item(weights), weights == "raw"
        items = {} if raw else {average: params}
        if raw or constants:
            items["model"] = {"params": params, "constants": constants}
        found = self._read(items, step)
        chosen = found["model"]["params"] if raw else found[average]
        return chosen, found["model"]["constants"] if constants else {}

    def averages(self, step: int, names: Sequence[str], params: Any) -> list[Any]:
        """Read moving averages; errors as for `restore_weights`.

        Args:
            step: which checkpoint.
            names: of the averages; see state.update_ema.
            params: the parameters as jax.ShapeDtypeStruct with shardings.
        """
        found = self._read({_ema_item(name): params for name in names}, step)
        return [found[_ema_item(name)] for name in names]

    def _read(self, items: dict[str, Any], step: int | None) -> dict[str, Any]:
        step = checkpoint_folder.chosen(self.folder, step)
        return reading.read(self._manager, self.folder, step, items)[0]

    def _check_there(self) -> None:
        needed = self.folder if self._prepared else self.folder.parent
        if not needed.is_dir():
            raise FileNotFoundError(f"{needed} is gone")

    def _set_aside(self, damaged: dict[int, str], good: int | None) -> None:
        """Name the damaged checkpoints, and make room for their steps."""
        if jax.process_index() == 0:
            for step, reason in damaged.items():
                with self._writing(step):
                    aside = checkpoint_folder.set_aside(self.folder, step)
                print(
                    f"warning: checkpoint {step} in {self.folder} is damaged: {reason}. It is now "
                    f"{aside.name}, and the run goes on from checkpoint {good}",
                    file=sys.stderr,
                )
            checkpoint_folder.remove_empty(self.folder)
        self.close()  # what it knows of the folder is not true any more
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("damaged checkpoints were set aside")

    @contextlib.contextmanager
    def _writing(self, step: int | None) -> Iterator[None]:
        """Turn whatever writing a checkpoint raises into an error of one line."""
        try:
            yield
        except Exception as error:  # of any thread of Orbax
            self._failed = True
            raise unwritten(self.folder, step, error, good=self.latest_step()) from error


def _items(state: TrainState) -> dict[str, Any]:
    averages = {_ema_item(decay): average for decay, average in state.ema.items()}
    model = {"params": state.params, "constants": state.constants}
    return {"model": model, "optimizer": state.optimizer, **averages}


def _ema_item(decay: str) -> str:
    return f"ema_{decay}"
