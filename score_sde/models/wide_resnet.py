"""A Wide ResNet that is told the noise level (Zagoruyko and Komodakis 2016, arXiv 1605.07146).

The time-dependent classifier p(y | x_t) of Song et al. (2021, arXiv 2011.13456, Appendix I.1): a
WRN-28-10 with a Fourier embedding of log sigma, projected and added in every residual block. It is
made of the blocks of the U-Net, so three things differ from the Wide ResNet of the paper:

- group norm in place of batch norm, whose running averages would mix all noise levels, and which
  would make the gradient at one image depend on the others of its batch;
- swish in place of ReLU: guidance follows the gradient with respect to the image;
- images are halved by the mean of 2x2 pixels in place of a stride, as in BigGAN's blocks.

None changes the number of parameters, but for the biases and the embedding.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count
from score_sde.models import arguments
from score_sde.models.arguments import Given
from score_sde.models.blocks import ResBlock
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    refuse_conditions,
)
from score_sde.models.embeddings import NoiseEmbedding
from score_sde.models.layers import Conv, Dense, GroupNorm, Layer
from score_sde.models.shapes import check_state, image_shape
from score_sde.values import Count, Positive, Share, between

BASE_CHANNELS = 16


class WideResNet(nnx.Module):
    """WRN-depth-width: three sizes of the image, with 16, 32 and 64 times `width` channels.

    Args:
        shape: of the data, (height, width, channels); height and width are multiples of 4.
        classes: number of classes.
        depth: layers on the main path, 6 n + 4 for n residual blocks at each size.
        width: factor of the channels.
        dropout: rate of the dropout in each residual block.
        noise_channels: Fourier frequencies of log noise_label; its embedding has four times as
          many features.
        fourier_scale: standard deviation of the frequencies.
        conditions: must be empty.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        group_size: fewest channels in a group of a group norm; there are at most 32 groups.
        dtype: of the computation; statistics and output stay in float32.
        param_dtype: of the parameters.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (32, 32, 3),
        classes: Given[int] = 10,
        depth: Annotated[int, between(10, 1000)] = 28,
        width: Annotated[int, between(1, 2**14)] = 10,
        dropout: Share = 0.0,
        noise_channels: Annotated[int, between(1, 2**20)] = 128,
        fourier_scale: Positive = 16.0,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        centered: Given[bool] = True,
        group_size: Count = 4,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(WideResNet, locals())
        if depth % 6 != 4:
            raise ValueError(f"depth must be 6 n + 4, such as 10 or 28, not {depth}")
        check_count("classes", classes)
        refuse_conditions(conditions)
        self.shape = image_shape(shape, 2)
        self.centered, self.dtype = centered, jnp.dtype(dtype)

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.noise_embedding = NoiseEmbedding(
            noise_channels, kind="fourier", fourier_scale=fourier_scale, **layer
        )
        self.conv_in = Conv(self.shape[-1], BASE_CHANNELS, **layer)
        blocks, n = [], BASE_CHANNELS
        for group, factor in enumerate((1, 2, 4)):
            for index in range((depth - 4) // 6):
                blocks.append(
                    ResBlock(
                        n,
                        BASE_CHANNELS * factor * width,
                        n_embedding=4 * noise_channels,
                        kind="biggan",
                        resample="down" if group and not index else None,
                        fir=None,
                        dropout_rate=dropout,
                        skip_rescale=False,
                        init_scale=1.0,
                        group_size=group_size,
                        **layer,
                    )
                )
                n = BASE_CHANNELS * factor * width
        self.blocks = nnx.List(blocks)
        self.norm = GroupNorm(n, group_size=group_size, param_dtype=param_dtype)
        self.dense = Dense(n, classes, **layer)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The logits of the classes at x.

        Args:
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: noise level of each, [batch], positive; its logarithm is embedded.
            cond: must be empty or None.
            key: JAX random key of dropout; None for none.

        Returns:
            [batch, classes], in float32 (float64 for float64).

        Raises:
            ValueError: x is not of the network's shape, or a condition is given.
        """
        check_state(x, self.shape)
        check_told(cond, ())
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        embedding = jax.nn.silu(self.noise_embedding(noise_label.astype(wide))).astype(compute)
        h = self.conv_in((x if self.centered else 2 * x - 1).astype(compute))
        for index, block in enumerate(self.blocks):
            h = block(h, embedding, None if key is None else jax.random.fold_in(key, index))
        features = jax.nn.silu(self.norm(h)).astype(wide).mean(axis=(1, 2))
        return self.dense(features)
