"""Ctrl-C and SIGTERM: an import ends without its traceback, a program in order, with one line."""

import signal
import subprocess
import sys

import pytest
from program import ROOT, environment

from score_sde import interrupts, terminal

pytestmark = pytest.mark.slow

# Stands in for JAX, which takes a second to import: Ctrl-C comes in the middle of that.
JAX = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
raise ImportError("it went on")
"""
COMMAND = "import sys; from score_sde.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("argv", "started", "ours"),
    [
        (["-m"], ["python", "-m", "score_sde.sweep", "run"], True),
        (["-m"], ["python", "-umscore_sde.data"], False),  # it ends with a traceback, no more
        (["-m"], ["python", "-mscore_sde"], True),
        (["/usr/bin/score-sde", "--help"], ["python", "/usr/bin/score-sde", "--help"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["-m"], ["python", "-m", "score_sdes"], False),
        ([str(ROOT / "main.py")], ["python", "main.py"], True),
        (["/else/main.py"], ["python", "/else/main.py"], False),
        (["train.py"], ["python", "train.py"], False),
        (["-c"], ["python", "-c", "import score_sde"], False),
        ([], [], False),
    ],
)
def test_a_program_of_this_package_is_known_by_how_python_was_started(argv, started, ours):
    assert interrupts.is_ours(argv, started) == ours


@pytest.mark.parametrize(
    "words",
    [
        *(["main.py"], ["score-sde"], ["-m", "score_sde"], ["-m", "score_sde.report"]),
        *(["-m", "score_sde.sweep"], ["-m", "score_sde.data"], ["-m", "score_sde.interop.export"]),
        ["-m", "score_sde.evaluation.statistics"],
        *(["-m", f"experiments.{name}"] for name in ("exact_solvers", "faults", "throughput")),
        *(["-m", f"experiments.{name}"] for name in ("scaling", "scaling.check")),
    ],
    ids=" ".join,
)
def test_ctrl_c_during_an_import_ends_it_at_once(words, tmp_path):
    """In one line; of what is no program of the package itself, in none."""
    (tmp_path / "jax.py").write_text(JAX)
    (tmp_path / "score-sde").write_text(COMMAND)
    words = [str(tmp_path / "score-sde") if word == "score-sde" else word for word in words]
    done = started(words, tmp_path)
    ours = not words[-1].startswith("experiments.")
    expected = (130, "error: interrupted\n") if ours else (-signal.SIGINT, "")
    assert (done.returncode, done.stderr) == expected


def test_the_signals_of_another_program_are_its_own(tmp_path):
    (tmp_path / "jax.py").write_text(JAX)
    code = """
import signal
signal.signal(signal.SIGINT, lambda *_: print("mine"))
import score_sde
"""
    done = started(["-c", code], tmp_path)
    assert done.stdout == "mine\n"
    assert "it went on" in done.stderr


def started(words, first):
    """What Python says that was started so, and finds modules in the folder `first` first."""
    env = environment() | {"PYTHONPATH": f"{first}:{ROOT}"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


# What it prints, and its exit code, tell how it ended.
STOPS = """
import contextlib, hashlib, os, signal, sys, threading, time
from score_sde import interrupts, terminal
from score_sde.training.signals import StopRequest

interrupts._GRACE = 0.2

def busy():  # one step of Python that no signal ends
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

def trains():
    with StopRequest() as stop:
        while stop.received is None:
            time.sleep(0.01)
        busy()

def imports():  # as some packages do
    while True:
        with contextlib.suppress(BaseException):
            busy()

def saves():  # longer than Python has to come to its next step
    with StopRequest() as stop:
        while stop.received is None:
            time.sleep(0.01)
        time.sleep(0.6)
    print("saved", flush=True)

def later(number):
    for _ in range(2 if sys.argv[1] == "twice" else 1):
        time.sleep(0.3)
        os.kill(os.getpid(), number)

@terminal.program
def main(number, work):
    if work is not imports:
        interrupts.listen()
    threading.Thread(target=later, args=(number,)).start()
    try:
        with interrupts.removing(lambda: print("removed", flush=True)):
            work()
    finally:
        print("in order", flush=True)
    return 0

class Finalised:
    def __del__(self):  # what is raised here Python only prints
        signal.raise_signal(signal.Signals[sys.argv[2]])

def drops():
    Finalised()
    time.sleep(60)

signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in programs of this package
works = {"sleeps": lambda: time.sleep(60), "busy": busy, "trains": trains, "imports": imports,
         "saves": saves, "drops": drops}
os._exit(main(signal.Signals[sys.argv[2]], works[sys.argv[3]]))
"""


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        ("once SIGINT sleeps", "in order|error: interrupted", 130),
        ("once SIGTERM sleeps", "in order|error: stopped by SIGTERM", 143),
        ("once SIGINT imports", "removed|error: interrupted", 130),
        ("once SIGTERM drops", "removed|error: stopped by SIGTERM", 143),
        ("once SIGTERM busy", "removed|error: stopped by SIGTERM", 143),
        (
            "once SIGTERM saves",
            "stopping after this step; the same signal again stops at once|saved|in order",
            0,
        ),
        (
            "twice SIGTERM trains",
            "stopping after this step; the same signal again stops at once|removed|"
            "error: stopped by SIGTERM",
            143,
        ),
    ],
)
def test_a_program_that_is_stopped_says_so_in_one_line(words, said, code):
    """What it began is brought in order, or, where Python does not come to it, removed."""
    done = subprocess.run(
        [sys.executable, "-c", STOPS, *words.split()],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert (done.stdout.splitlines(), done.returncode) == (said.split("|"), code)


def test_signals_are_as_before_once_a_program_has_ended():
    """For who called its main function: no thread is left, and no handler."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    hook = sys.unraisablehook

    @terminal.program
    def main():
        interrupts.listen()
        signal.raise_signal(signal.SIGTERM)
        return 0

    assert main() == 143
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert interrupts._listener is None
    assert sys.unraisablehook == hook
    assert signal.set_wakeup_fd(-1) == -1
