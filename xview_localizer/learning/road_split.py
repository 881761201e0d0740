"""Splitting a drive by stretch of road into images for learning, calibration and judging, without shared ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Every block of road is divided at these shares of its length: learning, then calibration, then judging.
CALIBRATES_FROM, JUDGES_FROM = 0.6, 0.8
BLOCK_M = 400.0
# Least distance between cameras of learning and held-out cameras: about the range of matched cells.
GUARD_M = 40.0
# A longer step between images is a gap in the drive, or another drive, and does not count as road.
MAX_STEP_M = 20.0


@dataclass(frozen=True)
class RoadSplit:
    """Indices of the images of each part, and the length of road. Calibration and judging are held out."""

    learn: list[int]
    calibrate: list[int]
    judge: list[int]
    road_m: float


def split_road(xy_m: np.ndarray) -> RoadSplit:
    """Split images at `xy_m` [N, 2], in the order of driving, by stretch of road.

    Ground that is driven more than once belongs to the held-out part: images for learning near held-out ones are left
    out, and images for calibration near those for judging.
    """
    step_m = np.linalg.norm(np.diff(xy_m, axis=0), axis=1)
    along_m = np.concatenate([[0.0], np.cumsum(np.where(step_m < MAX_STEP_M, step_m, 0.0))])
    blocks = max(1, round(along_m[-1] / BLOCK_M))
    phase = (along_m * blocks / max(along_m[-1], 1e-9)) % 1.0
    phase[along_m == along_m[-1]] = 1.0
    judge = phase >= JUDGES_FROM
    calibrate = (phase >= CALIBRATES_FROM) & ~judge
    calibrate &= _distance_m(xy_m, xy_m[judge]) >= MAX_STEP_M / 2
    learn = (phase < CALIBRATES_FROM) & (_distance_m(xy_m, xy_m[judge | calibrate]) >= GUARD_M)
    return RoadSplit(
        *(np.flatnonzero(part).tolist() for part in (learn, calibrate, judge)), float(along_m[-1])
    )


def _distance_m(xy_m: np.ndarray, others_m: Sequence) -> np.ndarray:
    """Distance [N] to the nearest of the others [M, 2]."""
    others_m = np.reshape(others_m, (-1, 2))
    return np.array([np.linalg.norm(others_m - point, axis=1).min(initial=np.inf) for point in xy_m])
