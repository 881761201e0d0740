"""The trained heads, which turn backbone tokens and raw texture into descriptors of cells.

Tokens of DINOv2 describe semantics coarsely; the texture stem adds details that tokens blur: markings, joints, kerbs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL_PX = 7  # one cell is half a backbone patch


@dataclass(frozen=True)
class HeadConfig:
    """Widths and depths of the heads."""

    backbone_channels: int = 768
    width: int = 128
    stem_width: int = 16
    ground_blocks: int = 4
    plan_blocks: int = 2
    aerial_blocks: int = 3
    descriptor: int = 128


class ConvBlock(nn.Module):
    """Residual depthwise 5×5 + pointwise block (ConvNeXt style)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.project = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(F.gelu(self.expand(self.norm(self.depthwise(x)))))


class TextureStem(nn.Module):
    """Locally contrast-normalised texture, one vector per cell.

    Light, exposure and white balance differ between ground and aerial images, so the local mean and contrast are
    removed first.
    """

    def __init__(self, config: HeadConfig, cell_px: tuple[int, int]) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, config.stem_width, 3, padding=1)
        self.pool = nn.Conv2d(config.stem_width, config.width, cell_px, cell_px)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] to [B, width, H / cell rows, W / cell columns]."""
        centred = image - local_mean(image)
        contrast = local_mean(centred.square().mean(1, keepdim=True))
        return self.pool(F.gelu(self.fine(centred * torch.rsqrt(contrast + 1e-3))))


def local_mean(image: Tensor) -> Tensor:
    """Mean over about 42 × 42 pixels, smooth; [B, C, H, W] to the same shape."""
    coarse = F.avg_pool2d(F.avg_pool2d(image, 14), 3, 1, 1, count_include_pad=False)
    return F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=False)


class GroundHead(nn.Module):
    """Descriptors, dustbin score and range of the cells of a canonical ground view."""

    def __init__(self, config: HeadConfig = HeadConfig()) -> None:
        super().__init__()
        self.tokens = nn.Conv2d(config.backbone_channels, config.width, 1)
        self.texture = TextureStem(config, (CELL_PX, 2 * CELL_PX))
        self.geometry = nn.Conv2d(3, config.width, 1)
        self.plan = nn.Sequential(
            TextureStem(config, (CELL_PX, CELL_PX)),
            *(ConvBlock(config.width) for _ in range(config.plan_blocks)),
        )
        self.blocks = nn.Sequential(*(ConvBlock(config.width) for _ in range(config.ground_blocks)))
        self.norm = nn.GroupNorm(1, config.width)
        self.descriptor = nn.Conv2d(config.width, config.descriptor, 1)
        self.dustbin = nn.Conv2d(config.width, 1, 1)
        nn.init.constant_(self.dustbin.bias, 9.0)  # about the log-sum-exp over an aerial block at the start
        self.closeness = nn.Conv2d(config.width, 1, 1)

    def forward(
        self,
        tokens: Tensor,
        image: Tensor,
        elevation_rad: Tensor,
        valid: Tensor,
        plan: Tensor,
        plan_xy: Tensor,
    ):
        """Shapes: tokens [B, C, h, w], image [B, 3, 14 h, 14 w], elevation_rad [B, 2 h], valid [B, 2 h, w],
        plan [B, 3, S, S] (the plan view), plan_xy [B, 2 h, w, 2] (the cells' places on it, ±1 at its edges, outside
        of ±1 where a cell is not on it).

        Returns descriptor [B, D, 2 h, w] (unit length), dustbin [B, 2 h, w] (in cosine / τ units) and
        log_range [B, 2 h, w], the log of the range along the ray in camera heights.
        """
        features = self.features(tokens, image, elevation_rad, valid, plan, plan_xy)
        return *self.described(features), self.log_range(features, elevation_rad)

    def features(
        self,
        tokens: Tensor,
        image: Tensor,
        elevation_rad: Tensor,
        valid: Tensor,
        plan: Tensor,
        plan_xy: Tensor,
    ) -> Tensor:
        """Shared features [B, width, 2 h, w] of descriptors and depth, from the inputs of `forward`."""
        flat_log_range = flat_log_range_in_heights(elevation_rad)
        rows = torch.stack([torch.sin(elevation_rad), flat_log_range / 3], dim=1)
        rows = rows.unsqueeze(-1).expand(-1, -1, -1, valid.shape[-1])
        geometry = torch.cat([rows, valid.unsqueeze(1)], dim=1)
        upsampled = F.interpolate(
            self.tokens(tokens), size=valid.shape[-2:], mode="bilinear", align_corners=False
        )
        from_above = F.grid_sample(self.plan(plan), plan_xy, align_corners=False)
        x = self.blocks(upsampled + self.texture(image) + self.geometry(geometry) + from_above)
        return F.gelu(self.norm(x))

    def described(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptor [B, D, 2 h, w] and dustbin [B, 2 h, w] of `features`."""
        return F.normalize(self.descriptor(features), dim=1), self.dustbin(features)[:, 0]

    def log_range(self, features: Tensor, elevation_rad: Tensor) -> Tensor:
        """Log range [B, 2 h, w], in camera heights, of `features` in the rows of `elevation_rad` [B, 2 h]."""
        # A ray cannot pass through the ground: surfaces are nearer than flat ground, or at most a little below it.
        nearer = F.softplus(self.closeness(features)[:, 0])
        return flat_log_range_in_heights(elevation_rad).unsqueeze(-1) + BELOW_GROUND_LOG_RANGE - nearer


class AerialHead(nn.Module):
    """Descriptors of the cells of an aerial block."""

    def __init__(self, config: HeadConfig = HeadConfig()) -> None:
        super().__init__()
        self.tokens = nn.Conv2d(config.backbone_channels, config.width, 1)
        self.texture = TextureStem(config, (CELL_PX, CELL_PX))
        self.blocks = nn.Sequential(*(ConvBlock(config.width) for _ in range(config.aerial_blocks)))
        self.norm = nn.GroupNorm(1, config.width)
        self.descriptor = nn.Conv2d(config.width, config.descriptor, 1)

    def forward(self, tokens: Tensor, image: Tensor) -> Tensor:
        """Tokens [B, C, h, w], image [B, 3, 14 h, 14 w] to descriptors [B, D, 2 h, 2 w] (unit length)."""
        upsampled = F.interpolate(self.tokens(tokens), scale_factor=2.0, mode="bilinear", align_corners=False)
        x = F.gelu(self.norm(self.blocks(upsampled + self.texture(image))))
        return F.normalize(self.descriptor(x), dim=1)


FARTHEST_IN_HEIGHTS = 25.0  # flat ground further away counts as this many camera heights away
BELOW_GROUND_LOG_RANGE = 0.1  # greatest log range beyond that of flat ground, for ground that falls away


def flat_log_range_in_heights(elevation_rad: Tensor) -> Tensor:
    """Log range of flat ground at elevations of any shape, in camera heights, at most FARTHEST_IN_HEIGHTS."""
    below = torch.clamp(-torch.sin(elevation_rad), min=1 / FARTHEST_IN_HEIGHTS)
    return -torch.log(below)
