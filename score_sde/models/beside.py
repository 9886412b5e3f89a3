r"""What a network sees beside its state: images, and first frames of the video that it draws.

In place of a state x it sees the channels

    [x, y, m],    y what it is told in [-1, 1] and m = 1 where it is told; both 0 elsewhere,   (1)

as a network that enlarges images sees the small one (Saharia et al. 2021, arXiv 2104.07636), and
one that continues clips their first frames (Voleti et al. 2022, arXiv 2205.09853; Blattmann et al.
2023, arXiv 2311.15127). Its first layer is linear, so that of (1) is

    W x + V [y, m].                                                                            (2)

V is zero at first, exactly: a network begins as one that is told nothing of this kind, with whose
weights it can therefore begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models import tokens
from score_sde.models.conditions.combined import MakeEmbedding, is_beside
from score_sde.models.frames import to_images

_KEY = 0x62657369  # far from the counts that a network's own keys are folded with

Cond = Mapping[str, jax.Array] | None


class Beside(nnx.Module):
    """V [y, m] of equation (2), summed over some conditions.

    Args:
        sides: height and width of an image of the state.
        frames: images of features of a video; 0 of an image.
        conditions: what makes the channels of each, by name; at least one.
        patch: side of the squares that the first layer takes.
        first: makes V of its number of inputs, without a bias.
        time_patch: frames of the data that are one image of features.

    Raises:
        ValueError: a condition is not of such images, or has more frames.
    """

    def __init__(
        self,
        sides: tuple[int, int],
        frames: int,
        conditions: Mapping[str, MakeEmbedding],
        patch: int,
        first: Callable[[int], nnx.Module],
        time_patch: int = 1,
    ):
        none = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}  # channels have no parameters
        self.channels = nnx.Dict({name: conditions[name](0, **none) for name in sorted(conditions)})
        self.sides, self.frames, self.patch = sides, frames, patch
        self.time_patch = time_patch
        inputs = 0
        for name in self.channels:
            field = self.channels[name].field
            _check(field, sides, frames * time_patch)
            inputs += (field.shape[-1] + 1) * max(1, field.shape[-3] // sides[0]) ** 2
        self.first = first(inputs * patch**2 * time_patch)
        kernel = self.first.kernel
        kernel[...] = jnp.zeros_like(kernel[...])

    def __call__(
        self, cond: Cond, images: int, dtype: jnp.dtype, key: jax.Array | None
    ) -> jax.Array:
        """What is added to the first features, [images, height / patch, width / patch, features].

        Args:
            cond: values by name, [images, ...], or [images / frames, ...] of a video.
            images: how many there are: those of all videos one after the other.
            dtype: of the computation.
            key: of dropout; None for none.
        """
        batch, parts = images // max(1, self.frames), []
        for i, name in enumerate(self.channels):
            own_key = None if key is None else jax.random.fold_in(key, _KEY + i)
            found = self.channels[name]((cond or {}).get(name), batch, own_key)
            parts.append(self._placed(found))
        seen = jnp.concatenate(parts, axis=-1).astype(dtype)
        return self.first(tokens.to_channels(seen, self.patch))

    def _placed(self, found: jax.Array) -> jax.Array:
        """The channels of each image of the state; an image is in all frames of a video."""
        frames = max(1, self.frames * self.time_patch)
        if found.ndim == 4:
            found = jnp.repeat(found[:, None], frames, axis=1)
        rest = frames - found.shape[1]
        found = jnp.pad(found, [(0, 0), (0, rest), *3 * [(0, 0)]])
        found = to_images(found, self.time_patch)
        height = found.shape[1]
        if height > self.sides[0]:  # what lies at one place of the state
            return tokens.to_channels(found, height // self.sides[0])
        times = self.sides[0] // height
        return found.repeat(times, axis=1).repeat(times, axis=2)


def apart(
    conditions: Mapping[str, MakeEmbedding],
) -> tuple[dict[str, MakeEmbedding], dict[str, MakeEmbedding]]:
    """The conditions that are embedded, and those that are seen beside the state."""
    seen = {name: make for name, make in conditions.items() if is_beside(make)}
    return {name: make for name, make in conditions.items() if name not in seen}, seen


def values(cond: Cond, beside: Beside | None) -> tuple[Cond, Cond]:
    """The values of conditions that are embedded, and of those that are seen."""
    names = beside.channels if beside is not None else ()
    seen = {name: value for name, value in (cond or {}).items() if name in names}
    return {name: value for name, value in (cond or {}).items() if name not in seen}, seen


def _check(field: Field, sides: tuple[int, int], frames: int) -> None:
    *before, height, width, _ = field.shape
    (long, across), (short, over) = sorted([(height, width), sides], reverse=True)
    times = long // short
    if (short * times, over * times) != (long, across):
        raise ValueError(
            f"{field.words} is shown beside images of {sides[0]}x{sides[1]}: it must be as large, "
            "or a whole number of times larger or smaller"
        )
    if before and not before[0] <= frames:
        raise ValueError(f"{field.words} is shown beside a video of as many frames or more")
