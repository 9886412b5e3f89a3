"""Pairs of reflow that are drawn once and kept: noise, and where a teacher's flow leads from it.

They take the place of the teacher while the run trains, so that a step costs no evaluations of it.
They are kept in the run's folder: a run that goes on, goes on with them.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files
from score_sde.formats import npz
from score_sde.objectives.couplings import Cond, Coupling
from score_sde.training import memory

NAME = "pairs.npz"
_BATCH = 256


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pairs:
    """A coupling of objectives.couplings: pairs of a list, each as likely; a pytree.

    Attributes:
        x0: [n, *data].
        eps: the noise of each, [n, *data].
    """

    x0: jax.Array
    eps: jax.Array

    def __call__(self, key: jax.Array, x0: jax.Array, cond: Cond) -> tuple[jax.Array, jax.Array]:
        """See couplings.Coupling; of x_0 only the shape is read."""
        chosen = jax.random.randint(key, x0.shape[:1], 0, len(self.x0))
        return self.x0[chosen].astype(x0.dtype), self.eps[chosen].astype(x0.dtype)


def drawn(key: jax.Array, couple: Coupling, number: int, shape: tuple[int, ...]) -> Pairs:
    """Draw pairs, in batches of one size.

    Args:
        key: JAX random key.
        couple: what draws a batch of them: a teacher, a pytree.
        number: how many.
        shape: of a state, *data.

    Raises:
        UserError: the memory is too small for so many.
    """
    memory.check(
        f"config.objective.flow_matching.pairs={number}",
        2 * 4 * number * math.prod(shape),
        memory.of_host(),
        "keep fewer, or give 0, for pairs that are drawn in each step",
    )
    batch = jax.jit(lambda couple, key: couple(key, jnp.zeros((_BATCH, *shape)), None))
    found = [
        jax.device_get(batch(couple, jax.random.fold_in(key, index)))
        for index in range(-(-number // _BATCH))
    ]
    return Pairs(*(np.concatenate(part)[:number] for part in zip(*found, strict=True)))


def write(workdir: Path, pairs: Pairs) -> None:
    """Keep them in a run's folder; UserError if it cannot be written."""
    with files.writing(workdir):
        files.write_npz(workdir / NAME, dataclasses.asdict(pairs))


def read(workdir: Path, number: int, shape: tuple[int, ...]) -> Pairs:
    """Those that a run's folder keeps.

    Raises:
        UserError: there are none, or they are not so many finite ones of this shape.
    """
    with npz.opened(workdir / NAME, "a file of pairs") as arrays:
        found = [arrays[field.name] for field in dataclasses.fields(Pairs)]
        for array in found:
            if array.shape != (number, *shape) or array.dtype != np.float32:
                raise ValueError(f"it holds {array.dtype} {list(array.shape)}")
            if not np.isfinite(array).all():
                raise ValueError("not all of it is finite")
    return Pairs(*found)
