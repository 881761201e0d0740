"""What GNSS gives about base_link: a disc for the position and, from the course driven, a heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.tracking.motion import OdometryBuffer

# A position that lies further from the path, in standard deviations, is not used for the course.
OUTLIER_SIGMAS = 3.0


@dataclass(frozen=True)
class GnssSample:
    """Antenna position [2] in `map`, its standard deviation per axis, and where the antenna sits in base_link [2]."""

    antenna_xy_m: np.ndarray
    sigma_m: float
    antenna_in_base_m: np.ndarray


@dataclass(frozen=True)
class Heading:
    """Yaw of the odometry frame in `map`: base_link's yaw at any time is this plus odometry's."""

    yaw_map_odom_rad: float
    sigma_rad: float


def heading_from_course(
    samples: Sequence[tuple[float, GnssSample]],
    odometry: OdometryBuffer,
    drift_m: float,
    min_baseline_m: float,
) -> Heading | None:
    """Turn the antenna's path in odometry onto its path in GNSS (Procrustes without scale).

    A constant bias of GNSS cancels out; `drift_m` bounds the change of the bias, noise included, over the samples.
    Outliers are left out, the worst first. None where the antenna moved less than `min_baseline_m`, or where fewer than
    three samples, or no majority of them, agree.
    """
    placed = [(odometry.at(stamp_sec), sample) for stamp_sec, sample in samples]
    paths = [at.path for at, _ in placed if at is not None]
    if not paths:
        return None
    known = [(at.pose, sample) for at, sample in placed if at is not None and at.path == paths[-1]]
    path_odom = np.array([pose.transform(sample.antenna_in_base_m) for pose, sample in known]) @ (1, 1j)
    path_map = np.array([sample.antenna_xy_m for _, sample in known]) @ (1, 1j)
    tolerance_m = OUTLIER_SIGMAS * max(drift_m, *(sample.sigma_m for _, sample in known))
    while len(path_odom) >= max(3, len(known) // 2 + 1):
        odom, map_ = path_odom - path_odom.mean(), path_map - path_map.mean()
        yaw_rad = float(np.angle(np.vdot(odom, map_)))
        residual_m = np.abs(map_ - np.exp(1j * yaw_rad) * odom)
        worst = int(residual_m.argmax())
        if residual_m[worst] <= tolerance_m:
            # A straight path of length L, evenly sampled, has the spread L / sqrt(12).
            baseline_m = float(np.sqrt(12 * np.mean(np.abs(odom) ** 2)))
            if baseline_m < min_baseline_m:
                return None
            return Heading(yaw_rad, float(np.arctan2(drift_m, baseline_m)))
        path_odom, path_map = np.delete(path_odom, worst), np.delete(path_map, worst)
    return None


def base_position(sample: GnssSample, T_then_now: Pose2, yaw_now_rad: float) -> np.ndarray:
    """base_link [2] in `map` now, from the antenna's earlier position, corrected by lever arm and motion."""
    antenna_now_m = T_then_now.inverse().transform(sample.antenna_in_base_m)
    return sample.antenna_xy_m - Pose2(0.0, 0.0, yaw_now_rad).transform(antenna_now_m)
