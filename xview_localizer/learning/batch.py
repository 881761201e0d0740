"""The training data of one step: groups of one view width, randomly turned, as stacked tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xview_localizer.learning.features import Group


@dataclass(frozen=True)
class Batch:
    """B ground images in G aerial crops; image b was taken in the crop `crop[b]`. Images are uint8."""

    aerial_image: Tensor  # [G, 3, H, W]
    aerial_tokens: Tensor | None  # [G, C, h, w]
    half_extent_m: float
    image: Tensor  # [B, 3, 14 h, 14 w]
    tokens: Tensor | None  # [B, C, h, w]
    plan: Tensor  # [B, 3, S, S]
    plan_xy: Tensor  # [B, 2 h, w, 2]
    elevation_rad: Tensor  # [B, 2 h]
    azimuth_rad: Tensor  # [B, w]
    valid: Tensor  # [B, 2 h, w]
    range_m: Tensor  # [B, 2 h, w] along the ray, 0 where nothing is (sky), NaN where unknown
    height_m: Tensor  # [B]
    pose: Tensor  # [B, 3] x, y, yaw about the middle of the crop
    crop: Tensor  # [B]
    # [B, 2 h, w] replaces unknown ranges: the depth that the network predicted before training.
    range_before_m: Tensor | None = None

    @property
    def horizontal_directions(self) -> Tensor:
        """Horizontal part of the unit rays [B, 2 h, w, 2] in the level frame."""
        cos_elevation = torch.cos(self.elevation_rad)[:, :, None]
        azimuth_rad = self.azimuth_rad[:, None, :]
        return torch.stack(
            [cos_elevation * torch.cos(azimuth_rad), cos_elevation * torch.sin(azimuth_rad)], dim=-1
        )


def batch_of(groups: Sequence[Group], ground_per_aerial: int, rng: np.random.Generator) -> Batch:
    """A batch of at most `ground_per_aerial` images of each group; each group is turned and mirrored at random."""
    aerials, grounds, crop = [], [], []
    for number, group in enumerate(groups):
        quarter_turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        aerials.append(group.aerial.turned(quarter_turns, flip))
        picked = rng.choice(len(group.grounds), min(ground_per_aerial, len(group.grounds)), replace=False)
        grounds += [group.grounds[index].turned(quarter_turns, flip) for index in picked]
        crop += [number] * len(picked)

    def stacked(items: Sequence, name: str) -> Tensor | None:
        tensors = [getattr(item, name) for item in items]
        return None if any(tensor is None for tensor in tensors) else torch.stack(tensors)

    of_grounds = {
        name: stacked(grounds, name)
        for name in (
            "image", "tokens", "plan", "plan_xy", "elevation_rad", "azimuth_rad", "valid", "range_m", "height_m", "pose"
        )
    }  # fmt: skip
    return Batch(
        aerial_image=stacked(aerials, "image"),
        aerial_tokens=stacked(aerials, "tokens"),
        half_extent_m=aerials[0].half_extent_m,
        crop=torch.tensor(crop, device=of_grounds["pose"].device),
        **of_grounds,
    )
