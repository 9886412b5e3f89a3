"""What a table was measured on; to be asked in a process of its own, as devices are taken whole.

python -m experiments.throughput.machine TOLD.json MACHINE.json
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from score_sde.training import memory
from score_sde.version import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch")


def describe() -> dict[str, Any]:
    """Hardware and versions; `name` is fit for a file."""
    devices = jax.devices()
    kind = _processor() if devices[0].platform == "cpu" else devices[0].device_kind
    versions = {"score_sde": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "name": re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_"),
        "kind": kind,
        "devices": len(devices),
        "cores": os.cpu_count(),
        "memory": memory.in_words(memory.of_devices()),
        "versions": versions,
    }


def _processor() -> str:
    """Its model, where Linux says so."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (models or [platform.machine()])[0]


def main(argv: Sequence[str]) -> int:
    """Write it into a file."""
    Path(argv[2]).write_text(json.dumps(describe()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
