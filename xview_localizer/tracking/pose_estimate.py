"""A pose at a stamp with its covariance, and how odometry carries it on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.belief.hypotheses import Hypothesis, OdometryDrift
from xview_localizer.geometry.pose import Pose2
from xview_localizer.tracking.motion import OdometryBuffer


@dataclass(frozen=True)
class PoseEstimate:
    """base_link in `map` at a stamp, with covariance [3, 3] of (x, y, yaw)."""

    stamp_sec: float
    pose: Pose2
    covariance: np.ndarray


def carry(
    estimate: PoseEstimate, stamp_sec: float, odometry: OdometryBuffer, drift: OdometryDrift
) -> PoseEstimate | None:
    """`estimate` moved to `stamp_sec` by odometry; None where no path of odometry covers both stamps."""
    motion = odometry.motion(estimate.stamp_sec, stamp_sec)
    if motion is None:
        return None
    moved = Hypothesis(estimate.pose, estimate.covariance, 0.0).moved(
        motion.T_then_now, motion.travelled_m, drift
    )
    return PoseEstimate(stamp_sec, moved.pose, moved.covariance)
