"""One case in a process of its own: its memory and its cache are no other's.

python -m experiments.throughput.one CASE.json ROW.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.throughput import cases, clock, sampling
from experiments.throughput.cases import Case
from experiments.throughput.compiling import Compiled, TooLarge
from experiments.throughput.reading import batches_of
from experiments.throughput.training import Training
from score_sde import files, terminal
from score_sde.training import xla

Row = dict[str, Any]


def measured(case: Case) -> Iterator[Row]:
    """What a row says beside its case: more each time, so that who is stopped has said much.

    Raises:
        UserError: the recipe cannot be so.
    """
    work = {
        cases.TRAINING: _training,
        cases.SAMPLING: lambda case: _evaluations(case, sampling.sampling),
        cases.LIKELIHOOD: lambda case: _evaluations(case, sampling.likelihood),
        cases.INPUT: _input,
    }
    row: Row = {}
    try:
        for found in work[case.work](case):
            row |= found
            yield row
    except TooLarge as error:
        yield row | {"note": f"does not fit: {error}"}


def _training(case: Case) -> Iterator[Row]:
    training = Training(cases.read(case))
    step = training.compiled()
    yield _compiling(step)
    if not case.only_compile:
        steps = training.options.steps_per_call
        yield from _timed(case, {"ours": training.call(step.call)}, step.operations, steps)


def _evaluations(case: Case, pair: Callable[..., sampling.Pair]) -> Iterator[Row]:
    subject = cases.read(case)
    drawing, (whole, single) = sampling.Drawing(subject), pair(subject)
    drawn = drawing.compiled(whole)
    yield _compiling(drawn)
    if case.only_compile:
        return
    alone, arguments = drawing.compiled(single), drawing.arguments()
    nfe = int(drawn.call(*arguments)[1])

    def singles() -> None:
        for _ in range(nfe):
            jax.block_until_ready(alone.call(*arguments))

    calls = {"ours": lambda: jax.block_until_ready(drawn.call(*arguments)), "single": singles}
    yield from _timed(case, calls, nfe * alone.operations, nfe)


def _timed(
    case: Case, calls: dict[str, Callable[[], object]], operations: float, parts: int
) -> Iterator[Row]:
    """Of calls that have so many parts: steps, or evaluations of the network."""
    calls["ours"]()
    peak = clock.peak_memory()  # before PyTorch comes
    product, of_product = clock.product(case.dtype)
    found = clock.in_turn({**calls, "product": product}, case.seconds)
    medians = {name: float(np.median(times)) for name, times in found.items()}
    seconds, matrix = medians["ours"], of_product / medians["product"]
    row = {
        "seconds": seconds / parts,
        "images_per_s": case.batch * parts / seconds,
        "gflop_per_image": operations / parts / case.batch / 1e9,
        "gflops": operations / seconds / 1e9,
        "matrix_gflops": matrix / 1e9,
        "share": operations / seconds / matrix,
        "peak_gb": peak / 1e9,
        "rounds": len(found["ours"]),
    }
    yield row | ({"overhead": seconds / medians["single"]} if "single" in medians else {})
    if case.peer:
        yield from _beside(case, calls["ours"], parts)


def _beside(case: Case, ours: Callable[[], object], parts: int) -> Iterator[Row]:
    """The same work in PyTorch, eager and then compiled, each in turn with ours."""
    from experiments.throughput import peer

    work = {cases.TRAINING: peer.steps, cases.SAMPLING: peer.evaluations}
    if case.work not in work:
        return
    try:
        theirs = work[case.work](cases.read(case), parts)
    except peer.NoPeer as error:
        yield {"note": f"PyTorch: {error}"}
        return
    for name, call in theirs.items():
        found = clock.in_turn({"ours": ours, "theirs": call}, case.seconds)
        one, other = (float(np.median(times)) for times in found.values())
        yield {f"{name}_seconds": other / parts, f"{name}_ratio": other / one}


def _compiling(function: Compiled) -> Row:
    row = {f"{name}_s": seconds for name, seconds in function.seconds.items()}
    return row | ({} if function.bytes is None else {"memory_gb": function.bytes / 1e9})


def _input(case: Case) -> Iterator[Row]:
    call, batches = batches_of(case)
    seconds = float(np.median(clock.in_turn({"ours": call}, case.seconds)["ours"]))
    yield {"seconds": seconds / batches, "images_per_s": case.batch * batches / seconds}


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Measure what a file says, and write another, anew with each thing that is known."""
    case, path = map(Path, argv[1:])
    xla.begin()
    for row in measured(Case(**json.loads(case.read_text()))):
        files.write_json(path, row)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
