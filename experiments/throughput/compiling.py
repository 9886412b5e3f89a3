"""Tracing, lowering and compiling a function, each timed, and whether what comes out fits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from score_sde.training import flops, memory, xla


class TooLarge(Exception):
    """It needs more memory than there is; the message says how much."""


class Compiled(NamedTuple):
    """A compiled function.

    Attributes:
        call: it.
        seconds: {"trace": ..., "lower": ..., "compile": ...}.
        bytes: of arguments, results and what lies between, on all devices; None if unknown.
        traced: its jaxpr, from which its operations are counted.
    """

    call: jax.stages.Compiled
    seconds: dict[str, float]
    bytes: int | None
    traced: Any

    @property
    def operations(self) -> float:
        """Floating-point operations of a call, counted."""
        return flops.of_jaxpr(self.traced.jaxpr)


def compiled(
    function: Any, *args: Any, said: Mapping[str, bool | int | str] = MappingProxyType({})
) -> Compiled:
    """Compile a jitted function.

    Args:
        function: from jax.jit.
        *args: its arguments, or their shapes: nothing is run.
        said: flags of XLA for it, see xla.options.

    Raises:
        TooLarge: it would not fit.
    """
    times = [time.perf_counter()]
    traced = function.trace(*args)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    call = xla.compiled(lowered, said)
    times.append(time.perf_counter())
    parts = zip(("trace", "lower", "compile"), times, times[1:], strict=False)
    seconds = {name: after - before for name, before, after in parts}
    needed = memory.of_compiled(call)
    if needed is not None and needed > memory.of_devices():
        raise TooLarge(
            f"needs {memory.in_words(needed)}, and there are {memory.in_words(memory.of_devices())}"
        )
    return Compiled(call, seconds, needed, traced.jaxpr)
