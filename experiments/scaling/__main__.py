"""What a step of training takes on 8, 256 and 4096 chips, as the cost model has it.

    python -m experiments.scaling

JAX traces the networks at full size. What is printed is written to results/steps.md too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.scaling import cases, model
from experiments.scaling.cases import Case
from experiments.scaling.chips import CHIPS
from score_sde import files, interrupts, terminal

RECIPES = ("cifar_vp", "imagenet256_dit")
SIZES = (8, 256, 4096)
EACH = 32  # examples a chip, where the batch grows with the chips
RESULTS = Path(__file__).parent / "results"


def predicted(found: Sequence[Case]) -> str:
    """The fastest mesh of each number of chips, as Markdown."""
    lines = [
        "| recipe | chip | chips | batch | mesh: data, fsdp, tensor | step, ms | examples/s | "
        "in products |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in found:
        for chip in CHIPS:
            for chips in SIZES:
                for batch in dict.fromkeys((case.batch, EACH * chips)):
                    one = model.best(case, chip, chips, batch)
                    told = f"| {case.name} | {chip.name} | {chips:,} | {batch:,} |"
                    if one is None:
                        lines.append(f"{told} none: the batch has too few examples | | | |")
                        continue
                    mesh = f"{one.mesh.data}, {one.mesh.fsdp}, {one.mesh.tensor}"
                    lines.append(
                        f"{told} {mesh} | {1e3 * one.seconds:.2f} | {one.examples:,.0f} | "
                        f"{one.share:.0%} |"
                    )
    return "\n".join(lines)


def limits(found: Sequence[Case]) -> str:
    """Where each axis stops paying, as Markdown."""
    lines = [
        "| recipe | chip | data, near | data, 256 chips | fsdp 8 | fsdp 256 | tensor of 8 | "
        "tensor of 32 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    alone = (model.Mesh(8, 1, 1), model.Mesh(256, 1, 1), model.Mesh(1, 8, 1), model.Mesh(1, 256, 1))
    for case in found:
        for chip in CHIPS:
            examples = [model.fewest(case, chip, mesh) for mesh in alone]
            most = [
                model.most_tensor(case, chip, each) if case.network.splits else "-"
                for each in (8, 32)
            ]
            cells = (case.name, chip.name, *examples, *most)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def parser() -> terminal.Parser:
    """The flags."""
    found = terminal.Parser.of("python -m experiments.scaling", __doc__)
    found.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    return found


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Print both tables and write them; exit code 2 for bad input."""
    interrupts.listen()
    folder = parser().parse_args(argv[1:]).results
    found = [cases.read(recipe) for recipe in RECIPES]
    sizes = [
        f"{case.name}: {case.parameters:,} parameters, {case.flops / 1e9:,.1f} GFLOP an example."
        for case in found
    ]
    text = "\n\n".join([*sizes, predicted(found), limits(found)])
    print(text)
    with (
        files.writing(folder, "Give another --results"),
        files.replacing(folder / "steps.md") as file,
    ):
        file.write(f"{text}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
