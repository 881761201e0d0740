"""Match fields with a known pose: broad, ambiguous peaks of which only a share is at the truth."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Pose2


def synthetic_field(
    rng: np.random.Generator,
    truth: Pose2,
    grid: RasterGrid,
    cells: int = 700,
    present: float = 0.35,
    scale: float = 1.0,
    distractors: int = 6,
    contrast: float = 3.0,
    spread_cells: float = 0.5,
) -> MatchField:
    """Log likelihoods are sums of Gaussian bumps (sigma one cell): `distractors` anywhere, one at the truth.

    Only the share `present` of the cells has the bump at the truth, displaced by
    `spread_cells` (standard deviation).
    """
    range_m = 2.5 + 27 * rng.random(cells) ** 1.5
    azimuth = rng.uniform(-np.pi, np.pi, cells)
    ground = range_m[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    at_truth = grid.uv_from_xy(truth.transform(scale * ground)) + rng.normal(0, spread_cells, (cells, 2))
    at_truth[rng.random(cells) > present] = np.inf
    elsewhere = rng.uniform((0, 0), (grid.columns, grid.rows), (distractors, cells, 2))
    logits = np.zeros((cells, grid.rows, grid.columns), dtype=np.float32)
    for uv in (at_truth, *elsewhere):
        height = contrast * rng.uniform(0.5, 1.2, cells)
        u = np.exp(-0.5 * (np.arange(grid.columns) + 0.5 - uv[:, :1]) ** 2)
        v = np.exp(-0.5 * (np.arange(grid.rows) + 0.5 - uv[:, 1:]) ** 2)
        logits += (height[:, None, None] * v[:, :, None] * u[:, None, :]).astype(np.float32)
    return MatchField(
        ground, normalised(logits.reshape(cells, -1)), np.full(cells, 0.4, dtype=np.float32), grid
    )


def normalised(logits: np.ndarray) -> np.ndarray:
    """Log softmax over the aerial cells."""
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
