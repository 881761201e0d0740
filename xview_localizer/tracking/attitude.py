"""The direction of gravity at an image's stamp, from the samples of an attitude filter or of an accelerometer alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.tracking.motion import OdometryBuffer, StampedBuffer

# The attitude is averaged over GRAVITY_WINDOW_SEC before the image. The samples of a slow IMU may lie outside of this
# window, but within GRAVITY_REACH_SEC of the image.
GRAVITY_WINDOW_SEC = 0.1
GRAVITY_REACH_SEC = 0.5
# An accelerometer alone is noisy, so its samples are averaged over a longer window. The robot's mean acceleration over
# that window is subtracted: odometry gives it by the velocities at both ends, each taken over VELOCITY_SEC. Without
# odometry the average over UNAIDED_WINDOW_SEC has to serve.
ACCELEROMETER_WINDOW_SEC, VELOCITY_SEC, UNAIDED_WINDOW_SEC = 0.4, 0.1, 2.0
GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class GravitySample:
    """Direction [3] of down in base_link, from an attitude filter or straight from the acceleration."""

    down_base: np.ndarray
    from_acceleration: bool = False


def down_at(
    gravity: StampedBuffer[GravitySample], odometry: OdometryBuffer, stamp_sec: float
) -> np.ndarray | None:
    """Mean direction [3] of down in base_link just before `stamp_sec`; None where no sample is near.

    For a slow IMU it is the mean of the nearest samples on either side.
    """
    near = _near(gravity, stamp_sec, GRAVITY_WINDOW_SEC)
    if not near:
        return None
    if near[-1].from_acceleration:
        return _down_without_motion(gravity, odometry, stamp_sec)
    return _mean_down(near)


def _near(gravity: StampedBuffer[GravitySample], stamp_sec: float, window_sec: float) -> list[GravitySample]:
    """The samples within the window before `stamp_sec`, or the nearest on either side where it holds none.

    Samples after the next one are not used, since it is chance whether they have already arrived.
    """
    near = gravity.between(stamp_sec - window_sec, stamp_sec) or [
        *gravity.between(stamp_sec - GRAVITY_REACH_SEC, stamp_sec)[-1:],
        *gravity.between(stamp_sec, stamp_sec + GRAVITY_REACH_SEC)[:1],
    ]
    return [sample for _, sample in near]


def _mean_down(samples: list[GravitySample]) -> np.ndarray:
    return np.mean([sample.down_base for sample in samples], axis=0)


def _down_without_motion(
    gravity: StampedBuffer[GravitySample], odometry: OdometryBuffer, stamp_sec: float
) -> np.ndarray:
    """Down from the accelerometer, g = a - f with its mean specific force f and odometry's acceleration a.

    a = (dv / dt, v omega, 0) in base_link, by the velocities at both ends of the window.
    """
    start_sec = stamp_sec - ACCELEROMETER_WINDOW_SEC
    before = odometry.motion(start_sec - VELOCITY_SEC, start_sec)
    after = odometry.motion(stamp_sec - VELOCITY_SEC, stamp_sec)
    whole = odometry.motion(start_sec, stamp_sec)
    if before is None or after is None or whole is None:
        return _mean_down(_near(gravity, stamp_sec, UNAIDED_WINDOW_SEC))
    v_before, v_after = (motion.T_then_now.x_m / VELOCITY_SEC for motion in (before, after))
    yaw_rate = whole.T_then_now.yaw_rad / ACCELEROMETER_WINDOW_SEC
    acceleration = np.array(
        [(v_after - v_before) / ACCELEROMETER_WINDOW_SEC, 0.5 * (v_before + v_after) * yaw_rate, 0.0]
    )
    down = _mean_down(_near(gravity, stamp_sec, ACCELEROMETER_WINDOW_SEC))
    down /= np.linalg.norm(down)
    # Only the direction of the force is known. Its magnitude follows from |g| = GRAVITY_MPS2.
    along = float(down @ acceleration)
    force_mps2 = np.sqrt(max(along**2 + GRAVITY_MPS2**2 - acceleration @ acceleration, 0.0)) - along
    gravity_base = force_mps2 * down + acceleration
    return gravity_base / np.linalg.norm(gravity_base)
