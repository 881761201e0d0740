"""Conversion of ROS messages to the package's own types, with checks. Images are converted in image_messages.py.

Only field names are used, so that the messages of rclpy and of bag readers both fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from xview_localizer.geometry.camera import CameraModel, camera_from_info_fields
from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.transform_tree import IDENTITY, Transform

# Tokens of frame names whose axes are not x forward, y left, z up (REP 103).
_OTHER_AXES = {"optical": "z forward, y down", "ned": "north, east, down", "frd": "forward, right, down"}
# No driving robot leans further; a pose that does has other axes than it should.
MAX_LEAN_RAD = float(np.radians(60.0))
# No robot drives higher or deeper. Geocentric coordinates (ECEF) have a greater z except near the equator, where their
# poses lean instead.
MAX_Z_M = 20e3
# A quaternion's length may differ from 1 by this much, since drivers round.
QUATERNION_ROUNDING = 0.01
# Bounds of an acceleration that consists of gravity and little else. Given in g, it would be about 1.
LEAST_GRAVITY_MPS2, GREATEST_GRAVITY_MPS2 = 5.0, 15.0
NO_FIX = -1  # NavSatStatus.STATUS_NO_FIX


class MessageError(ValueError):
    """A message cannot be used; the text names what is wrong with it."""


@dataclass(frozen=True)
class GnssPosition:
    """The position of a NavSatFix, with one standard deviation per horizontal axis."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    sigma_m: float


def stamp_sec(message) -> float:
    """The header's stamp in seconds."""
    return header_stamp_sec(message.header)


def header_stamp_sec(header) -> float:
    """The stamp of a std_msgs/Header in seconds."""
    return header.stamp.sec + 1e-9 * header.stamp.nanosec


def camera_from_info(message) -> CameraModel:
    """sensor_msgs/CameraInfo to a camera model. Raises MessageError."""
    if not np.any(message.k):
        raise MessageError(
            "CameraInfo: the camera is not calibrated (k is 0); calibrate it, and let a driver of rectified images set "
            "k as well as p"
        )
    roi = message.roi
    try:
        camera = camera_from_info_fields(
            message.width,
            message.height,
            message.distortion_model,
            message.d,
            message.k,
            binning=(message.binning_x, message.binning_y),
            roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        _ = camera.horizontal_fov_rad  # a lens that gives no rays is found out here
    except ValueError as error:
        raise MessageError(f"CameraInfo: {error}") from error
    return camera


def position_from_nav_sat_fix(message, default_sigma_m: float) -> GnssPosition:
    """sensor_msgs/NavSatFix, or gps_msgs/GPSFix, whose fields are named alike. Raises MessageError.

    `default_sigma_m` stands in for a missing covariance.
    """
    # STATUS_UNKNOWN (-2) is the default of newer messages: the driver sets no status, but a position.
    if message.status.status == NO_FIX:
        raise MessageError("NavSatFix has no fix (status -1)")
    position = (float(message.latitude), float(message.longitude), float(message.altitude))
    if not np.all(np.isfinite(position[:2])) or abs(position[0]) > 90 or abs(position[1]) > 360:
        raise MessageError(
            f"NavSatFix is not finite or out of range: latitude {position[0]}, longitude {position[1]}; they are "
            "degrees, not 1e-7 degrees, NMEA's ddmm.mmm or metres of a grid"
        )
    altitude_m = position[2] if np.isfinite(position[2]) else 0.0  # many 2-D fixes have no altitude
    variance = float(np.max([message.position_covariance[0], message.position_covariance[4]]))  # NaN stays
    if message.position_covariance_type == 0:
        return GnssPosition(position[0], position[1], altitude_m, default_sigma_m)
    if not np.isfinite(variance) or variance <= 0:
        raise MessageError(
            f"NavSatFix has a covariance that is not positive and finite: {variance}; a driver that knows none sets "
            "position_covariance_type 0"
        )
    return GnssPosition(position[0], position[1], altitude_m, float(np.sqrt(variance)))


def odometry_of(message: Any) -> Any:
    """A PoseStamped or PoseWithCovarianceStamped of base_link as nav_msgs/Odometry has it; Odometry as it is."""
    if hasattr(message, "twist"):
        return message
    pose = message.pose if hasattr(message.pose, "covariance") else SimpleNamespace(pose=message.pose)
    unknown_mps = SimpleNamespace(x=0.0, y=0.0, z=0.0)
    twist = SimpleNamespace(twist=SimpleNamespace(linear=unknown_mps))
    return SimpleNamespace(header=message.header, child_frame_id="", pose=pose, twist=twist)


def pose_from_odometry(message, T_child_base: Transform = IDENTITY) -> Pose2:
    """nav_msgs/Odometry to the planar T_odom_base; its pose is that of the child frame. Raises MessageError.

    A pose is refused where its frame is named as an optical, NED or FRD frame, or where it leans as no driving robot
    does: its x and y are then not those of the ground.
    """
    return _planar_pose(message.pose.pose, (message.header.frame_id,), "Odometry", T_child_base)


def transform_from_message(message) -> Transform:
    """geometry_msgs/TransformStamped to T_parent_child. Raises MessageError."""
    t = message.transform.translation
    t_m = np.array([t.x, t.y, t.z], dtype=np.float64)
    if not np.all(np.isfinite(t_m)):
        raise MessageError(f"transform of {message.child_frame_id} is not finite: {t_m.tolist()}")
    return Transform(_rotation(message.transform.rotation, f"transform of {message.child_frame_id}:"), t_m)


def pose_from_reference(message, default_sigma_m: float) -> tuple[Pose2, float]:
    """PoseStamped, PoseWithCovarianceStamped or Odometry to T_map_base and its standard deviation per axis in metres.

    `default_sigma_m` stands in for a missing covariance. Raises MessageError as `pose_from_odometry` does.
    """
    with_covariance = hasattr(message.pose, "covariance")
    pose = message.pose.pose if with_covariance else message.pose
    frames = (message.header.frame_id, getattr(message, "child_frame_id", ""))
    variance = max(message.pose.covariance[0], message.pose.covariance[7]) if with_covariance else 0.0
    sigma_m = float(np.sqrt(variance)) if variance > 0 and np.isfinite(variance) else default_sigma_m
    return _planar_pose(pose, frames, "the reference"), sigma_m


def gravity_from_imu(message) -> np.ndarray:
    """Unit vector [3] of down in the IMU's frame. Raises MessageError.

    From the orientation where there is one; else from the acceleration, which points up at rest.
    """
    if not is_from_acceleration(message):
        return -_rotation(message.orientation, "Imu")[2]
    force = message.linear_acceleration
    force = np.array([force.x, force.y, force.z], dtype=np.float64)
    length = float(np.linalg.norm(force))
    if message.linear_acceleration_covariance[0] < 0:
        raise MessageError(
            "Imu declares neither roll and pitch nor an acceleration (by its covariances), as headings of GNSS "
            "receivers do; connect another IMU, or none"
        )
    if not LEAST_GRAVITY_MPS2 < length < GREATEST_GRAVITY_MPS2:
        raise MessageError(
            f"Imu has no roll and pitch, and its acceleration ({length:.1f} m/s²) is not gravity; give it in m/s², not "
            "in g, and with gravity, or connect none"
        )
    return -force / length


def has_default_orientation(message) -> bool:
    """Whether the orientation is exactly that of a new message, which no driver has filled in."""
    q = message.orientation
    return not is_from_acceleration(message) and (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0)


def is_from_acceleration(message) -> bool:
    """Whether `gravity_from_imu` has to use the acceleration, which includes the robot's own acceleration.

    Drivers without an orientation set its covariance to -1, or leave the quaternion at 0 or NaN. Drivers that know only
    the heading give roll and pitch a very large variance.
    """
    q, covariance = message.orientation, message.orientation_covariance
    components = (q.x, q.y, q.z, q.w)
    if covariance[0] < 0 or not any(components) or np.any(np.isnan(components)):
        return True
    return max(covariance[0], covariance[4]) > MAX_LEAN_RAD**2


def _planar_pose(pose, frames: tuple[str, ...], name: str, T_child_base: Transform = IDENTITY) -> Pose2:
    """x, y and yaw of base_link by a geometry_msgs/Pose of the message `name`, whose frames are `frames`."""
    for frame in frames:
        for token in re.split(r"[^a-z]+", frame.lower()):
            if token in _OTHER_AXES:
                raise MessageError(
                    f"{name} has the axes of '{frame}' ({_OTHER_AXES[token]}); publish the pose of base_link in a "
                    "frame with z up (REP 105)"
                )
    position = pose.position
    if not np.all(np.isfinite([position.x, position.y])):
        raise MessageError(f"{name} position is not finite: {position.x}, {position.y}")
    if abs(position.z) > MAX_Z_M:
        raise MessageError(
            f"{name} is at z = {1e-3 * position.z:.0f} km in '{frames[0]}': geocentric coordinates (ECEF), whose x and "
            "y are not the ground's; take the driver's odometry in a local frame with z up (REP 105)"
        )
    R_child = _rotation(pose.orientation, name)
    R = R_child @ T_child_base.R
    if R[2, 2] < np.cos(MAX_LEAN_RAD):
        raise MessageError(
            f"{name} leans by {np.degrees(np.arccos(np.clip(R[2, 2], -1, 1))):.0f}°, which no driving robot does; is "
            "it the pose of a camera's optical frame, or in NED? Publish that of base_link with z up"
        )
    x_m, y_m = (R_child @ T_child_base.t_m)[:2] + (position.x, position.y)
    return Pose2(float(x_m), float(y_m), float(np.arctan2(R[1, 0], R[0, 0])))


def _rotation(quaternion, name: str) -> np.ndarray:
    """Rotation matrix [3, 3] of a geometry_msgs/Quaternion. Raises MessageError where its length is not 1."""
    q = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], dtype=np.float64)
    length = np.linalg.norm(q)
    if not np.all(np.isfinite(q)) or abs(length - 1) > QUATERNION_ROUNDING:
        raise MessageError(f"{name} orientation is no unit quaternion: {q.tolist()}")
    x, y, z, w = q / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
