"""`import score_sde` is quick and brings in nothing that it does not need."""

import subprocess
import sys
import time

HEAVY = ("tensorflow", "tensorflow_datasets", "grain", "orbax", "diffrax", "matplotlib", "sklearn")


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_import_is_light():
    code = f"import sys, score_sde; print([m for m in {HEAVY} if m in sys.modules])"
    assert fresh(code).stdout.strip() == "[]"


def test_import_is_quick():
    """The best of three, since the machine may be busy with something else."""
    fresh("import score_sde")  # compiles the byte code
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        fresh("import score_sde")
        seconds.append(time.monotonic() - begin)
    assert min(seconds) < 2, seconds


def test_public_names():
    code = """
import score_sde
for name in score_sde.__all__:
    getattr(score_sde, name)
assert callable(score_sde.load)
try:
    score_sde.laod
except AttributeError as error:
    print(error)
"""
    assert "has no attribute 'laod'" in fresh(code).stdout
