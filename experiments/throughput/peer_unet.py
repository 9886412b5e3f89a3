"""DDPM++ (Song et al. 2021, arXiv 2011.13456, Appendix H) in PyTorch, to be timed beside ours.

The same layers in the same sizes as score_sde.models.unet with resblock="biggan" and without FIR;
queries, keys and values are one layer here, which is faster. Images are [batch, channels, height,
width] in channels_last, which takes oneDNN and cuDNN the least time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

DISTORTIONS = 9  # numbers of an augmentation of EDM's (arXiv 2206.00364, Appendix F.2)


def _norm(channels: int) -> nn.GroupNorm:
    most = max(1, min(channels // 4, 32))
    groups = next(n for n in range(most, 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels, eps=1e-6)


class Block(nn.Module):
    """A residual block of BigGAN's kind; `resample` is None, "down" or "up"."""

    def __init__(
        self, n_in: int, n_out: int, embedding: int, dropout: float, resample: str | None = None
    ):
        super().__init__()
        self.norm_0, self.conv_0 = _norm(n_in), nn.Conv2d(n_in, n_out, 3, padding=1)
        self.dense = nn.Linear(embedding, n_out)
        self.norm_1, self.conv_1 = _norm(n_out), nn.Conv2d(n_out, n_out, 3, padding=1)
        changed = n_in != n_out or resample is not None
        self.shortcut = nn.Conv2d(n_in, n_out, 1) if changed else nn.Identity()
        self.resample, self.dropout = resample, dropout

    def _sized(self, x: torch.Tensor) -> torch.Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """x [batch, n_in, height, width]; embedding [batch, features], after its swish."""
        h = self.conv_0(self._sized(F.silu(self.norm_0(x))))
        h = F.silu(self.norm_1(h + self.dense(embedding)[:, :, None, None]))
        h = self.conv_1(F.dropout(h, self.dropout, self.training))
        return (self.shortcut(self._sized(x)) + h) * (1 / math.sqrt(2))


class Attention(nn.Module):
    """Of pixels to pixels, with one head."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = _norm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """x [batch, channels, height, width]."""
        del embedding
        tokens = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        h = F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]
        h = self.out(h).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        return (x + h) * (1 / math.sqrt(2))


class UNet(nn.Module):
    """The network.

    Args:
        shape: of the data, (height, width, channels).
        model: the section `model` of a recipe.
    """

    def __init__(self, shape: tuple[int, int, int], model: Mapping[str, Any]):
        super().__init__()
        n = channels = model["channels"]
        widths = [channels * multiple for multiple in model["channel_mult"]]
        sides = [min(shape[:2]) // 2**i for i in range(len(widths))]
        own = {"embedding": 4 * channels, "dropout": model["dropout"]}
        self.channels = channels
        told = "augment" in model["early_conditions"]
        self.distortion = nn.Linear(DISTORTIONS, channels, bias=False) if told else None
        self.dense_0, self.dense_1 = (nn.Linear(m, 4 * channels) for m in (channels, 4 * channels))
        self.conv_in = nn.Conv2d(shape[-1], channels, 3, padding=1)
        self.down, self.up, skips = nn.ModuleList(), nn.ModuleList(), [channels]
        for side, width in zip(sides, widths, strict=True):
            for _ in range(model["num_res_blocks"]):
                stage = [Block(n, width, **own)]
                n = width
                if side in model["attn_resolutions"]:
                    stage.append(Attention(n))
                self.down.append(nn.ModuleList(stage))
                skips.append(n)
            if side != sides[-1]:
                self.down.append(nn.ModuleList([Block(n, n, resample="down", **own)]))
                skips.append(n)
        self.middle = nn.ModuleList([Block(n, n, **own), Attention(n), Block(n, n, **own)])
        for side, width in reversed(list(zip(sides, widths, strict=True))):
            for index in range(model["num_res_blocks"] + 1):
                stage = [Block(n + skips.pop(), width, **own)]
                n = width
                last = index == model["num_res_blocks"]
                if last and side in model["attn_resolutions"]:
                    stage.append(Attention(n))
                if last and side != sides[0]:
                    stage.append(Block(n, n, resample="up", **own))
                self.up.append(nn.ModuleList(stage))
        self.norm, self.conv_out = _norm(n), nn.Conv2d(n, shape[-1], 3, padding=1)

    def forward(self, x: torch.Tensor, label: torch.Tensor, cond: Any = None) -> torch.Tensor:
        """x [batch, channels, height, width], label [batch]: 999 t.

        Where the network is told how images were distorted, it is told random numbers.
        """
        del cond
        half = self.channels // 2
        frequencies = torch.exp(torch.arange(half, device=x.device) * -(math.log(1e4) / (half - 1)))
        angles = label[:, None] * frequencies[None]
        embedding = torch.cat([angles.sin(), angles.cos()], dim=-1)
        if self.distortion is not None:
            numbers = torch.randn(len(x), DISTORTIONS, device=x.device)
            embedding = embedding + self.distortion(numbers)
        embedding = self.dense_0(embedding)
        embedding = F.silu(self.dense_1(F.silu(embedding)))
        h = self.conv_in(x)
        skips = [h]
        for stage in self.down:
            for layer in stage:
                h = layer(h, embedding)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding)
        for stage in self.up:
            h = torch.cat([h, skips.pop()], dim=1)
            for layer in stage:
                h = layer(h, embedding)
        return self.conv_out(F.silu(self.norm(h)))
