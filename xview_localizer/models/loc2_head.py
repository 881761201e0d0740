"""The projection head of the released Loc² networks, for import: residual convolutions and self-attention.

Parameter names are those of the published files.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (512, 256, 128)
HEADS, ATTENTION_LAYERS = 8, 3


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, which is a 1×1 convolution where the width changes."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if width_in == width else nn.Conv2d(width_in, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class LinearAttention(nn.Module):
    """Self-attention with the feature map elu + 1 in place of softmax (Katharopoulos et al., 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.merge = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.mlp = nn.Sequential(
            nn.Linear(2 * width, 2 * width, bias=False), nn.ReLU(), nn.Linear(2 * width, width, bias=False)
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, C] to [B, N, C]."""

        def heads(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (HEADS, -1)).transpose(1, 2)  # [B, heads, N, C / heads]

        query, key = F.elu(heads(self.q_proj(x))) + 1, F.elu(heads(self.k_proj(x))) + 1
        # Means instead of sums: the same quotient, and FP16 does not overflow.
        count = torch.ones_like(x[:1, :, :1]).sum()
        summed = (key / count).transpose(-1, -2) @ heads(self.v_proj(x))
        weight = query @ key.mean(dim=-2, keepdim=True).transpose(-1, -2)
        attended = (query @ summed) / (weight + 1e-6 / count)
        message = self.norm1(self.merge(attended.transpose(1, 2).flatten(2)))
        return x + self.norm2(self.mlp(torch.cat([x, message], dim=-1)))


class Projector(nn.Module):
    """Tokens [B, C, h, w] to unit descriptors [B, 128, h, w]; positions are added on the ground branch only."""

    def __init__(self, channels: int, positions: bool) -> None:
        super().__init__()
        self._positions = positions
        widths_in = (channels, *WIDTHS[:-1])
        self.resblocks = nn.ModuleList(map(ResidualBlock, widths_in, WIDTHS))
        self.att_layer = nn.ModuleDict(
            {"layers": nn.ModuleList(LinearAttention(WIDTHS[-1]) for _ in range(ATTENTION_LAYERS))}
        )
        self.final_block = ResidualBlock(WIDTHS[-1], WIDTHS[-1])

    def forward(self, tokens: Tensor) -> Tensor:
        x = tokens
        for block in self.resblocks:
            x = F.relu(block(x))
        if self._positions:
            x = x + sine_positions(x.shape[1], x.shape[2], x.shape[3])
        height, width = x.shape[2:]
        cells = x.flatten(2).transpose(1, 2)
        for layer in self.att_layer["layers"]:
            cells = layer(cells)
        x = cells.transpose(1, 2).unflatten(-1, (height, width))
        return F.normalize(self.final_block(x), dim=1, eps=1e-10)


def sine_positions(channels: int, rows: int, columns: int) -> Tensor:
    """[1, channels, rows, columns]: sin x, cos x, sin y, cos y in turn, positions counted from 1, wavelengths
    10000^(2k / (channels / 2))."""
    half = channels // 2
    frequency = torch.exp(-math.log(10000.0) * torch.arange(0, half, 2).float() / half)[:, None]
    x = (frequency * (torch.arange(columns, dtype=torch.float32) + 1))[:, None, :].expand(-1, rows, -1)
    y = (frequency * (torch.arange(rows, dtype=torch.float32) + 1))[:, :, None].expand(-1, -1, columns)
    return torch.stack([x.sin(), x.cos(), y.sin(), y.cos()], dim=1).flatten(0, 1)[None]


class Loc2Heads(nn.Module):
    """Both projectors and the dustbin's score, as one published file holds them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dustbin_score = nn.Parameter(torch.tensor(1.0))
        self.grd_projector = Projector(channels, positions=True)
        self.sat_projector = Projector(channels, positions=False)


class AerialProjector(nn.Module):
    """Aerial tokens of any size to descriptors of `cells`² cells."""

    def __init__(self, projector: Projector, cells: int) -> None:
        super().__init__()
        self._projector, self._cells = projector, cells

    def forward(self, tokens: Tensor) -> Tensor:
        size = (self._cells, self._cells)
        return self._projector(F.interpolate(tokens, size, mode="bilinear", align_corners=False))
