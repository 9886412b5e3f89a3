"""A job in a sweep that runs."""

from __future__ import annotations

import dataclasses

from score_sde.sweep.job import Job
from score_sde.sweep.launch import Running


@dataclasses.dataclass
class Scheduled:
    """A job in this sweep.

    Attributes:
        job: the job.
        status: waiting, running, elsewhere (another process works on it), done or failed.
        attempts: how often it has been started.
        detail: why it failed, or who works on it.
        seconds: how long its last attempt took.
    """

    job: Job
    status: str = "waiting"
    attempts: int = 0
    detail: str = ""
    seconds: float = 0.0
    running: Running | None = None
    began: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("done", "failed")
