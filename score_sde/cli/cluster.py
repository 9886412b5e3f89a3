"""Which processes work together: who leads them, how many there are, and which one this is.

Flags say so, or the variables that launchers set; else JAX asks Slurm, Open MPI, Kubernetes (with
the package `kubernetes`) or a TPU pod.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from absl import flags

from score_sde.errors import UserError

PORT = 55527  # where the first process listens, if nobody says
# Of PyTorch's launcher and of the operators that follow it; of an indexed job of Kubernetes; ours
# is JAX's own name of the address.
_LEADERS = ("JAX_COORDINATOR_ADDRESS", "MASTER_ADDR")
_COUNTS = ("WORLD_SIZE",)
_NUMBERS = ("RANK", "JOB_COMPLETION_INDEX")
# Of PyTorch's launcher, of Slurm and of Open MPI: which process of its host this is, and how many
# there are on so many hosts (1, if there is no variable for it).
_HERE = (
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE", ""),
    ("SLURM_LOCALID", "SLURM_NTASKS", "SLURM_STEP_NUM_NODES"),
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", ""),
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The arguments of jax.distributed.initialize.

    Attributes:
        coordinator_address: host and port of the first process.
        num_processes: how many there are.
        process_id: which one this is, from 0.
    """

    coordinator_address: str
    num_processes: int
    process_id: int

    def __post_init__(self) -> None:
        if self.num_processes < 1 or not 0 <= self.process_id < self.num_processes:
            raise UserError(
                f"process {self.process_id} of {self.num_processes}: they are counted from 0 to "
                f"{self.num_processes - 1}"
            )
        host, _, port = self.coordinator_address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise UserError(
                f"--coordinator={self.coordinator_address}: give the host of the first process and "
                f"a port that is free there, such as {host or self.coordinator_address}:{PORT}"
            )


def define(values: flags.FlagValues) -> None:
    """The flags."""
    flags.DEFINE_string("coordinator", None, "", flag_values=values)
    flags.DEFINE_integer("processes", None, "", flag_values=values)
    flags.DEFINE_integer("process", None, "", flag_values=values)


def read(values: flags.FlagValues, environment: Mapping[str, str]) -> Cluster | None:
    """What the flags say, or else the environment; None if neither does.

    Raises:
        UserError: something is missing or cannot be.
    """
    said = {name: values[name].value for name in ("coordinator", "processes", "process")}
    if all(value is None for value in said.values()):
        return of_environment(environment) if values.distributed else None
    if twice := [name for name in said if values[name].present > 1]:
        raise UserError(f"--{twice[0]} is given twice: processes that differ in it never meet")
    missing = [f"--{name}" for name, value in said.items() if value is None]
    missing += [] if values.distributed else ["--distributed"]
    if missing:
        given = ", ".join(f"--{name}" for name, value in said.items() if value is not None)
        raise UserError(f"{given} needs {', '.join(missing)} too")
    return Cluster(*said.values())


def of_environment(environment: Mapping[str, str]) -> Cluster | None:
    """What the variables of a launcher say; None unless they say all.

    Raises:
        UserError: a number is none.
    """
    leader, count, number = (
        next(((name, environment[name]) for name in names if environment.get(name)), None)
        for names in (_LEADERS, _COUNTS, _NUMBERS)
    )
    if not (leader and count and number):
        return None
    address = leader[1]
    if ":" not in address:
        address = f"{address}:{environment.get('MASTER_PORT') or PORT}"
    return Cluster(address, _number(*count), _number(*number))


def port_of_step(environment: Mapping[str, str]) -> int | None:
    """Where the first process of a step of a Slurm job listens: steps of a job have a port each.

    JAX would derive it from the job alone, so that two steps at the same time could not meet.

    Returns:
        The port; None where JAX decides: elsewhere, or if JAX_COORDINATOR_PORT says it.

    Raises:
        UserError: a number is none.
    """
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID")
    if environment.get("JAX_COORDINATOR_PORT") or not all(map(environment.get, names)):
        return None
    job, step = (_number(name, environment[name]) for name in names)
    # As JAX, of the last 4096; an odd multiple gives as many steps ports that differ, which are
    # not those of the next jobs.
    return 2**16 - 4096 + (job + 61 * step) % 4096


def local_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Which GPUs of its host a process takes, as jax.distributed.initialize is told it.

    One that is alone on its host takes all of them. Under Slurm and Open MPI JAX would give it the
    first only (issue 16788 of JAX): there it expects a process for each GPU.

    Returns:
        No numbers for all of them; None where JAX decides, or its JAX_LOCAL_DEVICE_IDS does.

    Raises:
        UserError: a number is none.
    """
    if environment.get("JAX_LOCAL_DEVICE_IDS"):
        return None
    for own, together, hosts in _HERE:
        if own in environment and together in environment:
            if environment[together] == environment.get(hosts, "1"):
                return []
            return [_number(own, environment[own])]
    return None


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise UserError(f"the variable {name}={text!r} is no number of processes")
    return int(text)
