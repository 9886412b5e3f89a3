"""What devices tell each other in a compiled program, counted from its text.

XLA's partitioner decides which collectives a program has. They are read off its HLO: the kind, the
arrays, how many devices take part, and how often the loop turns that they stand in.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

import jax

_BYTES = {"pred": 1, "bf16": 2, "f16": 2, "c64": 8, "c128": 16}  # others say their bits: f32, s8
_KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_COLLECTIVE = re.compile(rf"^(?:ROOT )?%?[\w.\-]+ = (.+?) ({'|'.join(_KINDS)})(-start)?\((.*)$")
_ARRAY = re.compile(r"([a-z]+\d*\w*)\[([\d,]*)\]")
_CALLED = re.compile(
    r"\b(?:body|condition|to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)"
    r"|\b(?:branch_computations|called_computations)=\{([^}]*)\}"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_METADATA = re.compile(r"metadata=\{.*?\}")


@dataclasses.dataclass(frozen=True)
class Collective:
    """A collective of a program.

    Attributes:
        kind: "all-reduce", "all-gather", "reduce-scatter", "all-to-all" or "collective-permute".
        shapes: of the arrays that a device has after it, of which there may be several.
        bytes: of these; of a reduce-scatter what a device had before.
        devices: that take part in one group.
        times: how often a call of the program comes to it.
    """

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    bytes: int
    devices: int
    times: int

    @property
    def sent(self) -> float:
        """Bytes that each device sends in a call, by the algorithms that send the least.

        Of n devices a ring sends (n - 1) / n of the array to gather, to scatter or to exchange it,
        and twice that to reduce it (Patarasu and Yuan 2009, doi 10.1016/j.jpdc.2008.09.002).
        """
        if self.kind == "collective-permute":
            return float(self.bytes * self.times)
        passes = 2 if self.kind == "all-reduce" else 1
        return passes * (self.devices - 1) / self.devices * self.bytes * self.times


def of(compiled: jax.stages.Compiled) -> list[Collective]:
    """The collectives of a compiled program, in which more than one device takes part.

    Raises:
        ValueError: how often a loop with collectives turns is not known.
    """
    shardings = jax.tree.leaves(compiled.input_shardings)
    return in_text(compiled.as_text(), max(len(one.device_set) for one in shardings))


def in_text(text: str, devices: int) -> list[Collective]:
    """The same of a program's HLO, for so many devices."""
    computations, entry = _computations(text)
    return list(_inside(computations, entry, devices, 1))


def total(found: list[Collective], kind: str) -> int:
    """Bytes of all collectives of a kind in a call, as Collective.bytes has them."""
    return sum(one.bytes * one.times for one in found if one.kind == kind)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Instructions by the name of their computation, and the name of the first that is run."""
    found: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in text.splitlines():
        if begins := _COMPUTATION.match(line):
            lines = found.setdefault(begins[2], [])
            entry = begins[2] if begins[1] else entry
        else:
            lines.append(line.strip())
    return found, entry


def _inside(
    computations: dict[str, list[str]], name: str, devices: int, times: int
) -> Iterator[Collective]:
    for line in computations[name]:
        if (match := _COLLECTIVE.match(line)) and (one := _read(match, devices, times)):
            yield one
        called = [n for one, several in _CALLED.findall(line) for n in (one or several).split(",")]
        trips = _TRIPS.search(line) if " while(" in line else None
        for other in called:
            turns = int(trips[1]) if trips else 1
            inner = list(_inside(computations, other.strip(" %"), devices, times * turns))
            if inner and " while(" in line and trips is None:
                raise ValueError("how often a loop with collectives turns is not known")
            yield from inner


def _read(match: re.Match[str], devices: int, times: int) -> Collective | None:
    result, kind, started, rest = match.groups()
    arrays = [
        (tuple(int(n) for n in shape.split(",") if n), _size(dtype))
        for dtype, shape in _ARRAY.findall(result)
    ]
    if started and kind != "all-reduce":  # operands stand before the results
        arrays = arrays[len(arrays) // 2 :]
    count = _group(rest, devices)
    if count == 1:
        return None
    size = sum(math.prod(shape) * width for shape, width in arrays)
    size *= count if kind == "reduce-scatter" else 1
    return Collective(kind, tuple(shape for shape, _ in arrays), size, count, times)


def _size(dtype: str) -> int:
    """Bytes of a number."""
    return _BYTES.get(dtype) or max(1, int(re.search(r"\d+", dtype)[0]) // 8)


def _group(rest: str, devices: int) -> int:
    """How many devices take part in one group; the forms in which HLO says so are four."""
    rest = _METADATA.sub("", rest)
    if "source_target_pairs" in rest:
        return 2
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]<=", rest):
        return int(iota[2])
    if mesh := re.search(r"replica_groups=mesh\[(.*?)\].*?\{(.*?)\}", rest):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", mesh[2]))
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
        return len(listed[1].split(","))
    return devices
