"""Programs of this package look for no garbage in what they import; others are left alone."""

import subprocess
import sys

import pytest
from program import ROOT, environment

# Stands in for JAX, which takes a second to import.
JAX = "import gc; print(gc.isenabled()); raise ImportError"
CODE = """
import gc, sys
sys.argv[0], before = PROGRAM, gc.get_freeze_count()
try:
    import score_sde
except ImportError:
    print(gc.isenabled(), gc.get_freeze_count() > before + 100)


class Cycle:
    def __init__(self):
        self.own = self

    def __del__(self):
        print("looked at")


Cycle()
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [("/usr/bin/score-sde", "False\nTrue True\n"), ("train.py", "True\nTrue False\nlooked at\n")],
)
def test_what_a_program_imports_is_no_garbage(tmp_path, program, said):
    """It is not looked at on the way, nor later; and nothing is, as the process ends."""
    (tmp_path / "jax.py").write_text(JAX)
    env = environment(PYTHONPATH=f"{tmp_path}:{ROOT}")
    words = [sys.executable, "-c", CODE.replace("PROGRAM", repr(program))]
    assert subprocess.run(words, env=env, capture_output=True, text=True).stdout == said
