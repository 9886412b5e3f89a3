"""The processes in which things are measured: each has its own memory, cache and time limit."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.throughput.cases import Case
from score_sde.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
# Where PyTorch runs beside: its threads that wait in a loop for more work would take the cores from
# XLA's; its compiler's processes would outlive ours; and both need memory of a device.
PEER = {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
# With which a process sees one device only.
ALONE = {"CUDA_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "0", "TPU_VISIBLE_CHIPS": "0"}


class Failed(Exception):
    """A process did not do its work; the message says why.

    Attributes:
        found: what it wrote until then; None for nothing.
    """

    def __init__(self, message: str, found: Any = None):
        super().__init__(message)
        self.found = found


def machine(limit: float) -> dict[str, Any]:
    """See machine.describe."""
    try:
        return _asked("machine", {}, limit)
    except Failed as error:
        raise UserError(f"the devices cannot be used: {error}") from error


def profile(case: Case, limit: float) -> str:
    """The table of a training step's operations; see op_times."""
    try:
        return _asked("op_times", _told(case), limit)["table"]
    except Failed as error:
        raise UserError(f"{case.recipe}: {error}") from error


def row(case: Case, limit: float, *, alone: bool) -> dict[str, Any]:
    """A row of a table: what was measured of a case, and a note if that did not go well.

    Compiling is timed with an empty cache, then again in another process with what is in it now.

    Args:
        case: what is measured.
        limit: seconds, of either process.
        alone: whether it sees one of several devices.
    """
    found = {name: getattr(case, name) for name in ("work", "recipe", "dtype", "devices", "batch")}
    with tempfile.TemporaryDirectory() as cache:
        own = {"JAX_COMPILATION_CACHE_DIR": cache}
        own |= (ALONE if alone else {}) | (PEER if case.peer else {})
        try:
            found |= _asked("one", _told(case), limit, **own)
        except Failed as error:
            found |= (error.found or {}) | {"note": str(error)}
        if "compile_s" in found:
            again = dataclasses.replace(case, only_compile=True)
            with contextlib.suppress(Failed):
                warm = _asked("one", _told(again), limit, **own)
                found |= {f"warm_{n}": v for n, v in warm.items() if n.endswith("_s")}
    return found


def _told(case: Case) -> dict[str, Any]:
    return dataclasses.asdict(case)


def _asked(module: str, told: Mapping[str, Any], limit: float, **environment: str) -> Any:
    """What a module of this folder writes, run as a program.

    Raises:
        Failed: it did not end well, or in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("told.json", "found.json")]
        files[0].write_text(json.dumps(told))
        command = [sys.executable, "-m", f"experiments.throughput.{module}", *map(str, files)]
        wrong = _wrong(command, limit, {**os.environ, **environment})
        found = json.loads(files[1].read_text()) if files[1].exists() else None
    if wrong:
        raise Failed(wrong, found)
    return found


def _wrong(command: list[str], limit: float, environment: dict[str, str]) -> str:
    """Run a program; how it failed, or ""."""
    own = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "check": False}
    try:
        ended = subprocess.run(command, timeout=limit, **own)
    except subprocess.TimeoutExpired:
        return f"not within {limit:g} s"
    if ended.returncode == -signal.SIGKILL:
        return "killed, as for want of memory"
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or ["ended without a word"])[-1]
    return ""
