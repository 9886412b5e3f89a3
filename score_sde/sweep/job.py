"""A job: training a run, or measuring a trained one. What it has done is on disk, and only there.

    runs/ID/             the run's folder, --workdir of its programs
    runs/ID.log          what they printed
    runs/ID.state.json   how far it is: what each program that has succeeded left
    runs/ID.lock         held while it is worked on

A job that measures works in a view of the trained run: a folder with its config.json, the times
that were tuned for it, and a link to its checkpoints. So any number of rows sample one trained
network at the same time, and each keeps its own samples and evaluation.json.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from score_sde import files
from score_sde.evaluation import engine
from score_sde.locks import Lock
from score_sde.runs import tuned
from score_sde.sweep import results
from score_sde.sweep.program import Program

Popen = Callable[..., subprocess.Popen]


class JobFailed(Exception):
    """A program of a job failed; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be done, in plain values that can be sent to another machine.

    Attributes:
        id: its identity.
        name: what people call it.
        runs: the folder of all runs.
        root: where its programs run.
        programs: its programs, with nothing left to fill in.
        trained: the folder of the run that it measures; None if it trains.
        result: the file that it leaves in the end; None if it trains.
        record: what goes into that file beside the evaluation; its "settings" into the state too.
    """

    id: str
    name: str
    runs: Path
    root: Path
    programs: tuple[Program, ...]
    trained: Path | None = None
    result: Path | None = None
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.runs / self.id

    @property
    def lock(self) -> Path:
        """Held while it is worked on."""
        return self.runs / f"{self.id}.lock"

    @property
    def log(self) -> Path:
        """What its programs printed."""
        return self.runs / f"{self.id}.log"

    @property
    def state(self) -> Path:
        """How far it is."""
        return self.runs / f"{self.id}.state.json"

    def done(self) -> bool:
        """Whether there is nothing left to do."""
        if self.result is not None:
            return self.result.exists()
        return len(self.outputs()) == len(self.programs)

    def outputs(self) -> list[dict[str, Any]]:
        """What the programs that have succeeded printed for the evaluation.

        A program whose file has gone since, and those after it, count as not run. So do all, if a
        default was another then: a default is in no identity.
        """
        state = self._state()
        now = self.record.get("settings", {})
        if any(now.get(path, value) != value for path, value in state.get("settings", {}).items()):
            return []
        found = state.get("outputs", [])
        for index, program in enumerate(self.programs[: len(found)]):
            if program.creates and not (self.folder / program.creates).exists():
                return found[:index]
        return found

    def error(self) -> str:
        """Why it failed last; "" if it did not."""
        return self._state().get("error", "")

    def _state(self) -> dict[str, Any]:
        return results.read(self.state, settings=dict, outputs=list, error=str) or {}


def execute(
    job: Job, popen: Popen = subprocess.Popen, stopping: Callable[[], bool] = lambda: False
) -> None:
    """Do what is left of a job.

    Args:
        job: the job.
        popen: starts a program.
        stopping: whether programs are being stopped, so that one which ends has not failed.

    Raises:
        Busy: another process works on it.
        JobFailed: a program failed, or did not do what it should.
        UserError: a file or the file system is in the way.
    """
    with Lock(job.lock) as lock:
        if job.done():
            return
        if job.trained is not None:
            _view(job.trained, job.folder)
        outputs = job.outputs()
        for program in job.programs[len(outputs) :]:
            try:
                outputs.append(_run(job, program, lock, popen))
            except JobFailed as failure:
                if stopping():
                    return
                _note(job, outputs, str(failure))
                raise
            _note(job, outputs)
        if job.result is not None:
            evaluation = engine.read(job.folder / "evaluation.json")
            for output in outputs:
                evaluation |= output
            results.write_json(job.result, {**job.record, "evaluation": evaluation})


def _note(job: Job, outputs: list[dict[str, Any]], error: str = "") -> None:
    """Write down how far a job is."""
    state = {"outputs": outputs, "error": error, "settings": job.record.get("settings", {})}
    results.write_json(job.state, state)


def _run(job: Job, program: Program, lock: Lock, popen: Popen) -> dict[str, Any]:
    """Run a program to its end.

    Returns:
        What it printed for the evaluation.
    """
    with job.log.open("ab") as log:
        start = log.tell()
        argv = (*program.argv, *program.again)
        log.write(f"+ {' '.join(argv)}\n".encode())
        log.flush()
        try:
            process = popen(
                argv,
                cwd=job.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fd,),
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            raise JobFailed(f"{program.argv[0]} cannot be started: {error.strerror}") from error
        lock.note(process.pid)
        code = process.wait()
    with job.log.open("rb") as log:
        log.seek(start)
        printed = log.read().decode(errors="replace")
    if code:
        last = printed.strip().splitlines()[-1]
        raise JobFailed(f"exit code {code}: {last} (see {_short(job.log)})")
    if program.creates and not (job.folder / program.creates).exists():
        # main.py ends with 0 after SIGTERM too, for example.
        raise JobFailed(f"ended without {program.creates} (see {_short(job.log)})")
    try:
        return program.collected(printed)
    except ValueError as error:
        raise JobFailed(f"{error} (see {_short(job.log)})") from error


def _view(trained: Path, folder: Path) -> None:
    """Make a folder that is read like a trained run, but written on its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", tuned.NAME):
        if (trained / name).exists():
            with files.replacing(folder / name) as file:
                file.write((trained / name).read_bytes())
    link, target = folder / "checkpoints", os.path.relpath(trained / "checkpoints", folder)
    linked = link.is_symlink() and os.readlink(link) == target
    if (trained / "checkpoints").exists() and not linked:
        link.unlink(missing_ok=True)  # to a run that another study had, and has no more
        link.symlink_to(target, target_is_directory=True)


def _short(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path)
