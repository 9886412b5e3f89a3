"""Networks of videos: those of images, with attention over the frames between their layers.

A network of images that makes its blocks by a method is one of videos by another method: each of
its attentions over an image is followed by one over the frames (models.frames; Ho et al. 2022,
arXiv 2204.03458, Figure 1). All else is done frame by frame, and told the same. Its arrays have the
paths that they have in the network of images, whose weights it can therefore begin with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde import values
from score_sde.models import arguments
from score_sde.models.arguments import Given
from score_sde.models.beside import Beside
from score_sde.models.blocks import Attention
from score_sde.models.dit import DiT, DiTBlock
from score_sde.models.frames import TimeAttention
from score_sde.models.shapes import check_state
from score_sde.models.told import Told
from score_sde.models.unet import UNet
from score_sde.models.unet_levels import Builder
from score_sde.values import Count


class SpaceTimeAttention(Attention):
    """Attention over an image, then over the frames.

    Args:
        channels: channels of input and output.
        heads: of the attention over frames.
        frames: of a video.
        options: of the attention over an image.
    """

    def __init__(self, channels: int, heads: int, frames: int, **options: Any):
        super().__init__(channels, **options)
        layer = {name: options[name] for name in ("param_dtype", "rngs")}
        self.time = TimeAttention(channels, heads, frames, **layer)

    def __call__(
        self, x: jax.Array, seen: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """The shape of x, [videos frames, height, width, channels]; see Attention."""
        return self.time(super().__call__(x, seen, mask))


class SpaceTimeBlock(DiTBlock):
    """A block of a DiT, then attention over the frames.

    Args:
        channels: features of a token.
        heads: of both.
        frames: of a video.
        options: of the block.
    """

    def __init__(self, channels: int, heads: int, frames: int, **options: Any):
        super().__init__(channels, heads, **options)
        layer = {name: options[name] for name in ("param_dtype", "rngs")}
        self.time = TimeAttention(channels, heads, frames, **layer)

    def __call__(
        self, h: jax.Array, told: jax.Array, angles: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """[videos frames, tokens, channels] to the same; see DiTBlock."""
        return self.time(super().__call__(h, told, angles, key))


class Frames:
    """What goes before a network of images among the bases of one of videos.

    Attributes:
        frames: of a video.
    """

    frames: int

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy videos, [batch, frames, height, width, channels]; float64 is kept.
            noise_label: noise level of each, [batch]; see the network of images.
            cond: conditions by name, [batch, ...] each; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, in float32 (float64 for float64); twice the channels with
            learn_variance.

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, (self.frames, *self.shape))
        images = x.reshape(-1, *self.shape)
        out = super().__call__(images, jnp.repeat(noise_label, self.frames), cond, key=key)
        return out.reshape(*x.shape[:-1], out.shape[-1])

    def of_frames(self, told: Any) -> Any:
        """What is told of each video, [batch, ...], for each of its frames."""
        return jax.tree.map(lambda a: jnp.repeat(a, self.frames, axis=0), told)

    def _beside(self, *args: Any) -> Beside:
        """What is seen beside each frame; see models.beside."""
        return Beside(self.shape[:2], self.frames, *args)

    def of_videos(self, noise_label: jax.Array) -> jax.Array:
        """What `__call__` was given, from what the network of images is."""
        return noise_label[:: self.frames]


class VideoUNet(Frames, UNet):
    """A UNet whose every attention is followed by one over the frames.

    Args:
        shape: of the data, (frames, height, width, channels).
        time_heads: of the attention over the frames; each must have an even number of features.

    Raises:
        ValueError: an option that is unknown, or options that contradict each other.
    """

    @arguments.also(UNet)
    def __init__(
        self, *, shape: Given[Sequence[int]] = (16, 32, 32, 3), time_heads: Count = 4, **others: Any
    ):
        values.check("time_heads", time_heads, Count)
        self.frames, image = frames_and_image(shape)
        self.time_heads = time_heads
        super().__init__(shape=image, **others)

    def _builder(self, **options: Any) -> Builder:
        return VideoBuilder(**options, frames=self.frames, time_heads=self.time_heads)

    def _told(self, noise_label: jax.Array, *rest: Any) -> Told:
        return self.of_frames(super()._told(self.of_videos(noise_label), *rest))


class VideoDiT(Frames, DiT):
    """A DiT whose every block is followed by attention over the frames, of as many heads.

    Args:
        shape: of the data, (frames, height, width, channels).

    Raises:
        ValueError: an option that is unknown, or a patch that does not divide the image.
    """

    @arguments.also(DiT)
    def __init__(self, *, shape: Given[Sequence[int]] = (16, 32, 32, 3), **others: Any):
        self.frames, image = frames_and_image(shape)
        super().__init__(shape=image, **others)

    def _block(self, channels: int, heads: int, **options: Any) -> DiTBlock:
        return SpaceTimeBlock(channels, heads, self.frames, **options)

    def _told(self, by: nnx.Module, noise_label: jax.Array, *rest: Any) -> jax.Array:
        return self.of_frames(super()._told(by, self.of_videos(noise_label), *rest))


class VideoBuilder(Builder):
    """Makes the parts of a VideoUNet."""

    def __init__(self, *, frames: int, time_heads: int, **options: Any):
        super().__init__(**options)
        self.frames, self.time_heads = frames, time_heads

    def attention(self, n: int) -> SpaceTimeAttention:
        """Attention of n features."""
        return SpaceTimeAttention(n, self.time_heads, self.frames, **self.attention_options())


def frames_and_image(shape: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """The frames of videos and the shape of one, (height, width, channels).

    Raises:
        ValueError: that is no shape of videos.
    """
    if len(shape) != 4:
        raise ValueError(
            f"this network is for videos, (frames, height, width, channels), not for {tuple(shape)}"
        )
    return shape[0], tuple(shape[1:])
