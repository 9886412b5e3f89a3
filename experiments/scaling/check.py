"""Volumes by formula beside those that XLA compiles, of small networks on eight devices of a CPU.

    python -m experiments.scaling.check

The table is written to results/volumes.md too.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import NamedSharding

from experiments.scaling import cases, volumes
from experiments.scaling.__main__ import RESULTS
from score_sde import files, interrupts, terminal
from score_sde.models import placing
from score_sde.models.functional import Functional
from score_sde.training import collectives
from score_sde.training.optimizer import optimizer
from score_sde.training.sharding import batch_sharding, make_mesh, replicated, state_sharding
from score_sde.training.state import init_state
from score_sde.training.step import make_train_step

DEVICES = 8
BATCH = 16
SMALL = {
    "imagenet256_dit": {
        "model.channels": 64,
        "model.depth": 3,
        "model.heads": 4,
        "training.batch_size": BATCH,
    },
    "digits_vp": {"training.batch_size": BATCH, "training.steps_per_call": 1},
}
# (fsdp, tensor) of eight devices; data takes the rest.
MESHES = {
    "imagenet256_dit": ((1, 1), (4, 1), (8, 1), (1, 2), (2, 2)),
    "digits_vp": ((1, 1), (4, 1)),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A mesh.

    Attributes:
        recipe: whose network, in small.
        axes: sizes of the axes of the mesh.
        predicted: bytes that each device sends in a step, by formula.
        counted: the same of the compiled program, without scalars such as the loss. A reduction
            whose result is then sliced is taken for the scatter that it is on a GPU or TPU.
        other: bytes of it that the formula knows nothing of: exchanges that XLA has chosen.
    """

    recipe: str
    axes: dict[str, int]
    predicted: float
    counted: float
    other: float


def compiled(recipe: str, fsdp: int, tensor: int) -> tuple[Any, Any, Any]:
    """The training step of a small network on a mesh, the mesh and the network."""
    mesh = make_mesh(fsdp, tensor)
    experiment = cases.experiment_of(recipe, SMALL[recipe], mesh)
    options, network = experiment.training, experiment.network
    optimise = optimizer(experiment.optim, options.steps)
    key = jax.eval_shape(lambda: jax.random.key(0))
    shapes = jax.eval_shape(lambda k: init_state(k, network, optimise, options.averages), key)
    where = state_sharding(mesh, shapes, network.splits)
    batch = cases.batch_of(experiment, (1, BATCH))
    batch = jax.tree.map(lambda a: _placed(a, batch_sharding(mesh, 1)), batch)
    fixed = jax.tree.map(lambda a: _placed(a, replicated(mesh)), experiment.fixed)
    step = jax.jit(
        make_train_step(experiment.loss, optimise, project=network.project),
        donate_argnums=0,
        out_shardings=(where, replicated(mesh)),
    )
    state = jax.tree.map(_placed, shapes, where)
    return step.lower(state, batch, fixed, key).compile(), mesh, network


def _placed(array: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)


def row(recipe: str, fsdp: int, tensor: int) -> Row:
    """Compile a step, and count."""
    program, mesh, network = compiled(recipe, fsdp, tensor)
    axes = dict(mesh.shape)
    tokens = 256 if network.splits else 0
    by_formula = volumes.of_step(network, axes, BATCH * tokens // (axes["data"] * fsdp))
    shared = _shared(network, axes)
    sent, other = 0.0, 0.0
    for one in collectives.of(program):
        if one.kind == "collective-permute":
            other += one.sent
            continue
        whole = sum(math.prod(shape) for shape in one.shapes)
        scalars = sum(not shape for shape in one.shapes)
        scattered = sum(
            math.prod(shape)
            for shape in one.shapes
            if one.kind == "all-reduce" and one.devices == fsdp and tuple(sorted(shape)) in shared
        )
        sent += one.sent * (whole - scalars - scattered / 2) / whole
    return Row(recipe, axes, sum(dataclasses.astuple(by_formula)), sent, other)


def _shared(network: Functional, axes: dict[str, int]) -> set[tuple[int, ...]]:
    """Sizes, in order, of gradients of arrays that are split over `fsdp`; of stacks, of a slice."""
    found = set()
    for path, array in network.shapes[0].items():
        split = network.splits.get(path)
        if "fsdp" in placing.stored(axes, array.shape, split):
            shape = list(array.shape)
            if split is not None and axes["tensor"] > 1:
                parts = [split.parts] if split.parts > 1 else []
                shape[split.axis] //= axes["tensor"] * split.parts
                shape += parts
            found.add(tuple(sorted(shape[path in network.stacked :])))
    return found


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Print the table and write it; exit code 2 for bad input."""
    interrupts.listen()
    parser = terminal.Parser.of("python -m experiments.scaling.check", __doc__)
    parser.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    folder = parser.parse_args(argv[1:]).results
    # Before JAX looks for devices.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    rows = [row(recipe, *mesh) for recipe, meshes in MESHES.items() for mesh in meshes]
    lines = [
        "| network of | mesh | by formula, bytes | compiled, bytes | ratio | moved besides |",
        "|---|---|---|---|---|---|",
    ]
    for one in rows:
        mesh = ", ".join(f"{name} {size}" for name, size in one.axes.items())
        ratio = one.counted / one.predicted
        lines.append(
            f"| {one.recipe} | {mesh} | {one.predicted:,.0f} | {one.counted:,.0f} | {ratio:.3f} | "
            f"{one.other:,.0f} |"
        )
    table = "\n".join(lines)
    print(table)
    with (
        files.writing(folder, "Give another --results"),
        files.replacing(folder / "volumes.md") as file,
    ):
        file.write(f"{table}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
