"""Where the time of a training step goes: kinds of XLA's operations, from JAX's own profiler.

    python -m experiments.throughput.op_times CASE.json TABLE.json

An operation is of the kind of what is in it, of a fusion the first kind in KINDS, and of the pass
that its name says: what is differentiated, its derivative, or the rest, which is optimiser and
averages. Times are those in which an operation holds its thread: those of several threads add up.
"""

from __future__ import annotations

import collections
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax

from experiments.throughput import cases
from experiments.throughput.cases import Case
from experiments.throughput.training import Training
from score_sde import terminal
from score_sde.training import xla

CALLS = 3
# By what is in an operation, the first that fits; all else moves numbers or is done to each.
KINDS = (
    ("convolution", ("convolution",)),
    ("matrix product", ("dot", "ragged-dot")),
    ("library call", ("custom-call",)),
    ("exchange between devices", ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")),
    ("random bits", ("xor", "rng", "rng-bit-generator")),
    ("reduction", ("reduce", "reduce-window")),
    ("exponential and its like", ("exponential", "logistic", "tanh", "erf", "log")),
    ("arithmetic", ("add", "multiply", "subtract", "divide", "maximum", "select", "sqrt")),
)
MOVED = "copy, transpose, slice, pad, concatenate"
PASSES = ("forward", "backward", "update")
# Contain other operations, which are there for themselves.
_OUTER = ("while", "call", "conditional")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = .*? ([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(r"calls=%?([\w.\-]+)")
_NAMED = re.compile(r'op_name="([^"]*)"')


def kinds(hlo: str) -> dict[str, tuple[str, str]]:
    """The kind and the pass of each operation that takes time, by name.

    Args:
        hlo: the text of a compiled program.
    """
    inside: dict[str, list[tuple[str, str, str]]] = {}
    here: list[tuple[str, str, str]] = []
    for line in hlo.splitlines():
        if found := _COMPUTATION.match(line):
            here = inside.setdefault(found[1], [])
        elif found := _INSTRUCTION.match(line):
            here.append((found[1], found[2], line))

    def opcodes(opcode: str, line: str) -> Iterator[str]:
        called = _CALLED.search(line)
        if opcode != "fusion" or called is None:
            yield opcode
            return
        for _, inner, line in inside.get(called[1], []):
            yield from opcodes(inner, line)

    everything = [one for computation in inside.values() for one in computation]
    fused = {called[1] for _, _, line in everything if (called := _CALLED.search(line))}
    return {
        name: (_kind(set(opcodes(opcode, line))), _pass(line))
        for computation in inside.keys() - fused
        for name, opcode, line in inside[computation]
        if opcode not in _OUTER
    }


def _kind(opcodes: set[str]) -> str:
    return next((kind for kind, some in KINDS if opcodes & set(some)), MOVED)


def _pass(line: str) -> str:
    name = _NAMED.search(line)
    if name is None or "jvp(" not in name[1]:
        return "update"
    return "backward" if "transpose(" in name[1] else "forward"


def table(times: Mapping[str, float], of: Mapping[str, tuple[str, str]], title: str) -> str:
    """Milliseconds by kind and pass.

    Args:
        times: milliseconds of each operation of a step.
        of: its kind and pass.
        title: stands above.
    """
    sums: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for name, value in times.items():
        if name in of:
            kind, when = of[name]
            sums[kind][when] += value
    total = sum(value for one in sums.values() for value in one.values()) or 1.0
    lines = [title, "", f"| kind | {' | '.join(PASSES)} | all, ms | share |", "|---" * 6 + "|"]
    for kind, one in sorted(sums.items(), key=lambda item: -sum(item[1].values())):
        own = sum(one.values())
        each = " | ".join(f"{one[when]:.1f}" for when in PASSES)
        lines.append(f"| {kind} | {each} | {own:.1f} | {own / total:.1%} |")
    return "\n".join([*lines, ""])


def recorded(call, folder: str) -> dict[str, float]:
    """Milliseconds of each operation, of a call; from what the profiler writes into a folder."""
    with jax.profiler.trace(folder):
        for _ in range(CALLS):
            call()
    found: collections.Counter = collections.Counter()
    for path in Path(folder).rglob("*.xplane.pb"):
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    name = dict(event.stats).get("hlo_op")
                    if name is not None:
                        found[name] += event.duration_ns / 1e6 / CALLS
    return dict(found)


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Profile the training step of a case."""
    told, path = map(Path, argv[1:])
    xla.begin()
    case = Case(**json.loads(told.read_text()))
    training = Training(cases.read(case))
    step = training.compiled()
    call, steps = training.call(step.call), training.options.steps_per_call
    call()
    began = time.perf_counter()
    call()
    wall = 1e3 * (time.perf_counter() - began) / steps
    with tempfile.TemporaryDirectory() as folder:
        times = {name: one / steps for name, one in recorded(call, folder).items()}
    title = f"{case.recipe}, batch {case.batch}, {case.dtype}: {wall:.1f} ms a step"
    path.write_text(json.dumps({"table": table(times, kinds(step.call.as_text()), title)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
