"""Reading one checkpoint: what comes out is what was written, or it is an error of one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from score_sde.training import checkpoint_folder, record
from score_sde.training.failures import CheckpointError, DamagedError, of_the_machine, one_line

# How reading went in a process; of several the largest counts.
_FINE, _DAMAGED, _MACHINE = range(3)


def read(
    manager: ocp.CheckpointManager,
    folder: Path,
    step: int,
    items: dict[str, Any],
    data: bool = False,
) -> tuple[dict[str, Any], Any]:
    """Read items of a checkpoint, and compare them with its record.

    Where arrays are split over processes, all of them call it together, and all raise the same
    kind of error or none.

    Args:
        manager: Orbax's, of the folder.
        folder: of the checkpoints.
        step: of one that is there.
        items: pytrees of jax.ShapeDtypeStruct with shardings, by name.
        data: whether the state of the data iterator is asked for too.

    Returns:
        The items, and the state of the data iterator or None.

    Raises:
        DamagedError: it is not what was written.
        CheckpointError: it is of other arrays, or this machine cannot read it.
    """
    together = _spans_processes(items)
    written = _record(manager, folder, step, together)
    if written is not None and (other := record.difference(written, items)):
        raise CheckpointError(f"checkpoint {step} in {folder} does not fit this config: {other}")
    args = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
    if data:
        args["data"] = ocp.args.JsonRestore()
    unknown = "" if written else ", or does not fit this config"
    with _reading(folder, step, unknown, together):
        _check_regular(folder, step)
        found = dict(manager.restore(step, args=ocp.args.Composite(**args)).items())
        place = found.pop("data", None)
        if written is not None and data and (reason := record.data_damage(written, place)):
            raise _damaged(folder, step, reason)
    if written is not None and (reason := record.damage(written, found)):
        raise _damaged(folder, step, reason)
    return found, place


def _spans_processes(items: dict[str, Any]) -> bool:
    return not all(array.sharding.is_fully_addressable for array in jax.tree.leaves(items))


def _record(
    manager: ocp.CheckpointManager, folder: Path, step: int, together: bool
) -> dict[str, Any] | None:
    """What was written of a checkpoint; None of one that is older than records."""
    there = (folder / str(step) / "record").exists()
    if together:  # what one process sees, the others have to read too
        there = bool(np.any(multihost_utils.process_allgather(np.bool_(there))))
    if not there:
        if jax.process_index() == 0:
            print(
                f"warning: checkpoint {step} in {folder} was written before checkpoints were "
                "recorded: it is taken unchecked",
                file=sys.stderr,
            )
        return None
    with _reading(folder, step, together=together):
        _check_regular(folder, step)
        args = ocp.args.Composite(record=ocp.args.JsonRestore())
        written = manager.restore(step, args=args)["record"]
        if reason := record.flaw(written, step):
            raise _damaged(folder, step, reason)
    return written


def _check_regular(folder: Path, step: int) -> None:
    """Raise DamagedError if the checkpoint holds what would be waited for."""
    if (strange := checkpoint_folder.irregular(folder, step)) is not None:
        raise _damaged(folder, step, f"its {strange} is no regular file")


@contextlib.contextmanager
def _reading(folder: Path, step: int, unknown: str = "", together: bool = False) -> Iterator[None]:
    """Turn whatever reading a checkpoint raises into an error of one line.

    Args:
        folder: of the checkpoints.
        step: of the checkpoint.
        unknown: what else it can mean that it cannot be read.
        together: whether the processes go on only if it raised nothing in any of them.
    """
    failed: Exception | None = None
    try:
        yield
    except Exception as error:  # damaged bytes reach every corner of the libraries that read
        failed = error
    verdict = _FINE if failed is None else _MACHINE if of_the_machine(failed) else _DAMAGED
    if together:  # else one would look for another checkpoint while the others wait for it
        verdict = int(np.max(multihost_utils.process_allgather(np.int32(verdict))))
    if verdict == _FINE:
        return
    if isinstance(failed, DamagedError) and verdict == _DAMAGED:
        raise failed
    said = "another process could not read it" if failed is None else one_line(failed)
    if verdict == _MACHINE:
        raise CheckpointError(f"checkpoint {step} in {folder} cannot be read: {said}") from failed
    raise _damaged(folder, step, f"it cannot be read{unknown} ({said})") from failed


def _damaged(folder: Path, step: int, reason: str) -> DamagedError:
    others = [other for other in checkpoint_folder.steps(folder) if other != step]
    before = max([other for other in others if other < step] or others, default=None)
    advice = (
        "There is no other"
        if before is None
        else f"Take another with --step={before} (step={before} in Python), or move it away"
    )
    return DamagedError(f"checkpoint {step} in {folder} is damaged: {reason}. {advice}", reason)
