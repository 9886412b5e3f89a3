"""Running what is missing of a study."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from score_sde.locks import Busy, holder
from score_sde.sweep.display import Progress
from score_sde.sweep.job import Job
from score_sde.sweep.launch import Launcher
from score_sde.sweep.plan import Plan
from score_sde.sweep.scheduled import Scheduled

ATTEMPTS = 2  # the second one for what chance broke: a full disk, a lost node
_PAUSE = 0.1  # seconds between two looks at what runs
_PATIENCE = 2.0  # seconds between two looks at a lock of somebody else


def run(plan: Plan, launcher: Launcher, progress: Progress) -> bool:
    """Run what is missing.

    Args:
        plan: the study.
        launcher: where jobs run.
        progress: what shows them.

    Returns:
        Whether every row is done.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; programs that run were asked to stop, as they are for
            whatever else it raises.
    """
    sweep = _Sweep(plan, plan.undone, launcher, progress)
    with _terminated_is_interrupted():
        try:
            while not sweep.over:
                sweep.look()
                time.sleep(_PAUSE)
        except BaseException:  # or nothing would wait for the programs, or look at what they did
            launcher.stop()
            raise
        finally:
            progress.close()
    return all(job.done() for job in plan.evaluations.values())


class _Sweep:
    """The jobs that are left. Each look starts and collects what can be."""

    def __init__(self, plan: Plan, jobs: Sequence[Job], launcher: Launcher, progress: Progress):
        self.tasks = {job.id: Scheduled(job) for job in jobs}
        self.launcher, self.progress = launcher, progress

    @property
    def over(self) -> bool:
        return all(task.over for task in self.tasks.values())

    def look(self) -> None:
        for task in self.tasks.values():
            if task.running is not None and task.running.done():
                self._collect(task)
        for task in self.tasks.values():
            if task.status in ("waiting", "elsewhere") and self._needs_nothing(task):
                self._start(task)
        self.progress.show(list(self.tasks.values()))

    def _needs_nothing(self, task: Scheduled) -> bool:
        """Whether the run that it measures is trained; if that failed, so has this."""
        training = self.tasks.get(task.job.trained.name) if task.job.trained else None
        if training is not None and training.status == "failed":
            self._end(task, "failed", f"its {training.job.name} failed")
        return not task.over and (training is None or training.status == "done")

    def _start(self, task: Scheduled) -> None:
        if sum(t.status == "running" for t in self.tasks.values()) >= self.launcher.slots:
            return
        if task.status == "elsewhere" and time.monotonic() - task.began < _PATIENCE:
            return
        if task.job.done():  # by somebody else, since this sweep began
            self._end(task, "done")
        elif who := holder(task.job.lock):
            self._elsewhere(task, who)
        else:
            task.status, task.began = "running", time.monotonic()
            task.attempts += 1
            self.progress.started(task)
            task.running = self.launcher.start(task.job)

    def _collect(self, task: Scheduled) -> None:
        running, task.running = task.running, None
        task.seconds = time.monotonic() - task.began
        try:
            running.result()
        except Busy as busy:
            task.attempts -= 1
            self._elsewhere(task, str(busy))
        except KeyboardInterrupt:
            raise
        except Exception as error:  # a program's failure, or a cluster's: its row alone fails
            reason = (str(error).strip() or repr(error)).splitlines()[-1]
            if task.attempts < ATTEMPTS:
                task.status, task.detail = "waiting", reason
                self.progress.retried(task)
            else:
                self._end(task, "failed", reason)
        else:
            self._end(task, "done")

    def _elsewhere(self, task: Scheduled, who: str) -> None:
        if task.status != "elsewhere":
            self.progress.waits(task, who)
        task.status, task.detail, task.began = "elsewhere", who, time.monotonic()

    def _end(self, task: Scheduled, status: str, detail: str = "") -> None:
        task.status, task.detail = status, detail
        self.progress.ended(task, sum(t.over for t in self.tasks.values()), len(self.tasks))


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM, which a cluster sends, acts like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
