"""The time of a step of training on a mesh of chips.

    T = max(products, parameters) + activations + state                                    (1)

products      operations of the networks over the rate that products reach
parameters    gathers and scatters along `fsdp`, reductions along `data`: beside the products
activations   sums along `tensor`, which products wait for
state         the optimiser and the averages read and write every array once

An axis whose groups lie within chips that are joined directly uses those links; any other the
network. What is hidden is hidden perfectly, and a message costs no time to begin: the times are
bounds from below.
"""

from __future__ import annotations

import dataclasses
import itertools

from experiments.scaling import volumes
from experiments.scaling.cases import Case
from experiments.scaling.chips import Chip

REACHED = 0.5  # share of its bfloat16 rate that a chip's products reach
_HALF = 2  # bytes of an activation
_FULL = 0.8  # share of the memory that the state may take


@dataclasses.dataclass(frozen=True)
class Mesh:
    """Sizes of the axes; neighbours are along `tensor`, then `fsdp`, then `data`."""

    data: int
    fsdp: int
    tensor: int

    @property
    def chips(self) -> int:
        """How many there are."""
        return self.data * self.fsdp * self.tensor

    @property
    def groups(self) -> int:
        """Parts that a batch is split into."""
        return self.data * self.fsdp


@dataclasses.dataclass(frozen=True)
class Step:
    """Seconds of the parts of a step; see equation (1)."""

    mesh: Mesh
    batch: int
    products: float
    fsdp: float
    data: float
    tensor: float
    state: float

    @property
    def seconds(self) -> float:
        """Of the step."""
        return max(self.products, self.fsdp + self.data) + self.tensor + self.state

    @property
    def examples(self) -> float:
        """A second."""
        return self.batch / self.seconds

    @property
    def share(self) -> float:
        """Of the time, in which products are computed."""
        return self.products / self.seconds


def step(case: Case, chip: Chip, mesh: Mesh, batch: int) -> Step:
    """The time of a step of so many examples."""
    axes = dataclasses.asdict(mesh)
    rows = case.tokens * batch // mesh.groups
    sent = volumes.of_step(case.network, axes, rows, _HALF)
    # Read: parameters, gradient, moments, averages; written: all of them but the gradient.
    touched = 4 * case.parameters * (2 * case.copies + 1)
    return Step(
        mesh,
        batch,
        products=case.flops * batch / (mesh.chips * chip.flops * REACHED),
        fsdp=sent.fsdp / chip.sends(mesh.tensor * mesh.fsdp),
        data=sent.data / chip.sends(mesh.chips),
        tensor=sent.tensor / chip.sends(mesh.tensor),
        state=touched / (mesh.fsdp * mesh.tensor * chip.bandwidth),
    )


def fits(case: Case, chip: Chip, mesh: Mesh) -> bool:
    """Whether the state and a gradient do, without activations."""
    return 4 * case.parameters * (case.copies + 1) <= _FULL * chip.memory * mesh.fsdp


def meshes(case: Case, chips: int, batch: int) -> list[Mesh]:
    """All of so many chips, by powers of two, over which this batch can be split."""
    powers = [2**i for i in range(chips.bit_length())]
    splits = case.network.splits.values()
    return [
        Mesh(chips // (fsdp * tensor), fsdp, tensor)
        for fsdp, tensor in itertools.product(powers, powers)
        if chips % (fsdp * tensor) == 0
        and batch % (chips // tensor) == 0
        and (tensor == 1 or (splits and all(split.fits(tensor) for split in splits)))
    ]


def best(case: Case, chip: Chip, chips: int, batch: int) -> Step | None:
    """The fastest of them that fits; None if there is none."""
    found = [m for m in meshes(case, chips, batch) if fits(case, chip, m)]
    steps = [step(case, chip, mesh, batch) for mesh in found]
    return min(steps, key=lambda one: one.seconds, default=None)


def fewest(case: Case, chip: Chip, mesh: Mesh) -> int:
    """The fewest examples of a group, by powers of two, that hide its gathers and reductions."""
    for each in itertools.accumulate(itertools.repeat(2, 20), lambda a, b: a * b, initial=1):
        found = step(case, chip, mesh, each * mesh.groups)
        if found.fsdp + found.data <= found.products:
            return each
    raise ValueError(f"{case.name} on {mesh}: parameters are never hidden")


def most_tensor(case: Case, chip: Chip, each: int, share: float = 0.8) -> int:
    """The most devices of a `tensor` group of so many examples that spend that share in products.

    Sums of activations against products alone: what else a step does is left out.
    """
    found = 1
    for mesh in meshes(case, 64, 64 * each):
        if mesh.fsdp == 1:
            one = step(case, chip, Mesh(1, 1, mesh.tensor), each)
            if one.products >= share * (one.products + one.tensor):
                found = max(found, mesh.tensor)
    return found
