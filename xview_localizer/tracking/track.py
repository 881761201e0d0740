"""The last trusted pose, carried on by odometry, and whether a new fix agrees with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.tracking.motion import OdometryBuffer


@dataclass(frozen=True)
class PoseEstimate:
    """base_link in `map` at a stamp, with covariance [3, 3] of (x, y, yaw)."""

    stamp_sec: float
    pose: Pose2
    covariance: np.ndarray

    @property
    def position_sigma_m(self) -> float:
        """Standard deviation along the worst direction."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[:2, :2])[-1]))

    @property
    def yaw_sigma_rad(self) -> float:
        return float(np.sqrt(self.covariance[2, 2]))


@dataclass(frozen=True)
class OdometryDrift:
    """Standard deviations that odometry's error gains: position and yaw per metre driven."""

    position_ratio: float = 0.03
    yaw_rad_per_m: float = float(np.radians(0.1))


def carry(
    estimate: PoseEstimate, stamp_sec: float, odometry: OdometryBuffer, drift: OdometryDrift
) -> PoseEstimate | None:
    """`estimate` moved to `stamp_sec` by odometry; None where odometry does not cover both stamps."""
    then, now = odometry.interpolate(estimate.stamp_sec), odometry.interpolate(stamp_sec)
    if then is None or now is None:
        return None
    pose = estimate.pose @ then.inverse() @ now
    moved_x_m, moved_y_m = pose.x_m - estimate.pose.x_m, pose.y_m - estimate.pose.y_m
    jacobian = np.array([[1.0, 0.0, -moved_y_m], [0.0, 1.0, moved_x_m], [0.0, 0.0, 1.0]])
    travelled_m = odometry.travelled_m(estimate.stamp_sec, stamp_sec)
    gained = np.array([drift.position_ratio, drift.position_ratio, drift.yaw_rad_per_m]) * travelled_m
    return PoseEstimate(stamp_sec, pose, jacobian @ estimate.covariance @ jacobian.T + np.diag(gained**2))


def disagreement_sigmas(estimate: PoseEstimate, predicted: PoseEstimate, floor: np.ndarray) -> float:
    """Mahalanobis distance between two estimates of one moment; `floor` [3] standard deviations are added."""
    difference = np.array(
        [
            estimate.pose.x_m - predicted.pose.x_m,
            estimate.pose.y_m - predicted.pose.y_m,
            float(wrap_angle_rad(estimate.pose.yaw_rad - predicted.pose.yaw_rad)),
        ]
    )
    covariance = estimate.covariance + predicted.covariance + np.diag(floor**2)
    return float(np.sqrt(difference @ np.linalg.solve(covariance, difference)))
