"""The real command, killed, interrupted, and twice at once."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest
from tiny import ALL

pytestmark = pytest.mark.slow


def ended(process):
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def test_a_sweep_that_was_killed_goes_on(tiny):
    """SIGKILL while a row is measured, whose program survives: the next sweep waits for that."""
    tiny.set("hold", "measure-8-9")
    killed = tiny.start()
    tiny.wait("measure-8-9")
    killed.kill()
    assert ended(killed)[0] == -signal.SIGKILL
    assert len(tiny.results) == 1
    again = tiny.start()
    printed = []
    for line in again.stdout:  # until it has found the program that still works
        printed.append(line)
        if line.startswith("wait "):
            break
    assert re.match(r"wait   narrow \| long, seed 0: process \d+ on \S+ works on it", printed[-1])
    tiny.release("measure-8-9")
    code, out = ended(again)
    assert code == 0, "".join(printed) + out
    assert printed[0] == "Tiny: 1 of 4 rows are done\n"
    assert len(tiny.results) == 4
    # Only that row's program was run again; it goes on with what it finds, as main.py does.
    assert sorted(tiny.calls) == sorted([*ALL, "measure-8-9"])
    assert tiny.calls.count("train-8") == tiny.calls.count("measure-8-5") == 1


def test_two_sweeps_at_once_share_the_work(tiny):
    """Neither does what the other one does; both end when all is done."""
    for name in ("train-8", "train-16"):
        tiny.set("hold", name)
    first, second = tiny.start(), tiny.start()
    for name in ("train-8", "train-16"):  # each has one
        tiny.wait(name)
    for name in ("train-8", "train-16"):
        tiny.release(name)
    outcomes = [ended(first), ended(second)]
    assert [code for code, _ in outcomes] == [0, 0], outcomes
    assert sorted(tiny.calls) == sorted(ALL)
    assert any("works on it" in out for _, out in outcomes)
    assert len(tiny.results) == 4


def test_ctrl_c_stops_the_programs_and_the_same_command_goes_on(tiny):
    tiny.set("hold", "train-16")
    sweep = tiny.start()
    tiny.wait("train-16")
    begin = time.monotonic()
    sweep.send_signal(signal.SIGINT)
    code, out = ended(sweep)
    assert code == 130
    assert out.endswith("interrupted; the same command goes on\n")
    assert time.monotonic() - begin < 30
    # The program has ended, so that nobody holds its lock, and it has not failed.
    assert "training of wide | short, seed 0    waiting" in tiny("status")[1]
    tiny.release("train-16")
    assert tiny("run")[0] == 0
    assert tiny.calls == [*ALL[:4], *ALL[3:]]


def test_sigterm_acts_like_ctrl_c(tiny):
    """As a cluster ends a sweep that runs in a job of its own."""
    tiny.set("hold", "train-8")

    def terminate():
        tiny.wait("train-8")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    code, _, err = tiny("run")
    thread.join()
    assert (code, err) == (130, "interrupted; the same command goes on\n")
    assert tiny.calls == ["train-8"]
    assert "training of narrow | short, seed 0  waiting" in tiny("status")[1]


def test_who_stops_reading_stops_the_sweep(tiny):
    """As in `run experiments/NAME | head -2`: it does not end as if all were done."""
    tiny.set("hold", "train-8")
    sweep = tiny.start(stderr=subprocess.PIPE)
    tiny.wait("train-8")
    sweep.stdout.close()
    tiny.release("train-8")
    assert sweep.wait(60) == 130
    assert sweep.stderr.read() == "nobody reads its output: it stops; the same command goes on\n"
    assert len(tiny.results) < 4
    assert tiny("run")[0] == 0
