"""Times of several things in turn, and what the machine can do at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 3  # at least
PRODUCTS = 10  # one after another: the first after a step is slower than the others


def in_turn(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, np.ndarray]:
    """Seconds of each call, A B A B ..., so that what else the machine does hits all of them.

    Args:
        calls: each waits for what it does. They are called once before.
        seconds: after which no other round begins; there are three at least.

    Returns:
        Of each, [rounds].
    """
    for call in calls.values():
        call()
    found, began = [], time.perf_counter()
    while len(found) < ROUNDS or time.perf_counter() - began < seconds:
        found.append([_seconds(call) for call in calls.values()])
    return dict(zip(calls, np.array(found).T, strict=True))


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def product(dtype: str) -> tuple[Callable[[], object], float]:
    """Large matrix products on every device, and the floating-point operations of all of them."""
    side, devices = 2048 if jax.default_backend() == "cpu" else 8192, jax.device_count()
    split = jax.NamedSharding(jax.make_mesh((devices,), ("data",)), jax.P("data"))
    matrices = jnp.ones((devices, side, side), dtype, device=split)
    compiled = jax.jit(jnp.matmul, out_shardings=split).lower(matrices, matrices).compile()

    def call() -> None:
        for _ in range(PRODUCTS):
            jax.block_until_ready(compiled(matrices, matrices))

    return call, 2.0 * PRODUCTS * devices * side**3


def peak_memory() -> float:
    """The most bytes that this process has had: of the device, or of the host for a CPU."""
    found = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.devices()]
    if all(found):
        return float(max(found))
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return 1024.0 * int(lines["VmHWM"].split()[0])
