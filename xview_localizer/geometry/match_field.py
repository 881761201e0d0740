"""The evidence of one or several ground images: soft matches of every ground cell over the aerial cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.grid import RasterGrid


@dataclass(frozen=True)
class Correspondences:
    """Weighted point pairs for Procrustes: `aerial_xy ~ scale * R(yaw) @ ground_xy + t`."""

    ground_xy_m: np.ndarray  # [N, 2] level frame
    aerial_xy_m: np.ndarray  # [N, 2] map frame
    weight: np.ndarray  # [N] >= 0


@dataclass(frozen=True)
class MatchField:
    """Match distribution of N ground cells over the M = rows * columns aerial cells of `grid`.

    `likelihood_ratio[n, m]` is p(aerial cell m | ground cell n) against chance, p M, with the mean 1 over m;
    `inlier_probability[n]` is the chance that ground cell n matches inside the grid at all.
    A pose (x, y, yaw) with the scale s sends cell n to R(yaw) (s lifted_n + offset_n) + (x, y): the scale
    belongs to the lifted point alone, the offset is in metres whatever the depth's unit. The pose is scored by
    sum_n weight[n] * log(inlier_probability[n] * p(cell it sends n to | n) * M + 1 - inlier_probability[n]).
    """

    lifted_xy_m: np.ndarray  # [N, 2] float64, seen from its camera, along the axes of the current level frame
    likelihood_ratio: np.ndarray  # [N, M] float32, >= 0
    inlier_probability: np.ndarray  # [N] in [0, 1]
    grid: RasterGrid
    offset_xy_m: np.ndarray  # [N, 2] float64, of that camera in the current level frame
    weight: np.ndarray  # [N] >= 0, by which cells fix the pose at a place
    place_weight: np.ndarray  # [N] >= 0, by which they distinguish places
    current: np.ndarray  # [N] bool: of the current image, not of an earlier one
    # Factor contained in both weights, since images of the same ground repeat each other.
    overlap_discount: float = 1.0

    @classmethod
    def of_one_image(
        cls,
        ground_xy_m: np.ndarray,
        likelihood_ratio: np.ndarray,
        inlier_probability: np.ndarray,
        grid: RasterGrid,
    ) -> MatchField:
        """One image whose camera is at the level frame's origin, every cell of weight 1."""
        n = len(ground_xy_m)
        return cls(
            ground_xy_m,
            likelihood_ratio,
            inlier_probability,
            grid,
            offset_xy_m=np.zeros((n, 2)),
            weight=np.ones(n),
            place_weight=np.ones(n),
            current=np.ones(n, dtype=bool),
        )

    def __post_init__(self) -> None:
        n, m = len(self.lifted_xy_m), self.grid.rows * self.grid.columns
        for name in ("lifted_xy_m", "offset_xy_m"):
            if getattr(self, name).shape != (n, 2):
                raise ValueError(f"{name} must be [N, 2], got {getattr(self, name).shape}")
        if self.likelihood_ratio.shape != (n, m):
            raise ValueError(f"likelihood_ratio must be [{n}, {m}], got {self.likelihood_ratio.shape}")
        for name in ("inlier_probability", "weight", "current"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must be [{n}], got {getattr(self, name).shape}")
