"""Where jobs run: in this machine's processes, or on a cluster through submitit."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from score_sde.errors import UserError, first_line
from score_sde.locks import Busy
from score_sde.sweep.job import Job, JobFailed, execute


class Running(Protocol):
    """A job that was started."""

    def done(self) -> bool:
        """Whether it has ended."""

    def result(self) -> None:
        """Nothing, or what it raised."""


class Launcher(Protocol):
    """Starts jobs.

    Attributes:
        slots: how many at a time.
    """

    slots: int

    def start(self, job: Job) -> Running:
        """Start one."""

    def stop(self) -> None:
        """Ask those that run to stop, and wait for them if they are ours."""


class Local:
    """Runs jobs here. Each waits in a thread for the programs that do the work.

    Args:
        slots: how many at a time.
    """

    def __init__(self, slots: int):
        self.slots = slots
        self._threads = ThreadPoolExecutor(slots)
        self._processes: set[subprocess.Popen] = set()
        self._stopping = False
        self._starting = threading.Lock()  # so that none is started behind the back of stop()

    def start(self, job: Job) -> Future:
        """Start one."""
        return self._threads.submit(execute, job, self._popen, lambda: self._stopping)

    def stop(self) -> None:
        """Ask the programs to save and end, as a cluster does, and wait for them."""
        with self._starting:
            self._stopping = True
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        self._threads.shutdown()

    def _popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen:
        with self._starting:
            if self._stopping:
                raise KeyboardInterrupt
            # In a group of its own: Ctrl-C would reach it from the terminal, and SIGTERM from us.
            process = subprocess.Popen(*args, **kwargs, process_group=0)
            self._processes.add(process)
            return process


@dataclasses.dataclass(frozen=True)
class _Work:
    """`execute`, as submitit wants it: a job that reaches its time limit is queued again.

    What it raises for a reason comes back as a value: of an exception submitit keeps but the text.
    """

    def __call__(self, job: Job) -> Exception | None:
        try:
            execute(job, _deaf)
        except (Busy, JobFailed, UserError) as error:
            return error

    def checkpoint(self, job: Job) -> Any:
        import submitit

        return submitit.helpers.DelayedSubmission(self, job)


def _deaf(*args: Any, **kwargs: Any) -> subprocess.Popen:
    """Start a program that no SIGUSR2 reaches.

    Slurm sends it to every process of a job before its time limit, as submitit asks; submitit then
    has the job queued again, and the program is ended by SIGTERM, on which it can save its work.
    The program has it blocked from us: no code runs between fork and exec, which is not safe where
    there are threads.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        return subprocess.Popen(*args, **kwargs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclasses.dataclass(frozen=True)
class _Submitted:
    """A job that was submitted.

    Attributes:
        job: submitit's.
    """

    job: Any

    def done(self) -> bool:
        return self.job.done()

    def result(self) -> None:
        if error := self.job.result():
            raise error


class Cluster:
    """Runs jobs through a submitit executor. They go on without the sweep that submitted them.

    A sweep that is started again submits them again; of two that meet, one finds the lock taken or
    the work done, and ends.

    Args:
        executor: submitit's.
        slots: how many to submit at a time.
    """

    def __init__(self, executor: Any, slots: int):
        self._executor, self.slots = executor, slots

    def start(self, job: Job) -> Running:
        """Submit one.

        Raises:
            UserError: Slurm does not take it: there is no such partition, for example.
        """
        try:
            return _Submitted(self._executor.submit(_Work(), job))
        except (RuntimeError, OSError) as error:  # submitit's own are RuntimeErrors
            reason = " ".join(str(error).split())
            raise UserError(f"--launcher=slurm: a job cannot be submitted: {reason}") from error

    def stop(self) -> None:
        """Leave them to the cluster."""
        print("jobs that were submitted go on; scancel ends them", file=sys.stderr)


def slurm(folder: Path, options: Mapping[str, str], slots: int) -> Cluster:
    """A launcher on Slurm.

    Args:
        folder: for submitit's logs.
        options: parameters of submitit.SlurmExecutor: partition, time (minutes), gres, ...
        slots: how many jobs to submit at a time.

    Raises:
        UserError: submitit or Slurm is missing, or it has no such parameter.
    """
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            '--launcher=slurm needs submitit: pip install -e ".[slurm]", or leave it out'
        ) from error
    values = {name: int(v) if v.lstrip("-").isdigit() else v for name, v in options.items()}
    try:
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**values)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"--launcher=slurm: {first_line(error)}") from error
    return Cluster(executor, slots)
