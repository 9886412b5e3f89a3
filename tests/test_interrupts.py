"""Ctrl-C while a program is imported ends it, without the traceback of what it was importing."""

import signal
import subprocess
import sys

import pytest
from program import ROOT, environment

from score_sde import interrupts

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
def test_ctrl_c_during_an_import_says_nothing(words, tmp_path):
    (tmp_path / "jax.py").write_text(JAX)
    (tmp_path / "score-sde").write_text(COMMAND)
    words = [str(tmp_path / "score-sde") if word == "score-sde" else word for word in words]
    done = started(words, tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


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
