"""Reference poses as anchors of a smoothed path."""

from __future__ import annotations

import numpy as np

from xview_localizer.evaluation.reference import Reference
from xview_localizer.learning.smoothing import Anchor
from xview_localizer.tracking.tracker import DriveTracker

SIGMA_RAD = float(np.radians(0.5))  # of a reference's yaw, which references do not report


class AdaptError(ValueError):
    """A drive cannot be used for adaptation; the message names the drive, the cause and the remedy."""


def anchor_at(reference: Reference, stamp_sec: float, tracker: DriveTracker) -> Anchor | None:
    """The reference pose of base_link at an image's stamp; None in gaps of the reference."""
    if reference.yaw_rad is None:
        return _antenna_before(reference, stamp_sec, tracker)
    found = reference.pose_at(stamp_sec)
    if found is None:
        return None
    pose, sigma_m = found
    return Anchor(pose, np.diag([sigma_m**2, sigma_m**2, SIGMA_RAD**2]))


def _antenna_before(reference: Reference, stamp_sec: float, tracker: DriveTracker) -> Anchor | None:
    """The newest antenna position before the image, with the antenna's place then in base_link of the image.

    None without a position, or without odometry since it.
    """
    number = reference.position_before(stamp_sec)
    if number is None:
        return None
    motion = tracker.odometry_motion(float(reference.stamp_sec[number]), stamp_sec)
    if motion is None:
        return None
    point_m = motion.T_then_now.inverse().transform(reference.antenna_in_base_m[number])
    return Anchor.without_yaw(reference.xy_m[number], float(reference.sigma_m[number]), point_m)
