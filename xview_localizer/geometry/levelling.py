"""Rotations between base_link, its gravity-levelled frame, and a camera's optical frame."""

from __future__ import annotations

import numpy as np

# Takes optical-frame directions (z forward, x right, y down) to a body frame (x forward, y left, z up).
R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

# Above this tilt, base_link's x projected on the horizontal plane gives no usable heading.
MAX_TILT_RAD = float(np.radians(80.0))


def R_level_base(gravity_base: np.ndarray | None) -> np.ndarray:
    """Rotation [3, 3] taking base_link directions to the level frame: roll and pitch only, yaw unchanged.

    `gravity_base` [3] points down in base_link, of any length; None means that base_link is level. An
    accelerometer at rest measures the opposite direction. The level frame's x lies along base_link's x
    projected on the horizontal plane, its z up. Raises ValueError where gravity is zero, not finite, or
    base_link's x is within 10 degrees of vertical.
    """
    if gravity_base is None:
        return np.eye(3)
    gravity = np.asarray(gravity_base, dtype=np.float64)
    length = np.linalg.norm(gravity)
    if gravity.shape != (3,) or not np.isfinite(length) or length == 0:
        raise ValueError(f"gravity_base must be a finite, non-zero vector [3], got {gravity_base}")
    up = -gravity / length
    if abs(up[0]) > np.sin(MAX_TILT_RAD):
        raise ValueError(f"gravity_base {gravity_base} makes base_link's x vertical: it has no heading")
    forward = np.array([1.0, 0.0, 0.0]) - up[0] * up
    forward /= np.linalg.norm(forward)
    return np.stack([forward, np.cross(up, forward), up])


def lean_rad(gravity_base: np.ndarray | None) -> float:
    """Angle in radians between gravity [3] and down in base_link; 0 where gravity is unknown (None)."""
    if gravity_base is None:
        return 0.0
    gravity = np.asarray(gravity_base, dtype=np.float64)
    return float(np.arctan2(np.hypot(gravity[0], gravity[1]), -gravity[2]))


def R_base_optical_from_rpy(roll_rad: float, pitch_rad: float, yaw_rad: float) -> np.ndarray:
    """Rotation [3, 3] taking optical-frame directions to base_link, for a camera that looks along its body x.

    The camera's body frame (x forward, y left, z up) is turned by right-handed fixed-axis roll, pitch,
    yaw (REP-103: Rz(yaw) Ry(pitch) Rx(roll)), so a positive pitch looks down and a positive yaw left.
    """
    (cr, cp, cy), (sr, sp, sy) = (
        np.cos([roll_rad, pitch_rad, yaw_rad]),
        np.sin([roll_rad, pitch_rad, yaw_rad]),
    )
    R_base_body = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
    return R_base_body @ R_BODY_OPTICAL


def rpy_from_R_base_body(R_base_body: np.ndarray) -> tuple[float, float, float]:
    """Fixed-axis roll, pitch, yaw in radians of a body's rotation [3, 3]: the inverse of R_base_optical_from_rpy's.

    At a pitch of ±90° only the difference (or sum) of roll and yaw is defined, and rounding decides on the roll. The
    yaw is taken for that roll: R Rx(-roll) = Rz(yaw) Ry(pitch), whose second column is (-sin yaw, cos yaw, 0).
    """
    R = R_base_body
    roll_rad = np.arctan2(R[2, 1], R[2, 2])
    pitch_rad = np.arctan2(-R[2, 0], np.hypot(R[2, 1], R[2, 2]))
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    yaw_rad = np.arctan2(sr * R[0, 2] - cr * R[0, 1], cr * R[1, 1] - sr * R[1, 2])
    return float(roll_rad), float(pitch_rad), float(yaw_rad)
