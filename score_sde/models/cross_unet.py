"""The U-Net of latent diffusion, which looks at a text (Rombach et al. 2022, arXiv 2112.10752).

    Stable Diffusion 1       the defaults
    Stable Diffusion 2       heads=(5, 10, 20, 20), text_features=1024
    Stable Diffusion XL      widths=(320, 640, 1280), heads=(5, 10, 20), text_features=2048,
                             transformer_depth=(0, 2, 10), middle_depth=10, added_features=2816
                             (Podell et al. 2023, arXiv 2307.01952)
    its variations of images heads and text_features of 2, image_features=2048
    for inpainting           extra_channels=5: the mask and the latents of what it leaves
    4 times the resolution   extra_channels=3, labels=1000, cross_only=(1, 2), and other sizes

It is ADM (models/adm.py) with models.spatial_transformer for attention, and its embedding is added.
Images may be of any size: a decoder's features are made as large as the encoder's were.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import added as places
from score_sde.models import arguments
from score_sde.models.added import Added, to_decoder
from score_sde.models.arguments import Given, Width
from score_sde.models.conditions.combined import NO_CONDITIONS, MakeEmbedding
from score_sde.models.cross_embedding import Cond, CrossEmbedding, need
from score_sde.models.cross_encoder import CrossEncoder, Depth, Levels, Plan, TextRunner
from score_sde.models.layers import Layer
from score_sde.models.running import key_sequence
from score_sde.models.shapes import image_shape
from score_sde.models.spatial_transformer import Beside
from score_sde.values import Count, Every, Share, above, between

Key = jax.Array | None


class CrossUNet(nnx.Module):
    """The U-Net.

    Args:
        shape: of the data, (height, width, channels); height and width are those of training.
        widths: features at each size, from the largest.
        num_res_blocks: residual blocks at each size of the encoder; the decoder has one more.
        transformer_depth: blocks of the transformer after each residual block, at each size; 0 for
          no transformer.
        middle_depth: of the transformer between encoder and decoder; 0 for none.
        heads: of attention, at each size.
        cross_only: levels, counted from 0 for the largest size, whose transformers look at the text
          in all their attention.
        text_features: of a token of the text.
        guidance_features: of the scale of guidance, that a distilled network is told; 0 for none.
        added_features: of the pooled text and the sizes of the picture together; 0 for neither.
        size_features: sines and cosines of each of these sizes.
        image_features: features of an image whose variations are asked for; 0 for none.
        labels: rows of a table of what "label" is told, such as the noise level of an image that is
          enlarged; 0 for none.
        extra_channels: of an image that is shown beside the state, "concat".
        motion_heads: of attention over the frames of a video, see models.motion; 0 for a network of
          images alone.
        motion_depth: blocks of it after each residual block and transformer.
        motion_frames: the most that a video has.
        motion_middle: whether it is between encoder and decoder too.
        groups: of the group norms; they divide all widths.
        eps: of the group norms of residual blocks and of the last layers.
        dropout: rate of the dropout in each residual block.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: what makes the embedding of each other condition, by name; see
          conditions.combined.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that is unknown, or options that contradict each other.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (64, 64, 4),
        widths: Annotated[Sequence[Width], Levels] = (320, 640, 1280, 1280),
        num_res_blocks: Annotated[int, between(1, 32)] = 2,
        transformer_depth: Annotated[Sequence[Depth], Levels] = (1, 1, 1, 0),
        middle_depth: Depth = 1,
        heads: Annotated[Sequence[Count], Levels] = (8, 8, 8, 8),
        cross_only: Sequence[Depth] = (),
        text_features: Count = 768,
        guidance_features: Every = 0,
        added_features: Every = 0,
        size_features: Count = 256,
        image_features: Every = 0,
        labels: Every = 0,
        extra_channels: Every = 0,
        motion_heads: Every = 0,
        motion_depth: Count = 1,
        motion_frames: Count = 32,
        motion_middle: bool = True,
        groups: Count = 32,
        eps: Annotated[float, above(0)] = 1e-5,
        dropout: Share = 0.0,
        learn_variance: Given[bool] = False,
        centered: Given[bool] = True,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(CrossUNet, locals())
        self.shape = image_shape(shape, 0)
        channels = self.shape[-1]
        self.extra_channels, self.text_features = extra_channels, text_features
        self.centered, self.dtype, self.remat = centered, jnp.dtype(dtype), remat
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.told = CrossEmbedding(
            widths[0],
            guidance_features=guidance_features,
            added_features=added_features,
            size_features=size_features,
            image_features=image_features,
            labels=labels,
            conditions=conditions,
            **layer,
        )
        plan = Plan(
            widths=widths,
            num_res_blocks=num_res_blocks,
            transformer_depth=transformer_depth,
            middle_depth=middle_depth,
            heads=heads,
            cross_only=cross_only,
            text_features=text_features,
            groups=groups,
            eps=eps,
            dropout=dropout,
            remat=remat,
            layer=layer,
            motion_heads=motion_heads,
            motion_depth=motion_depth,
            motion_frames=motion_frames,
            motion_middle=motion_middle and motion_heads > 0,
        )
        self.moves = motion_heads > 0
        self.encoder = CrossEncoder(plan, channels + extra_channels)
        self.up = nnx.List(plan.up())
        self.head = plan.head(channels * (1 + learn_variance))
        self.skips = len(plan.shown())

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
        added: Added | None = None,
        beside: Sequence[Sequence[Beside]] = (),
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy images, [batch, height, width, channels] of any height and width; float64 is
                kept. Of a network with motion also videos, [batch, frames, height, width,
                channels]; an image is what it is without motion.
            noise_label: of each, [batch]: time steps, 0 to 999.
            cond: by name. "text": [batch, n, text_features]; "text_mask": which of its tokens there
                are, bool [batch, n], all if it is missing; "concat": [batch, height, width,
                extra_channels]; and see CrossEmbedding.
            key: JAX random key of dropout and of conditions; None for neither.
            added: arrays that are added to features, by where: "skip_I" to what the decoder is
                shown, I counted in the order of the encoder; "middle" to the features between both;
                "level_I" to the encoder's own, after the last block of the level, or after its
                halving where it has no transformers, and after the middle for the level beyond the
                last. See models.controlnet and models.t2i_adapter; None for nothing.
            beside: of each image that prompts, keys and values for each block of the transformers,
                [batch, m, features] each, in the order of encoder, decoder, and between them; what
                attention to them gives is added to that to the text. See models.image_prompt.

        Returns:
            The shape of x, or twice its channels with learn_variance, in float32 (float64 for
            float64).

        Raises:
            ValueError: an array of another shape than this network takes; cond has what the network
                is not told, or lacks what it has to be.
        """
        added, by_transformer = self._checked(added or {}), self._by_transformer(beside)
        if x.ndim == 5:
            return self._video(x, noise_label, cond, key, added, by_transformer)
        return self._images(x, noise_label, cond, key, added, by_transformer, 0)

    def _video(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Cond,
        key: Key,
        added: Added,
        beside: Mapping[int, Sequence[Beside]],
    ) -> jax.Array:
        """Of videos, whose frames are images one after the other that motion looks at."""
        if not self.moves:
            raise ValueError(f"x is {x.shape}, a video; this network has no motion: motion_heads=0")
        frames, image = x.shape[1], x.shape[2:]
        out = self._images(x.reshape(-1, *image), noise_label, cond, key, added, beside, frames)
        return out.reshape(-1, frames, *image[:2], out.shape[-1])

    def _images(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Cond,
        key: Key,
        added: Added,
        beside: Mapping[int, Sequence[Beside]],
        frames: int,
    ) -> jax.Array:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = key_sequence(key)
        also = ("concat",) if self.extra_channels else ()
        told = self.told(noise_label.astype(wide), cond, next(keys), also)
        run = TextRunner(told.astype(compute), cond, keys, self.remat, frames, beside)
        h = (x if self.centered else 2 * x - 1).astype(compute)
        if self.extra_channels:
            shown = need(cond, "concat").astype(compute)
            shown = shown.reshape(-1, *shown.shape[2:]) if frames else shown
            h = jnp.concatenate([h, shown], axis=-1)
        _check_inputs(h, self.shape[-1] + self.extra_channels, run.text, self.text_features)
        h, skips = self.encoder(h, run, added)
        h, skips = to_decoder(h, skips, added)
        for level in self.up:
            for stage in level.stages():
                h = run.step(stage, jnp.concatenate([h, skips.pop()], axis=-1))
            if level.resample is not None:
                h = level.resample(h, skips[-1].shape[1:3])
        return self.head(h).astype(wide)

    def _checked(self, added: Added) -> Added:
        levels = {f"level_{i}" for i in range(len(self.encoder.down) + 1)}
        places.check(added, self.skips, levels)
        return added

    def _by_transformer(self, beside: Sequence[Sequence[Beside]]) -> dict[int, tuple[Beside, ...]]:
        """What each transformer looks at, by its identity: [depth, batch, m, features] each."""
        levels = (*self.encoder.down, *self.up, self.encoder.middle)
        transformers = [transformer for level in levels for transformer in level.attentions]
        own = [t.channels for t in transformers for _ in range(t.blocks.depth)]
        for pairs in beside:
            if (theirs := [keys.shape[-1] for keys, _ in pairs]) != own:
                raise ValueError(
                    f"keys of an image are for {len(theirs)} blocks of {sorted(set(theirs))} "
                    f"features, and this network has {len(own)} of {sorted(set(own))}"
                )
        found = {}
        ends = itertools.accumulate(t.blocks.depth for t in transformers)
        for transformer, end in zip(transformers, ends, strict=True):
            part = slice(end - transformer.blocks.depth, end)
            stacked = (jax.tree.map(lambda *a: jnp.stack(a), *pairs[part]) for pairs in beside)
            found[id(transformer)] = tuple(stacked)
        return found


def _check_inputs(h: jax.Array, channels: int, text: jax.Array, features: int) -> None:
    if h.ndim != 4 or h.shape[-1] != channels:
        raise ValueError(f"x is {h.shape}; this network is for [batch, height, width, {channels}]")
    if text.ndim != 3 or text.shape[-1] != features:
        raise ValueError(f"text is {text.shape}; this network is for [batch, n, {features}]")
