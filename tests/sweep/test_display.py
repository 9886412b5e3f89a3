"""What a sweep shows: lines anywhere; on a terminal also a table that is kept up to date."""

import io
import re

from score_sde.sweep.display import Progress, table
from score_sde.sweep.job import Job
from score_sde.sweep.scheduled import Scheduled


class Terminal(io.StringIO):
    def isatty(self):
        return True


def task(tmp_path, name, status, **more):
    return Scheduled(Job(name, f"row {name}", tmp_path, tmp_path, ()), status=status, **more)


def test_the_live_table_has_what_runs_first_and_the_last_line_of_its_log(tmp_path):
    tasks = [
        task(tmp_path, "a", "waiting"),
        task(tmp_path, "b", "failed", detail="exit code 3"),
        task(tmp_path, "c", "done"),
        task(tmp_path, "d", "running", began=100.0),
        task(tmp_path, "e", "elsewhere", detail="process 7 on node1"),
    ]
    (tmp_path / "d.log").write_text("first\nstep 10\rstep 20\n\n")
    assert table(tasks, now=107.0) == [
        "5 jobs: 1 running, 1 elsewhere, 1 failed, 1 waiting, 1 done",
        " ▶ row d  7 s  step 20",
        " … row e  process 7 on node1",
        " ✗ row b  exit code 3",
        " · row a",
    ]


def test_lines_stay_and_the_table_is_drawn_over(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = Progress(terminal)
    running = task(tmp_path, "a", "running")
    progress.show([running])
    assert re.search(r"1 jobs: 1 running\n ▶ row a  \d+ s\n$", terminal.getvalue())
    running.status = "done"
    progress.ended(running, 1, 1)
    progress.close()
    # Two lines up, clear, and then the line that stays.
    assert terminal.getvalue().endswith("\x1b[2A\x1b[Jdone   1/1  row a  0 s\n")


def test_elsewhere_there_are_lines_alone(tmp_path):
    stream = io.StringIO()
    progress = Progress(stream)
    progress.show([task(tmp_path, "a", "running")])
    progress.close()
    assert stream.getvalue() == ""
