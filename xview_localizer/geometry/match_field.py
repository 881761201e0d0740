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

    `log_likelihood[n, m]` is log p(aerial cell m | ground cell n), normalised over m (logsumexp = 0);
    `inlier_probability[n]` is the chance that ground cell n matches inside the grid at all.
    A pose is scored by
    sum_n log(inlier_probability[n] * p(cell it sends n to | n) * M + 1 - inlier_probability[n]).
    """

    ground_xy_m: np.ndarray  # [N, 2] float64, level frame of the current image
    log_likelihood: np.ndarray  # [N, M] float32
    inlier_probability: np.ndarray  # [N] in [0, 1]
    grid: RasterGrid

    def __post_init__(self) -> None:
        n, m = len(self.ground_xy_m), self.grid.rows * self.grid.columns
        if self.ground_xy_m.shape != (n, 2):
            raise ValueError(f"ground_xy_m must be [N, 2], got {self.ground_xy_m.shape}")
        if self.log_likelihood.shape != (n, m):
            raise ValueError(f"log_likelihood must be [{n}, {m}], got {self.log_likelihood.shape}")
        if self.inlier_probability.shape != (n,):
            raise ValueError(f"inlier_probability must be [{n}], got {self.inlier_probability.shape}")
