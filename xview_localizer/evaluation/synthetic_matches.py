"""Match evidence with a known pose, for the tests and the benchmark of the solvers."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import Correspondences, MatchField
from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.similarity import Similarity2


def random_pose(rng: np.random.Generator, radius_m: float) -> Pose2:
    """A pose drawn uniformly in a disc about the origin, with any heading."""
    distance_m, direction = radius_m * np.sqrt(rng.random()), rng.uniform(-np.pi, np.pi)
    x_m, y_m = distance_m * np.cos(direction), distance_m * np.sin(direction)
    return Pose2(float(x_m), float(y_m), float(rng.uniform(-np.pi, np.pi)))


def contaminated_pairs(
    rng: np.random.Generator,
    truth: Similarity2,
    count: int = 1024,
    outliers: float = 0.6,
    sigma_m: float = 0.5,
) -> tuple[Correspondences, np.ndarray]:
    """Pairs over a 70 m square with Gaussian noise; the share `outliers` has wrong aerial points anywhere in it.

    Returns the pairs and the mask of the right ones.
    """
    aerial = rng.uniform(-35, 35, (count, 2))
    ground = truth.pose.inverse().transform(aerial) / truth.scale
    aerial = aerial + rng.normal(0, sigma_m, aerial.shape)
    wrong = rng.random(count) < outliers
    aerial[wrong] = rng.uniform(-35, 35, (np.count_nonzero(wrong), 2))
    return Correspondences(ground, aerial, np.ones(count)), ~wrong


def ambiguous_field(
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
    """A field of `cells` ground cells at 2.5 to 30 m, with broad peaks (sigma one aerial cell).

    Every cell has `distractors` peaks anywhere; only the share `present` also has one at the truth, displaced
    by `spread_cells` (standard deviation). `contrast` is the peaks' typical height in log likelihood.
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
    return MatchField.of_one_image(
        ground, likelihood_ratio(logits.reshape(cells, -1)), np.full(cells, 0.4, np.float32), grid
    )


def likelihood_ratio(logits: np.ndarray) -> np.ndarray:
    """Softmax [N, M] of logits [N, M] against chance."""
    likelihood = np.exp(logits)
    return likelihood / likelihood.mean(axis=1, keepdims=True)
