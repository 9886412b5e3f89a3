"""The first half of a U-Net with cross-attention, which a ControlNet has too, and its parts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.added import Added, plus
from score_sde.models.adm import Level
from score_sde.models.blocks import Head, ResBlock
from score_sde.models.cross_embedding import Cond, need
from score_sde.models.layers import Conv, Layer
from score_sde.models.motion import Motion
from score_sde.models.resample import Downsample, Upsample
from score_sde.models.running import Runner
from score_sde.models.spatial_transformer import Beside, SpatialTransformer
from score_sde.values import Length, between

Stage = tuple[ResBlock, SpatialTransformer | None, Motion | None]
Levels = Length(1, 16)  # of options that have an entry for each
Depth = Annotated[int, between(0, 256)]


class TextRunner(Runner):
    """Runs blocks as Runner does, and transformers with the text.

    Args:
        embedding: what residual blocks are told, [batch, features].
        cond: has "text", [batch, n, text_features], and may have "text_mask", bool [batch, n].
        keys: of dropout, in order.
        remat: see Runner; transformers see to it themselves.
        frames: of a video, all of whose frames are told the same; 0 of images.
        beside: keys and values that each transformer looks at beside the text, by its identity;
            see SpatialTransformer.

    Raises:
        ValueError: cond has no text.
    """

    def __init__(
        self,
        embedding: jax.Array,
        cond: Cond,
        keys: Iterator[jax.Array | None],
        remat: bool,
        frames: int = 0,
        beside: Mapping[int, Sequence[Beside]] | None = None,
    ):
        self.frames = frames
        super().__init__(self._of_frames(embedding), keys, remat)
        self.text = self._of_frames(need(cond, "text").astype(embedding.dtype))
        mask = (cond or {}).get("text_mask")
        self.mask = None if mask is None else self._of_frames(mask)
        self.beside = {
            which: jax.tree.map(lambda a: self._of_frames(a.astype(embedding.dtype), 1), pairs)
            for which, pairs in (beside or {}).items()
        }

    def _of_frames(self, of_videos: jax.Array, axis: int = 0) -> jax.Array:
        return jnp.repeat(of_videos, self.frames, axis=axis) if self.frames else of_videos

    def step(self, stage: Stage, h: jax.Array) -> jax.Array:
        """A residual block, and the transformer and the motion after it, if they are there."""
        block, transformer, motion = stage
        h = self(block, h)
        if transformer is not None:
            h = transformer(h, self.text, self.mask, self.beside.get(id(transformer), ()))
        return motion(h, self.frames) if self.frames and motion is not None else h


class TextLevel(Level):
    """A level with transformers for attention.

    Attributes:
        motions: attention over frames after each block, or empty.
    """

    def __init__(
        self,
        blocks: Sequence[ResBlock],
        attentions: Sequence[SpatialTransformer],
        resample: Downsample | Upsample | None,
        motions: Sequence[Motion],
    ):
        super().__init__(blocks, attentions, resample)
        self.motions = nnx.List(motions)

    def stages(self) -> Sequence[Stage]:
        """Each block with what follows it."""
        return list(itertools.zip_longest(self.blocks, self.attentions, self.motions))


class CrossEncoder(nnx.Module):
    """Down to the smallest size, and the blocks there.

    Args:
        plan: makes the parts.
        n_in: channels of what comes in.
    """

    def __init__(self, plan: Plan, n_in: int):
        self.conv_in = Conv(n_in, plan.widths[0], **plan.layer)
        self.down = nnx.List(plan.down())
        self.middle = plan.middle()

    def __call__(
        self, x: jax.Array, run: TextRunner, added: Added, hint: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Features of the smallest size, and all that a decoder is shown.

        Args:
            x: [batch, height, width, n_in].
            run: runs blocks.
            added: see CrossUNet; only its levels.
            hint: added to the first features; None for nothing.
        """
        h = self.conv_in(x)
        h = h if hint is None else h + hint
        skips = [h]
        for i, level in enumerate(self.down):
            name = f"level_{i}"
            for stage in level.stages():
                h = run.step(stage, h)
                skips.append(h)
            if level.attentions:
                h = skips[-1] = plus(h, added, name)
            if level.resample is not None:
                h = run(level.resample, h)
                skips.append(h)
            if not level.attentions:
                h = skips[-1] = plus(h, added, name)
        for stage in self.middle.stages():
            h = run.step(stage, h)
        return plus(h, added, f"level_{len(self.down)}"), skips


@dataclasses.dataclass(frozen=True)
class Plan:
    """Makes the parts; see CrossUNet for the options.

    Raises:
        ValueError: options are not for as many levels as there are widths.
    """

    widths: Sequence[int]
    num_res_blocks: int
    transformer_depth: Sequence[int]
    middle_depth: int
    heads: Sequence[int]
    cross_only: Sequence[int]
    text_features: int
    groups: int
    eps: float
    dropout: float
    remat: bool
    layer: Layer  # what every layer is given: param_dtype and rngs
    motion_heads: int = 0
    motion_depth: int = 1
    motion_frames: int = 1
    motion_middle: bool = False

    def __post_init__(self) -> None:
        for name in ("transformer_depth", "heads"):
            value = getattr(self, name)
            if len(value) != len(self.widths):
                raise ValueError(
                    f"{name}={tuple(value)} must have an entry for each of the "
                    f"{len(self.widths)} widths"
                )
        if unknown := [i for i in self.cross_only if i >= len(self.widths)]:
            raise ValueError(f"cross_only={tuple(self.cross_only)}: there is no level {unknown[0]}")

    def shown(self) -> list[int]:
        """Channels of all that a decoder is shown, in the order of the encoder."""
        found = [self.widths[0]]
        for i, width in enumerate(self.widths):
            found += [width] * (self.num_res_blocks + (i < len(self.widths) - 1))
        return found

    def down(self) -> list[TextLevel]:
        """Levels of the encoder, from the largest size."""
        n, levels = self.widths[0], []
        for i, width in enumerate(self.widths):
            ins = [n] + [width] * (self.num_res_blocks - 1)
            last = i == len(self.widths) - 1
            resample = (
                None if last else Downsample(width, width, fir=None, edge=(1, 1), **self.layer)
            )
            levels.append(self._level(ins, i, resample))
            n = width
        return levels

    def middle(self) -> TextLevel:
        """Blocks of the smallest size: one with a transformer, and one."""
        n, last = self.widths[-1], len(self.widths) - 1
        blocks = [self._block(n, n) for _ in range(2)]
        depth = self.middle_depth
        between = [self._transformer(n, depth, self.heads[last], False)] if depth else []
        motions = self._motions(n, 1) if self.motion_middle else []
        return TextLevel(blocks, between, None, motions)

    def up(self) -> list[TextLevel]:
        """Levels of the decoder, from the smallest size."""
        n, shown, levels = self.widths[-1], self.shown(), []
        for i, width in reversed(list(enumerate(self.widths))):
            ins = []
            for _ in range(self.num_res_blocks + 1):
                ins.append(n + shown.pop())
                n = width
            resample = None if i == 0 else Upsample(width, width, fir=None, **self.layer)
            levels.append(self._level(ins, i, resample))
        return levels

    def head(self, n_out: int) -> Head:
        """The last layers."""
        options = {"groups": self.groups, "eps": self.eps, **self.layer}
        return Head(self.widths[0], n_out, scale=0.0, **options)

    def _level(
        self, ins: Sequence[int], level: int, resample: Downsample | Upsample | None
    ) -> TextLevel:
        width, depth = self.widths[level], self.transformer_depth[level]
        blocks, transformers = [], []
        for n in ins:
            blocks.append(self._block(n, width))
            if depth:
                cross_only = level in self.cross_only
                transformers.append(self._transformer(width, depth, self.heads[level], cross_only))
        return TextLevel(blocks, transformers, resample, self._motions(width, len(ins)))

    def _motions(self, n: int, count: int) -> list[Motion]:
        if not self.motion_heads:
            return []
        options = {
            "heads": self.motion_heads,
            "frames": self.motion_frames,
            "depth": self.motion_depth,
            "groups": self.groups,
        }
        return [Motion(n, **options, remat=self.remat, **self.layer) for _ in range(count)]

    def _block(self, n_in: int, n_out: int) -> ResBlock:
        return ResBlock(
            n_in,
            n_out,
            n_embedding=4 * self.widths[0],
            kind="adm",
            fir=None,
            dropout_rate=self.dropout,
            skip_rescale=False,
            init_scale=0.0,
            groups=self.groups,
            eps=self.eps,
            **self.layer,
        )

    def _transformer(self, n: int, depth: int, heads: int, cross_only: bool) -> SpatialTransformer:
        return SpatialTransformer(
            n,
            self.text_features,
            heads=heads,
            depth=depth,
            cross_only=cross_only,
            groups=self.groups,
            remat=self.remat,
            **self.layer,
        )
