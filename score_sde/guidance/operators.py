"""Linear operators: what of an example is observed, H x, and the transpose that carries it back.

Where H H^T = c I on the range of H, as of every part, average or projection, the number c (`gram`)
makes all that an inverse problem solves a division; of other operators it is unknown and conjugate
gradients solve.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde import values


class Operator:
    """A linear H. Subclasses are frozen dataclasses, pytrees, and define `forward`.

    Each example is observed on its own, so that a batch may be split over devices.

    Attributes:
        gram: c, if H H^T = c I on the range of H; None if that is not so, or not known.
    """

    @property
    def gram(self) -> float | None:
        """c; None here."""
        return None

    def forward(self, x: jax.Array) -> jax.Array:
        """H x, [batch, *observed], of states x, [batch, *data]."""
        raise NotImplementedError

    def transpose(self, y: jax.Array, like: jax.Array) -> jax.Array:
        """H^T y, [batch, *data], of y, [batch, *observed]; `like` is of the shape of the result."""
        x: jax.Array = jax.linear_transpose(self.forward, like)(y)[0]
        return x


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Elements(Operator):
    """Some elements, pixels for example; the others are 0.

    Attributes:
        mask: nonzero where they are observed; it broadcasts to [batch, *data].
    """

    mask: ArrayLike
    gram = 1.0

    def forward(self, x: jax.Array) -> jax.Array:
        """x, 0 where it is not observed."""
        return jnp.where(self.mask, x, 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mutual(Operator):
    """How some points of a set lie to each other, about their own centre; the others are 0.

    The projection onto arrays whose places, the first coordinates, add up to 0 over these points,
    and are 0 elsewhere. So it is orthogonal, and of a set without a centre of mass it is in the
    subspace of such sets.

    Attributes:
        mask: nonzero for these points, [batch or 1, n, 1].
        axes: coordinates that are places; the rest is observed as it is.
    """

    mask: ArrayLike
    axes: int = dataclasses.field(default=3, metadata={"static": True})
    gram = 1.0

    def forward(self, x: jax.Array) -> jax.Array:
        """The projection, [batch, n, d] both."""
        there = jnp.asarray(self.mask) != 0
        chosen = jnp.where(there, x, 0)
        count = jnp.maximum(jnp.sum(there, axis=1, keepdims=True), 1).astype(x.dtype)
        centre = jnp.sum(chosen, axis=1, keepdims=True) / count
        places = jnp.arange(x.shape[-1])[None, None] < self.axes
        return jnp.where(there & places, chosen - centre, chosen)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChannelMean(Operator):
    """The mean over the channels, the last axis, which stays with size 1.

    Attributes:
        channels: how many there are.
    """

    channels: int = dataclasses.field(default=3, metadata={"static": True})

    @property
    def gram(self) -> float:
        """1 / channels."""
        return 1 / self.channels

    def forward(self, x: jax.Array) -> jax.Array:
        """[batch, ..., 1]."""
        return jnp.mean(x, axis=-1, keepdims=True)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Average(Operator):
    """The means of the squares of `factor` by `factor` pixels, which tile an image.

    Attributes:
        factor: it divides height and width.
    """

    factor: int = dataclasses.field(metadata={"static": True})

    def __post_init__(self) -> None:
        values.check("factor", self.factor, values.Count)

    @property
    def gram(self) -> float:
        """1 / factor^2."""
        return 1 / self.factor**2

    def forward(self, x: jax.Array) -> jax.Array:
        """[batch, H / factor, W / factor, C], of images [batch, H, W, C]; of all frames likewise.

        Raises:
            ValueError: `factor` does not divide them, or they are no images.
        """
        if x.ndim < 4:
            raise ValueError(f"squares are of images [batch, H, W, C], not of states {x.shape}")
        *before, height, width, channels = x.shape
        f = self.factor
        if height % f or width % f:
            raise ValueError(f"factor={f} must divide the height and width, {height} and {width}")
        return x.reshape(*before, height // f, f, width // f, f, channels).mean((-4, -2))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Blur(Operator):
    """Each channel, correlated with a kernel; beyond its edges an image is 0.

    Attributes:
        kernel: [height, width], both odd, so that it has a middle.
    """

    kernel: ArrayLike

    def forward(self, x: jax.Array) -> jax.Array:
        """[batch, H, W, C], of images of that shape.

        Raises:
            ValueError: the kernel has no middle.
        """
        kernel = jnp.asarray(self.kernel, x.dtype)
        if kernel.ndim != 2 or not all(size % 2 for size in kernel.shape):
            raise ValueError(f"a kernel has two odd sizes, not {kernel.shape}")
        channels = x.shape[-1]
        return jax.lax.conv_general_dilated(
            x,
            jnp.tile(kernel[:, :, None, None], (1, 1, 1, channels)),
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Function(Operator):
    """Any linear function of JAX.

    Attributes:
        function: [batch, *data] to [batch, *observed], linear, each example on its own.
        transposed: its transpose; None: JAX derives it.
    """

    function: Callable[[jax.Array], jax.Array] = dataclasses.field(metadata={"static": True})
    transposed: Callable[[jax.Array], jax.Array] | None = dataclasses.field(
        default=None, metadata={"static": True}
    )

    def forward(self, x: jax.Array) -> jax.Array:
        """See Operator."""
        return self.function(x)

    def transpose(self, y: jax.Array, like: jax.Array) -> jax.Array:
        """See Operator."""
        if self.transposed is None:
            return super().transpose(y, like)
        return self.transposed(y)
