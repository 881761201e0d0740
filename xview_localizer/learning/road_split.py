"""Which stretches of road are learnt from, and which are held out: never the same ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Along every block of road: from here on it calibrates, from there on it judges; before, it teaches.
CALIBRATES_FROM, JUDGES_FROM = 0.6, 0.8
BLOCK_M = 400.0
# No camera that is learnt from stands nearer to one that is held out: about as far as cells are matched.
GUARD_M = 40.0
# A longer step between images is a gap in the drive, or another drive, and no road.
MAX_STEP_M = 20.0


@dataclass(frozen=True)
class RoadSplit:
    """Numbers of the images of each part. Calibration and judging are both held out from learning."""

    learn: list[int]
    calibrate: list[int]
    judge: list[int]
    road_m: float


def split_road(xy_m: np.ndarray) -> RoadSplit:
    """Split images at `xy_m` [N, 2], in the order of driving, by stretch of road.

    Ground that is driven again counts with the part that holds it out: images to learn from near it are left out, and
    images to calibrate on where it is judged.
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
