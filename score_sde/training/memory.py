"""Memory: what something needs at least, held against what the machine has, before it is taken.

Before anything is compiled that is an estimate from below: the arrays that there must be, without
activations. So what is refused cannot work. Of a training step the compiler then says how much it
takes, activations and all, before it is run the first time; of other programs nobody asks it, and
they may still run out of memory.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import jax
from jax.sharding import Mesh

from score_sde.errors import UserError
from score_sde.training.options import TrainingOptions

_FLOAT = 4  # bytes
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def of_host() -> int:
    """Bytes of memory that this machine has, or that its container may use."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # of control groups 2 and 1
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
            found.append(int(Path("/sys/fs/cgroup", limit).read_text()))
    return min(found)


def of_devices(count: int | None = None) -> int:
    """Bytes of memory that the devices of this process have together, or so many of them."""
    devices = jax.local_devices()[:count]
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in devices]
    return sum(limits) if all(limits) else of_host()  # a CPU's devices share the host's


def check(what: str, needed: int, there: int, advice: str) -> None:
    """Raise UserError if something needs more memory than there is.

    Args:
        what: needs it, for the message.
        needed: bytes, at least.
        there: bytes that there are.
        advice: what would need less.
    """
    if needed > there:
        raise UserError(
            f"{what} needs at least {in_words(needed)} of memory, and there are "
            f"{in_words(there)}: {advice}"
        )


def check_batch(field: str, size: int, numbers: int) -> None:
    """Raise UserError if a batch of examples does not fit into the devices.

    Args:
        field: of the config that asks for it.
        size: examples, over the devices of all processes.
        numbers: in an example.
    """
    needed = _FLOAT * numbers * size // jax.process_count()
    check(f"{field} (a batch of {size:,})", needed, of_devices(), "give smaller batches")


def check_training(options: TrainingOptions, parameters: int, numbers: int, mesh: Mesh) -> None:
    """Raise UserError if the arrays of training do not fit into the devices.

    Args:
        options: the section `training`.
        parameters: how many the network has.
        numbers: in an example.
        mesh: the devices.
    """
    processes = jax.process_count()
    copies = 4 + len(options.averages)  # parameters, gradient, two moments of Adam, averages
    share = mesh.shape["data"]  # whole copies of the state on all devices
    check(
        f"config.model: training a network of {parameters:,} parameters",
        _FLOAT * copies * parameters * share // processes,
        of_devices(),
        "a smaller network does with less, and so do more devices that share it, "
        "config.training.fsdp",
    )
    batches = options.steps_per_call * options.batch_size  # of one compiled call
    check(
        f"config.training.batch_size={options.batch_size} (in calls of "
        f"{options.steps_per_call} steps)",
        _FLOAT * numbers * batches // processes,
        of_devices(),
        "give smaller batches or a smaller config.training.steps_per_call",
    )


def check_step(step: jax.stages.Compiled, options: TrainingOptions) -> None:
    """Raise UserError if a compiled call of training does not fit into the devices.

    Args:
        step: takes the state and the batches, which are counted, too.
        options: the section `training`.
    """
    needed = of_compiled(step)
    if needed is None:
        return
    check(
        f"config.training.batch_size={options.batch_size}: a step with its activations",
        needed,
        of_devices(),
        "give smaller batches, or more config.training.accumulate, which works them through in "
        "parts, or config.model.remat=True if the network has it",
    )


def of_compiled(function: jax.stages.Compiled) -> int | None:
    """Bytes that a compiled function takes, on the devices of this process: its arguments too.

    None of a kind of device that does not say.
    """
    found = function.memory_analysis()
    if found is None:
        return None
    taken = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return (taken - found.alias_size_in_bytes) * jax.local_device_count()


def in_words(size: int) -> str:
    """A number of bytes as 2.6 TB."""
    power = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    return (
        f"{size / 1000**power:,.{1 if size < 10 * 1000**power else 0}f} {_UNITS[power]}"
        if power
        else f"{size} bytes"
    )
