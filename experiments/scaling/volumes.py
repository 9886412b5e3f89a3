"""What devices send each other in a step of training, by formula.

From the shapes of the parameters and what their layers say of them (score_sde.models.placing)
alone; check.py holds it against what XLA compiles. Of n devices each sends (n - 1) / n of an array
to gather or to scatter it, and twice that to reduce it (see score_sde.training.collectives).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from score_sde.models import placing
from score_sde.models.functional import Functional

_FLOAT = 4  # bytes of a stored number
Axes = Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Volumes:
    """Bytes that each device sends in a step, along each axis of the mesh.

    Attributes:
        gathers: along `fsdp`, parameters: of blocks in the forward and in the backward pass.
        scatters: along `fsdp`, their gradients.
        data: along `data`, gradients that are reduced, of what a device stores.
        activations: along `tensor`, sums that end attention and layers, forward and backward.
        heads: along `tensor`, kernels of queries, keys and values on their way to the heads.
    """

    gathers: float
    scatters: float
    data: float
    activations: float
    heads: float

    @property
    def fsdp(self) -> float:
        """Along `fsdp`."""
        return self.gathers + self.scatters

    @property
    def tensor(self) -> float:
        """Along `tensor`."""
        return self.activations + self.heads


def of_step(network: Functional, axes: Axes, rows: int, width: int = _FLOAT) -> Volumes:
    """The volumes of a step.

    Args:
        network: what is trained.
        axes: sizes of the axes of the mesh.
        rows: tokens of all examples of a device, for the activations of transformers.
        width: bytes of a number of what layers compute in: of activations, and of the parameters
            that they cast, whose gradients come back so too, but for biases. The few layers of what
            a network is told compute in float32 whatever it is, and are counted as the others.
    """
    found = dict.fromkeys((field.name for field in dataclasses.fields(Volumes)), 0.0)
    tensor, fsdp, data = (axes[name] for name in ("tensor", "fsdp", "data"))
    for path, array in network.shapes[0].items():
        each = min(width, _FLOAT) if path in network.cast else _FLOAT
        bias = array.ndim == 1 + (path in network.stacked)  # whose gradient is a sum in float32
        split = network.splits.get(path)
        size, gradient = each * array.size, (_FLOAT if bias else each) * array.size
        spec = placing.stored(axes, array.shape, split)
        passes = 2 if path in network.stacked else 1
        shared = tensor if split and split.fits(tensor) else 1
        stored = size / (shared if "tensor" in spec else 1)
        if "fsdp" in spec:
            found["gathers"] += passes * _once(fsdp) * stored
            found["scatters"] += _once(fsdp) * gradient / shared
            found["data"] += 2 * _once(data) * gradient / shared / fsdp
        else:
            found["data"] += 2 * _once(data * fsdp) * gradient / shared
        if split is None or shared == 1:
            continue
        if "tensor" not in spec:  # a small array: the parts of its gradient are brought together
            found["heads"] += _once(tensor) * size
        elif split.parts > 1:
            found["heads"] += (passes + 1) * _once(tensor) * stored
        if split.axis == -2:  # the second layer of a pair: a sum forward, and one of the first
            depth = math.prod(array.shape[:-2])
            found["activations"] += depth * 4 * _once(tensor) * rows * array.shape[-1] * width
    return Volumes(**found)


def _once(devices: int) -> float:
    """What each device sends of an array that is gathered or scattered."""
    return (devices - 1) / devices
