"""NCSN and NCSNv2, the score networks of Song and Ermon (2019, 1907.05600; 2020, 2006.09011).

Both are a RefineNet. NCSN is told the noise level's index in every norm, and outputs the score.
NCSNv2 is told nothing: its norms are plain, the joining blocks have none, and its output is divided
by sigma outside (parametrization "scaled_score").

Released weights of both load: see interop.refinenet.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Multiples
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    refuse_conditions,
)
from score_sde.models.layers import Conv, Layer
from score_sde.models.refinenet import InstanceNormPlus, RefineBlock, ResidualBlock
from score_sde.models.shapes import check_state, image_shape
from score_sde.values import between

# The norm compares feature maps, of which there are at least 2.
Maps = Annotated[int, between(2, 2**20)]


class _RefineNet(nnx.Module):
    """What both networks are; see NCSN for the arguments."""

    def __init__(
        self,
        *,
        shape: Sequence[int],
        channels: int,
        channel_mult: Sequence[int],
        dilations: Sequence[int],
        num_scales: int,
        centered: bool,
        conditions: Mapping[str, MakeEmbedding],
        dtype: jnp.dtype,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        down = _halvings(channel_mult, dilations)
        self.shape = image_shape(shape, sum(down))
        refuse_conditions(conditions)
        data_channels = self.shape[-1]
        self.centered, self.dtype = centered, jnp.dtype(dtype)

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = functools.partial(InstanceNormPlus, num_scales=num_scales, **layer)
        widths = [channels * multiple for multiple in channel_mult]
        self.conv_in = Conv(data_channels, channels, **layer)
        self.stages: nnx.List[nnx.List[ResidualBlock]] = nnx.List()
        for n_in, n_out, halve, dilation in zip(
            [channels, *widths], widths, down, dilations, strict=False
        ):
            block = functools.partial(ResidualBlock, dilation=dilation, norm=norm, **layer)
            self.stages.append(
                nnx.List(
                    [
                        block(n_in, n_out, first=True, down=halve),
                        block(n_out, n_out, first=False, down=False),
                    ]
                )
            )
        self.refine: nnx.List[RefineBlock] = nnx.List()
        previous: list[int] = []
        for i in reversed(range(len(widths))):
            n_out = widths[i] if not previous else widths[max(i - 1, 0)]
            self.refine.append(
                RefineBlock(
                    [widths[i], *previous],
                    n_out,
                    n_end=3 if i == 0 else 1,
                    norm=norm if num_scales else None,
                    **layer,
                )
            )
            previous = [n_out]
        self.norm_out = norm(widths[0])
        self.conv_out = Conv(widths[0], data_channels, **layer)

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
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: index of the noise level of each, the largest noise first, [batch]; NCSNv2
                ignores it.
            cond: must be empty or None.
            key: not used: there is no dropout.

        Returns:
            The shape of x, in float32 (float64 for float64).

        Raises:
            ValueError: x is not of the network's shape, or a condition is given.
        """
        check_state(x, self.shape)
        check_told(cond, ())
        wide = jnp.promote_types(x.dtype, jnp.float32)
        level = jnp.round(noise_label).astype(jnp.int32)
        h = (x if self.centered else 2 * x - 1).astype(wide if wide == jnp.float64 else self.dtype)
        h, features = self.conv_in(h), []
        for stage in self.stages:
            for block in stage:
                h = block(h, level)
            features.append(h)
        joined = self.refine[0]([features.pop()], level)
        for refine in list(self.refine)[1:]:
            joined = refine([features.pop(), joined], level)
        return self.conv_out(jax.nn.elu(self.norm_out(joined, level))).astype(wide)


class NCSN(_RefineNet):
    """The noise-conditional score network (Song and Ermon 2019, arXiv 1907.05600, Appendix A).

    Args:
        shape: of the data, (height, width, channels).
        channels: features of the first stage.
        channel_mult: features of each stage, as multiples of `channels`.
        dilations: of each stage's convolutions. A stage with 1, but for the first, halves the size;
            the others widen their view instead.
        num_scales: number of noise levels, each with its own parameters in every norm.
        noise_label: what of the time it is called with: the level's index, "level".
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: must be empty.
        dtype: of the computation; statistics and output stay in float32.
        param_dtype: of the parameters.
        rngs: random stream `params` of the initialisation. None is kept.

    Raises:
        ValueError: options that contradict each other.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (32, 32, 3),
        channels: Maps = 128,
        channel_mult: Multiples = (1, 2, 2, 2),
        dilations: Multiples = (1, 1, 2, 4),
        num_scales: Given[int | None] = 10,
        noise_label: Given[str] = "level",
        centered: Given[bool] = False,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(NCSN, locals())
        if num_scales is None or num_scales < 1:
            raise ValueError(
                f"num_scales={num_scales}: this network embeds the noise levels of a discrete "
                "sequence, of which there must be at least 1"
            )
        if noise_label != "level":
            raise ValueError(
                f"noise_label={noise_label}: this network is told the level: use noise_label=level"
            )
        super().__init__(
            shape=shape,
            channels=channels,
            channel_mult=channel_mult,
            dilations=dilations,
            num_scales=num_scales,
            centered=centered,
            conditions=conditions,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )


class NCSNv2(_RefineNet):
    """The second network (Song and Ermon 2020, arXiv 2006.09011, Appendix B): unconditional.

    For 128 pixels it has channel_mult (1, 2, 2, 4, 4) and dilations (1, 1, 1, 2, 4); for 256,
    (1, 2, 2, 2, 4, 4) and (1, 1, 1, 1, 2, 4).

    Args:
        shape: of the data, as for NCSN, and so are the others.
        channels: features of the first stage.
        channel_mult: features of each stage, as multiples of `channels`.
        dilations: of each stage's convolutions.
        centered: whether data are in [-1, 1].
        conditions: must be empty.
        dtype: of the computation.
        param_dtype: of the parameters.
        rngs: random stream `params` of the initialisation.

    Raises:
        ValueError: options that contradict each other.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (32, 32, 3),
        channels: Maps = 128,
        channel_mult: Multiples = (1, 2, 2, 2),
        dilations: Multiples = (1, 1, 2, 4),
        centered: Given[bool] = False,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(NCSNv2, locals())
        super().__init__(
            shape=shape,
            channels=channels,
            channel_mult=channel_mult,
            dilations=dilations,
            num_scales=0,
            centered=centered,
            conditions=conditions,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )


def _halvings(channel_mult: Sequence[int], dilations: Sequence[int]) -> list[bool]:
    """Whether each stage halves the size.

    Raises:
        ValueError: there are no stages, or the two differ in length.
    """
    if not channel_mult or len(channel_mult) != len(dilations):
        raise ValueError(
            f"channel_mult {tuple(channel_mult)} and dilations {tuple(dilations)} need one entry "
            "for each stage"
        )
    return [i > 0 and dilation == 1 for i, dilation in enumerate(dilations)]
