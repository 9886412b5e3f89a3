"""`import score_sde` is quick and brings in nothing that it does not need."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = ("tensorflow", "tensorflow_datasets", "grain", "orbax", "diffrax", "matplotlib", "sklearn")
HEAVY += ("torch", "transformers", "diffusers")


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_import_is_quick():
    """It costs less than a tenth of what JAX, Flax and optax cost, in the same process.

    In processor time, the best of four, of which the first may have to compile the byte code: how
    busy the machine is does not matter.
    """
    code = """
from time import process_time
begin = process_time()
import flax.nnx, jax, optax
theirs = process_time()
import score_sde
print((process_time() - theirs) / (theirs - begin))
"""
    ratios = []
    while not ratios or (min(ratios) >= 0.1 and len(ratios) < 4):
        ratios.append(float(fresh(code).stdout))
    assert min(ratios) < 0.1, ratios


def test_import_is_light_and_names_are_public():
    """Nothing heavy is there before the first name is asked for, and all names can be had."""
    code = f"""
import sys, score_sde
heavy = [m for m in {HEAVY} if m in sys.modules]
assert not heavy, heavy
for name in score_sde.__all__:
    getattr(score_sde, name)
assert callable(score_sde.load)
try:
    score_sde.laod
except AttributeError as error:
    print(error)
"""
    assert "has no attribute 'laod'" in fresh(code).stdout
