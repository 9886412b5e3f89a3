"""Networks of videos: those of images, with attention over the frames between their layers.

A network of images that makes its blocks by a method is one of videos by another method: each of
its attentions over an image is followed by one over the frames (models.frames; Ho et al. 2022,
arXiv 2204.03458, Figure 1), at each place alone or, where a U-Net is told so, over all places. A
U-Net's residual blocks can be followed by a convolution over the frames too. All else is done frame
by frame, and told the same. Its arrays have the paths that they have in the
network of images, whose weights it can therefore begin with.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from score_sde import values
from score_sde.models import arguments, tokens
from score_sde.models.arguments import Given
from score_sde.models.beside import Beside
from score_sde.models.blocks import Attention, ResBlock
from score_sde.models.dit import DiT, DiTBlock, Telling
from score_sde.models.embeddings import positional
from score_sde.models.frames import TimeAttention, TimeConv, to_images, to_videos
from score_sde.models.shapes import check_state
from score_sde.models.spread import spread
from score_sde.models.told import Told
from score_sde.models.unet import UNet
from score_sde.models.unet_levels import Builder
from score_sde.values import Count, between


class SpaceTimeAttention(Attention):
    """Attention over an image, then over the frames.

    Args:
        channels: channels of input and output.
        heads: of the attention over frames.
        frames: of a video.
        joint: whether that is over all places, see TimeAttention.
        options: of the attention over an image.
    """

    def __init__(self, channels: int, heads: int, frames: int, joint: bool, **options: Any):
        super().__init__(channels, **options)
        layer = {name: options[name] for name in ("param_dtype", "rngs")}
        self.time = TimeAttention(channels, heads, frames, joint=joint, **layer)

    def __call__(
        self, x: jax.Array, seen: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """The shape of x, [videos frames, height, width, channels]; see Attention."""
        return self.time(super().__call__(x, seen, mask))


class SpaceTimeResBlock(ResBlock):
    """A residual block, then a convolution over the frames.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        taps: frames that the convolution sees.
        frames: of a video.
        options: of the block.
    """

    def __init__(self, n_in: int, n_out: int, taps: int, frames: int, **options: Any):
        super().__init__(n_in, n_out, **options)
        layer = {name: options[name] for name in ("group_size", "param_dtype", "rngs")}
        self.time = TimeConv(n_out, taps, frames, **layer)

    def __call__(
        self, x: jax.Array, embedding: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """[videos frames, height, width, n_in] to as many features as n_out; see ResBlock."""
        return self.time(super().__call__(x, embedding, key))


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

    def __call__(  # type: ignore[override]  # frames are whole: no mask
        self, h: jax.Array, told: jax.Array, angles: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """[videos frames, tokens, channels] to the same; see DiTBlock."""
        return self.time(super().__call__(h, told, angles, key))


class JointBlock(DiTBlock):
    """A block of a DiT over the tokens of all frames.

    Args:
        channels: features of a token.
        heads: of attention.
        frames: of a video.
        options: of the block.
    """

    def __init__(self, channels: int, heads: int, frames: int, **options: Any):
        super().__init__(channels, heads, **options)
        self.frames = frames

    def __call__(  # type: ignore[override]  # frames are whole: no mask
        self, h: jax.Array, told: jax.Array, angles: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """[videos frames, tokens, channels] to the same, told what the frames of each are told."""
        video = h.reshape(-1, self.frames * h.shape[1], h.shape[2])
        return super().__call__(video, told[:: self.frames], angles, key).reshape(h.shape)


class Frames:
    """What goes before a network of images among the bases of one of videos.

    Attributes:
        frames: images of features of a video.
        time_patch: frames of the data that are the channels of one such image.
    """

    frames: int
    time_patch: int
    shape: tuple[int, int, int]

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
        *sides, channels = self.shape
        channels //= self.time_patch
        check_state(x, (self.frames * self.time_patch, *sides, channels))
        images = to_images(x, self.time_patch)
        labels = jnp.repeat(noise_label, self.frames)
        # Of the network of images, which stands after it among the bases.
        out = super().__call__(images, labels, cond, key=key)  # type: ignore[misc]
        return to_videos(out, x.shape[1], self.time_patch, channels)

    def of_frames(self, told: Any) -> Any:
        """What is told of each video, [batch, ...], for each of its frames."""
        return jax.tree.map(lambda a: jnp.repeat(a, self.frames, axis=0), told)

    def _beside(self, *args: Any) -> Beside:
        """What is seen beside each frame; see models.beside."""
        sides, patch, first = args
        return Beside(self.shape[:2], self.frames, sides, patch, first, time_patch=self.time_patch)

    def of_videos(self, noise_label: jax.Array) -> jax.Array:
        """What `__call__` was given, from what the network of images is."""
        return noise_label[:: self.frames]


class VideoUNet(Frames, UNet):  # type: ignore[misc]  # without what a ControlNet adds
    """A UNet whose every attention is followed by one over the frames.

    Args:
        shape: of the data, (frames, height, width, channels).
        time_heads: of the attention over the frames; each must have an even number of features, or
            a multiple of 8 where it is joint.
        joint_resolutions: those of attn_resolutions, or the smallest size, where attention over the
            frames sees all places of all frames, which follows what moves, and not each place
            alone.
        time_taps: frames that a convolution over time sees after each residual block, an odd
            number; 0 for no such convolutions.
        time_patch: frames that are the channels of one image; 1 for each on its own.

    Raises:
        ValueError: an option that is unknown, or options that contradict each other.
    """

    @arguments.also(UNet)
    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (16, 32, 32, 3),
        time_heads: Count = 4,
        joint_resolutions: Sequence[Count] = (),
        time_taps: Annotated[int, between(0, 31)] = 0,
        time_patch: Count = 1,
        **others: Any,
    ):
        values.check("time_heads", time_heads, Count)
        values.check("joint_resolutions", joint_resolutions, Sequence[Count])
        values.check("time_taps", time_taps, Annotated[int, between(0, 31)])
        if time_taps and time_taps % 2 == 0:
            raise ValueError(f"time_taps={time_taps}: give an odd number, or 0 for none")
        self.frames, image = frames_and_image(shape, time_patch)
        self.time_patch = time_patch
        self.time_heads, self.joint_resolutions = time_heads, tuple(joint_resolutions)
        self.time_taps = time_taps
        super().__init__(shape=image, **others)

    def _builder(self, **options: Any) -> Builder:
        with_attention = {*options["attn_resolutions"], options["sizes"][-1]}
        for size in self.joint_resolutions:
            if size not in with_attention:
                raise ValueError(
                    f"joint_resolutions={self.joint_resolutions}: there is attention at "
                    f"{' and '.join(map(str, sorted(with_attention)))}, none at {size}"
                )
        return VideoBuilder(
            **options,
            frames=self.frames,
            time_heads=self.time_heads,
            joint_resolutions=self.joint_resolutions,
            time_taps=self.time_taps,
        )

    def _told(self, noise_label: jax.Array, *rest: Any) -> Told:
        told: Told = self.of_frames(super()._told(self.of_videos(noise_label), *rest))
        return told


class VideoDiT(Frames, DiT):
    """A DiT whose every block is followed by attention over the frames, of as many heads.

    Args:
        shape: of the data, (frames, height, width, channels).
        joint: whether the blocks' own attention is over the tokens of all frames instead (Yang et
            al. 2024, arXiv 2408.06072, Section 2.2), with rotary positions on three axes and
            the frame's number as sines and cosines. Then nothing is as in the network of images,
            and a head has a multiple of 8 features.
        time_patch: frames that are the channels of one image; 1 for each on its own.

    Raises:
        ValueError: an option that is unknown, or a patch that does not divide the image.
    """

    @arguments.also(DiT)
    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (16, 32, 32, 3),
        joint: bool = False,
        time_patch: Count = 1,
        **others: Any,
    ):
        values.check("joint", joint, bool)
        self.frames, image = frames_and_image(shape, time_patch)
        self.joint, self.time_patch = joint, time_patch
        super().__init__(shape=image, **others)
        if joint and self.head_features % 8:
            raise ValueError(f"joint: {self.head_features} features a head are no multiple of 8")

    def _block(self, channels: int, heads: int, **options: Any) -> DiTBlock:
        if not self.joint:
            return SpaceTimeBlock(channels, heads, self.frames, **options)
        return JointBlock(channels, heads, self.frames, **options)

    def _tokens(self, x: jax.Array, seen: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
        h, angles = super()._tokens(x, seen)
        if not self.joint:
            return h, angles
        wide = jnp.promote_types(x.dtype, jnp.float32)
        number = positional(jnp.arange(self.frames, dtype=wide), h.shape[-1]).astype(h.dtype)
        number = jnp.tile(number, (len(h) // self.frames, 1))
        h = h + spread(number[:, None], h)
        sizes = (self.frames, self.rows, self.columns)
        angles = tokens.volume_angles(sizes, self.head_features, wide)
        angles = angles.reshape(self.frames, -1, angles.shape[-1])
        registers = h.shape[1] - angles.shape[1]  # which are nowhere: they are not turned
        angles = jnp.pad(angles, ((0, 0), (registers, 0), (0, 0)))
        return h, angles.reshape(-1, angles.shape[-1])

    def _told(self, by: Telling, noise_label: jax.Array, *rest: Any) -> jax.Array:
        told: jax.Array = self.of_frames(super()._told(by, self.of_videos(noise_label), *rest))
        return told


class VideoBuilder(Builder):
    """Makes the parts of a VideoUNet."""

    def __init__(
        self,
        *,
        frames: int,
        time_heads: int,
        joint_resolutions: Sequence[int],
        time_taps: int,
        **options: Any,
    ):
        super().__init__(**options)
        self.frames, self.time_heads = frames, time_heads
        self.joint_resolutions, self.time_taps = joint_resolutions, time_taps

    def block(self, n_in: int, n_out: int, resample: str | None = None) -> ResBlock:
        """A residual block, which may change the size."""
        if not self.time_taps:
            return super().block(n_in, n_out, resample)
        options = self.block_options(resample)
        return SpaceTimeResBlock(n_in, n_out, self.time_taps, self.frames, **options)

    def attention(self, n: int, size: int) -> SpaceTimeAttention:
        """Attention of n features at one of the sizes."""
        joint = size in self.joint_resolutions
        return SpaceTimeAttention(
            n, self.time_heads, self.frames, joint, **self.attention_options()
        )


def frames_and_image(shape: Sequence[int], time_patch: int) -> tuple[int, tuple[int, ...]]:
    """How many images of features videos have, and the shape of one, (height, width, channels).

    Raises:
        ValueError: that is no shape of videos, or time_patch does not divide their frames.
    """
    values.check("time_patch", time_patch, Count)
    if len(shape) != 4:
        raise ValueError(
            f"this network is for videos, (frames, height, width, channels), not for {tuple(shape)}"
        )
    if shape[0] % time_patch:
        raise ValueError(f"time_patch={time_patch} does not divide {shape[0]} frames")
    return shape[0] // time_patch, (*shape[1:3], time_patch * shape[3])
