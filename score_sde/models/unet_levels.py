"""The levels of a U-Net of Song et al., and what makes them; see models.unet."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from flax import nnx

from score_sde.models.blocks import (
    Attention,
    Head,
    InputResidual,
    InputSkip,
    OutputResidual,
    OutputSkip,
    ResBlock,
)
from score_sde.models.layers import Layer
from score_sde.models.resample import Downsample, Upsample


class DownLevel(nnx.Module):
    """One size of the encoder.

    Attributes:
        blocks: residual blocks; the output of each is also shown to the decoder.
        attentions: one after each block, or empty.
        resample: to the next size; None at the smallest.
        pyramid: brings in the input image at the next size, or None.
    """

    def __init__(
        self,
        blocks: Sequence[ResBlock],
        attentions: Sequence[Attention],
        resample: ResBlock | Downsample | None,
        pyramid: InputSkip | InputResidual | None,
    ):
        self.blocks, self.attentions = nnx.List(blocks), nnx.List(attentions)
        self.resample, self.pyramid = resample, pyramid


class UpLevel(nnx.Module):
    """One size of the decoder.

    Attributes:
        blocks: residual blocks; each is also shown an output of the encoder.
        attention: after the last block, or None.
        pyramid: takes the output image from this size, or None.
        resample: to the next size; None at the largest.
    """

    def __init__(
        self,
        blocks: Sequence[ResBlock],
        attention: Attention | None,
        pyramid: OutputSkip | OutputResidual | None,
        resample: ResBlock | Upsample | None,
    ):
        self.blocks, self.attention = nnx.List(blocks), attention
        self.pyramid, self.resample = pyramid, resample


@dataclasses.dataclass
class Builder:
    """Makes the parts of a UNet in the order of its layers; see UNet for the options."""

    sizes: Sequence[int]  # of the levels, from the largest
    data_channels: int
    widths: Sequence[int]
    num_res_blocks: int
    attn_resolutions: Sequence[int]
    resblock: str
    fir: tuple[float, ...] | None
    resamp_with_conv: bool
    progressive_input: str
    progressive_output: str
    progressive_combine: str
    n_embedding: int
    dropout: float
    skip_rescale: bool
    group_size: int
    init_scale: float
    seen: int  # features of the tokens that attention looks at besides; 0 for none
    layer: Layer  # what every layer is given: param_dtype and rngs
    skips: list[int] = dataclasses.field(default_factory=list)  # widths that the decoder is shown

    def encoder(self, channels: int) -> list[DownLevel]:
        """Levels from the largest size."""
        self.skips, n, n_image, levels = [channels], channels, self.data_channels, []
        for size, width in zip(self.sizes, self.widths, strict=True):
            blocks, attentions = [], []
            for _ in range(self.num_res_blocks):
                blocks.append(self.block(n, width))
                n = width
                if size in self.attn_resolutions:
                    attentions.append(self.attention(n, size))
                self.skips.append(n)
            resample = pyramid = None
            if size != self.sizes[-1]:
                if self.resblock == "biggan":
                    resample = self.block(n, n, resample="down")
                else:
                    resample = Downsample(
                        n, n, fir=self.fir, with_conv=self.resamp_with_conv, **self.layer
                    )
                pyramid = self.input_pyramid(n_image, n)
                if self.progressive_input == "residual":
                    n_image = n
                elif self.progressive_input == "input_skip" and self.progressive_combine == "cat":
                    n *= 2
                self.skips.append(n)
            levels.append(DownLevel(blocks, attentions, resample, pyramid))
        return levels

    def middle(self) -> list[ResBlock | Attention]:
        """Blocks of the smallest size, between encoder and decoder."""
        n = self.skips[-1]
        return [self.block(n, n), self.attention(n, self.sizes[-1]), self.block(n, n)]

    def decoder(self) -> list[UpLevel]:
        """Levels from the smallest size; uses up self.skips."""
        n, path, levels = self.skips[-1], None, []
        for size, width in reversed(list(zip(self.sizes, self.widths, strict=True))):
            blocks = []
            for _ in range(self.num_res_blocks + 1):
                blocks.append(self.block(n + self.skips.pop(), width))
                n = width
            attention = self.attention(n, size) if size in self.attn_resolutions else None
            pyramid, path = self.output_pyramid(path, n), n
            resample = None
            if size != self.sizes[0]:
                if self.resblock == "biggan":
                    resample = self.block(n, n, resample="up")
                else:
                    resample = Upsample(
                        n, n, fir=self.fir, with_conv=self.resamp_with_conv, **self.layer
                    )
            levels.append(UpLevel(blocks, attention, pyramid, resample))
        return levels

    def block(self, n_in: int, n_out: int, resample: str | None = None) -> ResBlock:
        """A residual block, which may change the size."""
        return ResBlock(n_in, n_out, **self.block_options(resample))

    def block_options(self, resample: str | None) -> dict[str, Any]:
        """What a residual block is told beside how many features there are."""
        return {
            "n_embedding": self.n_embedding,
            "kind": self.resblock,
            "resample": resample,
            "fir": self.fir,
            "dropout_rate": self.dropout,
            "init_scale": self.init_scale,
            "skip_rescale": self.skip_rescale,
            "group_size": self.group_size,
            **self.layer,
        }

    def attention(self, n: int, size: int) -> Attention:
        """Attention of n features at one of the sizes."""
        return Attention(n, **self.attention_options())

    def attention_options(self) -> dict[str, Any]:
        """What attention is told beside how many features there are."""
        return {
            "seen": self.seen,
            "skip_rescale": self.skip_rescale,
            "init_scale": self.init_scale,
            "group_size": self.group_size,
            **self.layer,
        }

    def head(self, n_in: int, n_out: int, scale: float) -> Head:
        """The last layers of an image of n_out channels."""
        return Head(n_in, n_out, scale=scale, group_size=self.group_size, **self.layer)

    def input_pyramid(self, n_image: int, n: int) -> InputSkip | InputResidual | None:
        """What brings the input image to features; None without."""
        if self.progressive_input == "none":
            return None
        if self.progressive_input == "residual":
            return InputResidual(
                n_image, n, fir=self.fir, skip_rescale=self.skip_rescale, **self.layer
            )
        # The image itself goes down the levels, so it keeps its own channels.
        return InputSkip(
            self.data_channels, n, combine=self.progressive_combine, fir=self.fir, **self.layer
        )

    def output_pyramid(self, path: int | None, n: int) -> OutputSkip | OutputResidual | None:
        """What takes the output image from features; None without."""
        if self.progressive_output == "none":
            return None
        if self.progressive_output == "output_skip":
            return OutputSkip(self.head(n, self.data_channels, self.init_scale), fir=self.fir)
        start = path is None
        step = self.head(n, n, 1.0) if start else Upsample(path, n, fir=self.fir, **self.layer)
        return OutputResidual(step, skip_rescale=self.skip_rescale)
