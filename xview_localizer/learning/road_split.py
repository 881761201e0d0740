"""Splitting the images of drives into parts for learning, calibration and judging that share no ground.

They are split by stretch of road. Where the same roads are driven again and again, that would leave little to learn
from; then they are split by place, so that one side of the site is held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Each block of road begins with images for learning; from these shares of its length on they are for calibration, and
# for judging.
CALIBRATES_FROM, JUDGES_FROM = 0.6, 0.8
BLOCK_M = 400.0
# Least distance between cameras of learning and held-out cameras: about the range of matched cells.
GUARD_M = 40.0
# A longer step between images is a gap in the drive, or another drive, and does not count as road.
MAX_STEP_M = 20.0
# A split by stretch of road is taken where it leaves this share of the images to learn from.
ENOUGH_TO_LEARN = 0.35
DIRECTIONS = 8  # directions along which dividing a site by place is tried


@dataclass(frozen=True)
class RoadSplit:
    """Indices of the images of each part, and the length of road. Calibration and judging are held out."""

    learn: list[int]
    calibrate: list[int]
    judge: list[int]
    road_m: float


def split_road(xy_m: np.ndarray) -> RoadSplit:
    """Split images at `xy_m` [N, 2], in the order of driving, by stretch of road or by place.

    Ground that is driven more than once belongs to the held-out part: images for learning near held-out ones are left
    out, and images for calibration near those for judging.
    """
    step_m = np.linalg.norm(np.diff(xy_m, axis=0), axis=1)
    along_m = np.concatenate([[0.0], np.cumsum(np.where(step_m < MAX_STEP_M, step_m, 0.0))])
    road_m = float(along_m[-1])
    blocks = max(1, round(road_m / BLOCK_M))
    phase = (along_m * blocks / max(road_m, 1e-9)) % 1.0
    phase[along_m == road_m] = 1.0
    by_road = _divided(xy_m, phase, road_m)
    if len(by_road.learn) >= ENOUGH_TO_LEARN * len(xy_m):
        return by_road
    by_place = [_divided(xy_m, _rank(xy_m @ direction), road_m) for direction in _directions()]
    return max((by_road, *by_place), key=lambda split: len(split.learn))


def _divided(xy_m: np.ndarray, phase: np.ndarray, road_m: float) -> RoadSplit:
    """Images by their phase [N] in [0, 1], without learning and calibration near what is held out from them."""
    judge = phase >= JUDGES_FROM
    calibrate = (phase >= CALIBRATES_FROM) & ~judge
    calibrate &= _distance_m(xy_m, xy_m[judge]) >= MAX_STEP_M / 2
    learn = (phase < CALIBRATES_FROM) & (_distance_m(xy_m, xy_m[judge | calibrate]) >= GUARD_M)
    return RoadSplit(*(np.flatnonzero(part).tolist() for part in (learn, calibrate, judge)), road_m)


def _directions() -> np.ndarray:
    """Unit vectors [DIRECTIONS, 2] all around."""
    angle_rad = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    return np.column_stack([np.cos(angle_rad), np.sin(angle_rad)])


def _rank(values: np.ndarray) -> np.ndarray:
    """The share [N] of values that are smaller."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(1, len(values))


def _distance_m(xy_m: np.ndarray, others_m: Sequence) -> np.ndarray:
    """Distance [N] to the nearest of the others [M, 2]."""
    others_m = np.reshape(others_m, (-1, 2))
    return np.array([np.linalg.norm(others_m - point, axis=1).min(initial=np.inf) for point in xy_m])
