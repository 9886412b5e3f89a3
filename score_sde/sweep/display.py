"""What a sweep shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from score_sde.sweep.scheduled import Scheduled

_MARKS = {"running": "▶", "elsewhere": "…", "failed": "✗", "waiting": "·", "done": "✓"}
_EVERY = 0.5  # seconds between two pictures of the table


class Progress:
    """Lines for what happens and, on a terminal, a table below them that is kept up to date.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._height = 0  # lines of the table that is on the screen
        self._shown = 0.0

    def started(self, task: Scheduled) -> None:
        """A job was started; on a terminal the table says it."""
        if not self._live:
            self.say(f"start  {task.job.name}  {os.path.relpath(task.job.log)}")

    def retried(self, task: Scheduled) -> None:
        """A job failed and will be tried again."""
        self.say(f"retry  {task.job.name}: {task.detail}")

    def waits(self, task: Scheduled, who: str) -> None:
        """Another process works on a job."""
        self.say(f"wait   {task.job.name}: {who} works on it")

    def ended(self, task: Scheduled, over: int, total: int) -> None:
        """A job is done or has failed."""
        why = f": {task.detail}" if task.detail else f"  {task.seconds:.0f} s"
        self.say(f"{task.status:6} {over}/{total}  {task.job.name}{why}")

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self._erase()
        self._stream.write(line + "\n")
        self._stream.flush()

    def show(self, tasks: Sequence[Scheduled]) -> None:
        """Draw the table anew, if it is time."""
        if not self._live or time.monotonic() - self._shown < _EVERY:
            return
        self._shown = time.monotonic()
        size = shutil.get_terminal_size()
        lines = table(tasks, time.monotonic())[: size.lines - 2]
        self._erase()
        self._stream.write("".join(line[: size.columns - 1] + "\n" for line in lines))
        self._stream.flush()
        self._height = len(lines)

    def close(self) -> None:
        """Leave the terminal with the lines alone."""
        self._erase()
        self._stream.flush()

    def _erase(self) -> None:
        if self._height:
            self._stream.write(f"\x1b[{self._height}A\x1b[J")
            self._height = 0


def table(tasks: Sequence[Scheduled], now: float) -> list[str]:
    """The live table: the counts, then the jobs, those that run first."""
    counts = Counter(task.status for task in tasks)
    head = ", ".join(f"{counts[status]} {status}" for status in _MARKS if counts[status])
    lines = [f"{len(tasks)} jobs: {head}"]
    for status in ("running", "elsewhere", "failed", "waiting"):
        for task in tasks:
            if task.status == status:
                lines.append(f" {_MARKS[status]} {task.job.name}  {_detail(task, now)}".rstrip())
    return lines


def _detail(task: Scheduled, now: float) -> str:
    if task.status != "running":
        return task.detail
    return f"{now - task.began:.0f} s  {_last_line(task.job.log)}"


def _last_line(path: Path) -> str:
    """The last line of a log, of which only the end is read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.split("\r")[-1] for line in reversed(lines) if line.strip()), "")
