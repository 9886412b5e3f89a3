"""DiT (Peebles and Xie 2022, arXiv 2212.09748) in PyTorch, to be timed beside ours.

The same layers in the same sizes as score_sde.models.dit, with the options that recipes use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from score_sde.models import sizes, tokens
from score_sde.models.dit import SIZES


class Block(nn.Module):
    """Attention and two layers, each scaled, shifted and gated by what is told."""

    def __init__(self, channels: int, heads: int, model: Mapping[str, Any]):
        super().__init__()
        self.heads, self.dropout, self.rms = heads, model["dropout"], model["norm"] == "rms"
        hidden = round(channels * (model["mlp_ratio"] or 4))
        self.gated = model["feed_forward"] == "swiglu"
        hidden = round(hidden * 2 / 3) if self.gated else hidden
        self.modulation = nn.Linear(channels, 6 * channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.dense_0 = nn.Linear(channels, hidden * (1 + self.gated))
        self.dense_1 = nn.Linear(hidden, channels)
        size = channels // heads
        self.norms = nn.ModuleList(nn.RMSNorm(size, eps=1e-6) for _ in range(2 * model["qk_norm"]))

    def _modulated(self, h: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return normed(h, self.rms) * (1 + scale) + shift

    def forward(
        self, h: torch.Tensor, told: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        """h [batch, tokens, channels], told [batch, channels], turn: cosines and sines."""
        b_1, s_1, g_1, b_2, s_2, g_2 = self.modulation(told)[:, None].chunk(6, dim=-1)
        qkv = self.qkv(self._modulated(h, b_1, s_1)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if len(self.norms):
            query, key = self.norms[0](query), self.norms[1](key)
        if turn is not None:
            query, key = rotated(query, *turn), rotated(key, *turn)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        h = h + g_1 * F.dropout(self.out(found), self.dropout, self.training)
        inner = self.dense_0(self._modulated(h, b_2, s_2))
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * inner
        else:
            inner = F.gelu(inner, approximate="tanh")
        return h + g_2 * F.dropout(self.dense_1(inner), self.dropout, self.training)


def normed(h: torch.Tensor, rms: bool) -> torch.Tensor:
    """Each token to mean square 1, or to mean 0 and variance 1."""
    size = h.shape[-1:]
    return F.rms_norm(h, size, eps=1e-6) if rms else F.layer_norm(h, size, eps=1e-6)


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Features j and j + d / 2 of each token, turned; x [batch, heads, tokens, d]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).to(x.dtype)


class DiT(nn.Module):
    """The network.

    Args:
        shape: of the data, (height, width, channels).
        model: the section `model` of a recipe.
        rows: of the table of classes, one more than there are.
        outputs: channels of the output.
    """

    def __init__(
        self, shape: tuple[int, int, int], model: Mapping[str, Any], rows: int, outputs: int
    ):
        super().__init__()
        own = {name: model[name] for name in ("channels", "depth", "heads", "patch")}
        chosen = sizes.size(model["size"], SIZES, **own)
        channels, self.patch, self.rms = chosen.channels, chosen.patch, model["norm"] == "rms"
        self.grid = tokens.grid(shape, self.patch)
        self.time_0, self.time_1 = nn.Linear(256, channels), nn.Linear(channels, channels)
        self.classes = nn.Embedding(rows, channels)
        self.dense_in = nn.Linear(self.patch**2 * shape[-1], channels)
        positions = np.asarray(tokens.sine_cosine(*self.grid, channels, "float32"))
        self.register_buffer("positions", torch.tensor(positions))
        self.blocks = nn.ModuleList(
            Block(channels, chosen.heads, model) for _ in range(chosen.depth)
        )
        self.modulation = nn.Linear(channels, 2 * channels)
        self.dense_out = nn.Linear(channels, self.patch**2 * outputs)
        self.turns = model["rope"]
        if self.turns:
            angles = tokens.rotary_angles(*self.grid, channels // chosen.heads, "float32")
            self.register_buffer("angles", torch.tensor(np.asarray(angles)))

    def forward(self, x: torch.Tensor, label: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        """x [batch, channels, height, width], label [batch]: 999 t, cond: classes [batch]."""
        frequencies = torch.exp(torch.arange(128, device=x.device) * -(math.log(1e4) / 128))
        angles = label[:, None] * frequencies[None]
        told = self.time_0(torch.cat([angles.cos(), angles.sin()], dim=-1))
        told = F.silu(self.time_1(F.silu(told)) + self.classes(cond))
        h = F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)
        h = self.dense_in(h) + self.positions
        turn = (self.angles.cos(), self.angles.sin()) if self.turns else None
        for block in self.blocks:
            h = block(h, told, turn)
        shift, scale = self.modulation(told)[:, None].chunk(2, dim=-1)
        out = self.dense_out(normed(h, self.rms) * (1 + scale) + shift)
        return F.pixel_shuffle(out.transpose(1, 2).unflatten(2, self.grid), self.patch)
