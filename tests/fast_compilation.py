"""Compiling sooner: what tests run is small, and most of their time is XLA's.

Without its fusion emitters XLA compiles for a CPU in two thirds of the time. A jaxlib that does not
know the flag stops at it, so it is asked first, once for all processes of a session. Importing this
module, before JAX is used, sets it for this process; `FLAGS` are for programs on one device.
"""

import os
import subprocess
import sys

_FLAG = "--xla_cpu_use_fusion_emitters=false"
_KNOWN = "SCORE_SDE_TESTS_XLA_FLAGS"  # in the environment of a session's processes


def _known():
    """The flag, or "" if XLA has none of that name."""
    code = "import jax; jax.numpy.zeros(()).block_until_ready()"
    environment = os.environ | {"XLA_FLAGS": _FLAG, "JAX_PLATFORMS": "cpu"}
    tried = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    return _FLAG if tried.returncode == 0 else ""


if _KNOWN not in os.environ:
    os.environ[_KNOWN] = _known()
FLAGS = os.environ[_KNOWN]
os.environ["XLA_FLAGS"] = " ".join(
    dict.fromkeys([*FLAGS.split(), *os.environ.get("XLA_FLAGS", "").split()])
)
