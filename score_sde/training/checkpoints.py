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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from score_sde.training import checkpoint_folder, record
from score_sde.training.failures import (
    CheckpointError,
    DamagedError,
    of_the_machine,
    one_line,
    silence_orbax,
)
from score_sde.training.state import TrainState


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
            max_to_keep=keep_last,
            keep_period=keep_every or None,
            # Where a folder cannot be made, the threads that wait for it would never end.
            async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
        )
        self._open: ocp.CheckpointManager | None = None
        self._saving: int | None = None
        self._failed = False
        silence_orbax()

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._open is None:
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

    def save(self, state: TrainState, data: dict[str, Any], config: dict[str, Any]) -> None:
        """Start to save; it goes on in the background.

        Args:
            state: the training state. Its arrays are copied before this returns.
            data: state of the data iterator, JSON-able.
            config: the config, JSON-able.

        Raises:
            CheckpointError: it cannot be written, or what was being saved before could not be.
        """
        step = int(jax.device_get(state.step))
        self.wait()
        if step == self.latest_step():
            return
        with self._writing(step):
            if not self.folder.parent.is_dir():  # it would come back without the rest of the run
                raise FileNotFoundError(f"{self.folder.parent} is gone")
            self._saving, self._failed = step, False
            items = _items(state)
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
        """Raise CheckpointError if what was being saved could not be; wait for nothing."""
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
        step, found, data = self._read(step, _items(shapes), data=True)
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

    def restore_weights(self, shapes: Any, weights: str, step: int | None = None) -> Any:
        """Read the parameters and constants, and nothing else.

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
        items = {"model": {"params": params, "constants": constants}}
        if weights != "raw":
            items[_ema_item(weights)] = params
        _, found, _ = self._read(step, items)
        return found.get(_ema_item(weights), found["model"]["params"]), found["model"]["constants"]

    def _read(
        self, step: int | None, items: dict[str, Any], data: bool = False
    ) -> tuple[int, dict[str, Any], Any]:
        """The step, the items, and the state of the data iterator if it is asked for."""
        step = self._chosen(step)
        written = self._record(step)
        if written is not None and (other := record.difference(written, items)):
            raise CheckpointError(
                f"checkpoint {step} in {self.folder} does not fit this config: {other}"
            )
        args = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        if data:
            args["data"] = ocp.args.JsonRestore()
        unknown = "" if written else ", or does not fit this config"
        spanning = not all(a.sharding.is_fully_addressable for a in jax.tree.leaves(items))
        with self._reading(step, unknown, together=spanning):
            found = dict(self._manager.restore(step, args=ocp.args.Composite(**args)).items())
        if written is not None:
            arrays = {name: found[name] for name in items}
            reason = record.damage(written, arrays)
            if data and not reason:
                reason = record.data_damage(written, found["data"])
            if reason:
                raise self._damaged(step, reason)
        return step, found, found.pop("data", None)

    def _chosen(self, step: int | None) -> int:
        there = checkpoint_folder.steps(self.folder)
        if not there:
            raise CheckpointError(f"no checkpoint in {self.folder} yet; train on")
        if step is not None and step not in there:
            have = ", ".join(map(str, there))
            raise CheckpointError(f"no checkpoint {step} in {self.folder}; it has {have}")
        return there[-1] if step is None else step

    def _record(self, step: int) -> dict[str, Any] | None:
        """What was written of a checkpoint; None of one that is older than records."""
        if not (self.folder / str(step) / "record").exists():
            if jax.process_index() == 0:
                print(
                    f"warning: checkpoint {step} in {self.folder} was written before checkpoints "
                    "were recorded: it is taken unchecked",
                    file=sys.stderr,
                )
            return None
        with self._reading(step):
            args = ocp.args.Composite(record=ocp.args.JsonRestore())
            written = self._manager.restore(step, args=args)["record"]
        if reason := record.flaw(written, step):
            raise self._damaged(step, reason)
        return written

    @contextlib.contextmanager
    def _reading(self, step: int, unknown: str = "", together: bool = False) -> Iterator[None]:
        """Turn whatever reading a checkpoint raises into an error of one line.

        Args:
            step: of the checkpoint.
            unknown: what else it can mean that it cannot be read.
            together: whether the processes go on only if it raised nothing in any of them.
        """
        failed: Exception | None = None
        try:
            yield
        except Exception as error:  # damaged bytes reach every corner of the libraries that read
            failed = error
        if together and bool(multihost_utils.process_allgather(np.bool_(failed)).any()):
            failed = failed or OSError("another process could not read it")
        if failed is None:
            return
        if of_the_machine(failed):
            raise CheckpointError(
                f"checkpoint {step} in {self.folder} cannot be read: {one_line(failed)}"
            ) from failed
        raise self._damaged(step, f"it cannot be read{unknown} ({one_line(failed)})") from failed

    def _damaged(self, step: int, reason: str) -> DamagedError:
        others = [other for other in checkpoint_folder.steps(self.folder) if other != step]
        before = max([other for other in others if other < step] or others, default=None)
        advice = (
            "There is no other"
            if before is None
            else f"Take another with --step={before} (step={before} in Python), or move it away"
        )
        return DamagedError(
            f"checkpoint {step} in {self.folder} is damaged: {reason}. {advice}", reason
        )

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
            good = self.latest_step()
            last = (
                "There is no good checkpoint yet: the same command begins again"
                if good is None
                else f"Last good checkpoint: {self.folder / str(good)}. The same command goes on "
                "from there"
            )
            what = "checkpoints" if step is None else f"checkpoint {step}"
            raise CheckpointError(
                f"{what} cannot be written to {self.folder}: {one_line(error)}. {last}"
            ) from error


def _items(state: TrainState) -> dict[str, Any]:
    averages = {_ema_item(decay): average for decay, average in state.ema.items()}
    model = {"params": state.params, "constants": state.constants}
    return {"model": model, "optimizer": state.optimizer, **averages}


def _ema_item(decay: str) -> str:
    return f"ema_{decay}"
