"""Public figures of chips. All rates are of one chip, per second."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """A chip and what joins it with others.

    Attributes:
        name: of the chip.
        flops: bfloat16 products, dense.
        memory: bytes of its memory.
        bandwidth: bytes to or from it.
        near: chips that are joined directly.
        link: bytes that a chip sends to those.
        network: bytes that a chip sends to others.
    """

    name: str
    flops: float
    memory: float
    bandwidth: float
    near: int
    link: float
    network: float

    def sends(self, reach: int) -> float:
        """Bytes a second to chips within a block of so many neighbours."""
        return self.link if reach <= self.near else self.network


# NVIDIA H100 SXM data sheet: 989 TFLOP/s without sparsity, 80 GB at 3.35 TB/s, NVLink 900 GB/s in
# both directions together. DGX H100: eight of them, and one 400 Gb/s adapter for each.
H100 = Chip("H100", 989e12, 80e9, 3.35e12, 8, 450e9, 50e9)
# Google Cloud, TPU v5p: 459 TFLOP/s, 95 GB at 2,765 GB/s, up to 8,960 chips in a pod, 4,800 Gb/s a
# chip over six links. An axis of a mesh is a ring along two of them: 200 GB/s.
V5P = Chip("TPU v5p", 459e12, 95e9, 2.765e12, 8960, 200e9, 6.25e9)
CHIPS = (H100, V5P)
