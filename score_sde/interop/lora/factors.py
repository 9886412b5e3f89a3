"""What an adapter adds to one weight: two small matrices, and what follows from them.

LoRA (Hu et al. 2021, arXiv 2106.09685, equation 3) with a strength S, for a weight W [out, in, *k],

    W' = W + S d,    d = scale up down,    scale = alpha / rank                                (1)

with k the kernel of a convolution, none of a linear layer. Of a convolution LoCon (LyCORIS, Yeh et
al. 2023, arXiv 2309.14859) has the kernel in `down`, or in a `middle` between the two:

    d[o, i, k] = scale sum_pq up[o, p] middle[p, q, k] down[q, i]                              (2)

DoRA (Liu et al. 2024, arXiv 2402.09353, equation 5) learns how large each output's weights are:

    W' = m (W + S d) / |W + S d|,    |.| over all but the outputs                              (3)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Factors(NamedTuple):
    """Of one weight, as PyTorch keeps it.

    Attributes:
        down: [rank, in, *k].
        up: [out, rank], also with the kernel 1.
        scale: alpha / rank.
        middle: [rank, rank, *k]; None where there is none.
        magnitude: of DoRA, [out]; None for none.
    """

    down: np.ndarray
    up: np.ndarray
    scale: float = 1.0
    middle: np.ndarray | None = None
    magnitude: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight: [out, in, *k]."""
        kernel = self.down if self.middle is None else self.middle
        return (len(self.up), self.down.shape[1], *kernel.shape[2:])

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight of this shape can be adapted; kernels of 1 count as none."""
        return _without_ones(self.shape) == _without_ones(shape)

    def rows(self, first: int, last: int) -> Factors:
        """Of a layer that makes some of the outputs, from `first` to before `last`."""
        magnitude = None if self.magnitude is None else self.magnitude.reshape(-1)[first:last]
        return self._replace(up=self.up[first:last], magnitude=magnitude)

    def delta(self) -> np.ndarray:
        """d of equation 1 or 2, float32 of `shape`."""
        down, up = (a.astype(np.float32).reshape(len(a), -1) for a in (self.down, self.up))
        if self.middle is not None:
            middle = self.middle.astype(np.float32)
            found = np.einsum("op,pq...,qi->oi...", up, middle, down, optimize=True)
        else:
            found = up @ down
        return (found * np.float32(self.scale)).reshape(self.shape)

    def change(self, weight: np.ndarray, strength: float) -> np.ndarray:
        """W' - W, float32, of the shape of the weight.

        Args:
            weight: W.
            strength: S.
        """
        added = np.float32(strength) * self.delta().reshape(weight.shape)
        if self.magnitude is None:
            return added
        weight = weight.astype(np.float32)
        rows = (weight + added).reshape(len(weight), -1)
        size = np.linalg.norm(rows, axis=1)
        share = self.magnitude.astype(np.float32).reshape(-1) / np.where(size == 0, 1, size)
        return (rows * share[:, None]).reshape(weight.shape) - weight


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    kernel = shape[2:]
    return shape[:2] if set(kernel) <= {1} else shape
