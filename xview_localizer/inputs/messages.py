"""ROS messages into the package's own types; by field names only, so that bag readers' messages fit too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from xview_localizer.encoded_image import MAX_IMAGE_PX, EncodedImageError, TooLargeImageError, decode_image
from xview_localizer.geometry.camera import CameraModel, camera_from_info_fields
from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.transform_tree import IDENTITY, Transform

# Channels of the message, and OpenCV's conversion to RGB (None: it is RGB). Bayer names differ: OpenCV
# names the second row's pixels, ROS the first row's. 8UC… are OpenCV's own images, blue first.
_TO_RGB = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": (1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": (1, cv2.COLOR_YUV2RGB_NV21),
}
# Encodings of 16 bits a channel, and the 8-bit one with the same channels.
_OF_16_BITS = {
    "mono16": "mono8",
    **{f"{order}16": f"{order}8" for order in ("rgb", "bgr", "rgba", "bgra")},
    **{f"bayer_{order}16": f"bayer_{order}8" for order in ("rggb", "bggr", "gbrg", "grbg")},
}
ENCODINGS = (*_TO_RGB, *_OF_16_BITS)
# Below the luminance of these stand half as many rows of chroma.
_SEMI_PLANAR = ("nv12", "nv21")
# Two or four pixels share a colour, so that there is no odd number of them.
_SUBSAMPLED = (*_SEMI_PLANAR, "yuv422", "uyvy", "yuv422_yuy2", "yuyv")
# Encodings of depth images (REP 118), which some transports compress as ordinary pictures.
_DEPTH = ("16UC1", "32FC1")
# Tokens of frame names whose axes are not x forward, y left, z up (REP 103).
_OTHER_AXES = {"optical": "z forward, y down", "ned": "north, east, down", "frd": "forward, right, down"}
# No driving robot leans further; beyond it the axes are other ones than they should be.
MAX_LEAN_RAD = float(np.radians(60.0))
# A quaternion's length may be off 1 by so much: drivers round.
QUATERNION_ROUNDING = 0.01
# Lengths of an acceleration that is gravity and little else, m/s²; in g it is about 1.
LEAST_GRAVITY_MPS2, GREATEST_GRAVITY_MPS2 = 5.0, 15.0
# NavSatStatus.STATUS_NO_FIX
NO_FIX = -1


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


def rgb_from_image(message) -> np.ndarray:
    """sensor_msgs/Image to RGB [H, W, 3] uint8. Raises MessageError."""
    encoding = _of_8_bits(message.encoding)
    channels = _TO_RGB[encoding][0]
    deep = message.encoding in _OF_16_BITS
    row_bytes = message.width * channels * (2 if deep else 1)
    height, width, step = message.height, message.width, message.step
    if not 0 < height * width <= MAX_IMAGE_PX or step < row_bytes:
        raise MessageError(
            f"image of {width} × {height} with step {step} is impossible for {message.encoding}: step is the bytes of "
            f"a row, at least {row_bytes}"
        )
    rows = height * 3 // 2 if encoding in _SEMI_PLANAR else height
    data = np.frombuffer(message.data, np.uint8)
    needed = (rows - 1) * step + row_bytes  # drivers may leave out the padding of the last row
    if data.size < needed:
        raise MessageError(f"image data is cut off: {data.size} of {needed} bytes")
    pixels = np.ascontiguousarray(as_strided(data, (rows, row_bytes), (step, 1)))
    if deep:
        pixels = pixels.view(">u2" if message.is_bigendian else "<u2")
    pixels = pixels.reshape(rows, width, channels)
    return _rgb(_to_8_bits(pixels) if deep else pixels, encoding)


def rgb_from_compressed_image(message, camera_size: tuple[int, int] | None = None) -> np.ndarray:
    """sensor_msgs/CompressedImage (JPEG, PNG, …) to RGB [H, W, 3] uint8. Raises MessageError.

    image_transport writes formats such as "rgb8; jpeg compressed bgr8": the encoding of the raw image comes first.
    Colours are the usual ones all the same; a Bayer mosaic may be compressed as it is, as if it were grey. A picture
    that claims more pixels than its camera has, `camera_size` (width, height), is refused before it is decoded.
    """
    encoding, _, how = (part.strip() for part in message.format.partition(";"))
    if "compressedDepth" in how or encoding in _DEPTH:
        raise MessageError(f"compressed image '{message.format}' is a depth image; take the camera's own")
    mosaic = encoding.startswith("bayer_")
    if mosaic:
        encoding = _of_8_bits(encoding)
    data = bytes(message.data)
    max_px = MAX_IMAGE_PX if camera_size is None else camera_size[0] * camera_size[1]
    try:
        image = decode_image(data, max_px)
    except TooLargeImageError as error:
        belongs = ""
        if camera_size is not None:
            width, height = camera_size
            belongs = f"; its CameraInfo has {width} × {height}: check that it belongs to this image"
        raise MessageError(f"compressed image ({message.format or 'no format'}) {error}{belongs}") from error
    except EncodedImageError as error:
        raise MessageError(f"compressed image ({message.format or 'no format'}) {error}") from error
    if image.dtype == np.uint16:
        image = _to_8_bits(image)
    if image.dtype != np.uint8:
        raise MessageError(
            f"compressed image ({message.format}) holds {image.dtype}, not 8 or 16 bits a channel"
        )
    if image.ndim == 2:
        return _rgb(image, encoding if mosaic else "mono8")
    return _rgb(image, "bgr8")  # OpenCV leaves out the alpha of a fourth channel


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

    Poses in a frame that is named as an optical, NED or FRD one, or that lean as no driving robot does, are refused:
    their x and y are not the ground's.
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
            "Imu declares neither an orientation nor an acceleration (-1 in both covariances); connect another IMU, or "
            "none"
        )
    if not LEAST_GRAVITY_MPS2 < length < GREATEST_GRAVITY_MPS2:
        raise MessageError(
            f"Imu has no orientation and its acceleration ({length:.1f} m/s²) is not gravity; give it in m/s², not in g"
        )
    return -force / length


def has_default_orientation(message) -> bool:
    """Whether the orientation is the one that a message has before anybody fills it in, to the last digit."""
    q = message.orientation
    return not is_from_acceleration(message) and (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0)


def is_from_acceleration(message) -> bool:
    """Whether `gravity_from_imu` has only the acceleration to go by, which holds the robot's own as well.

    Drivers without an orientation set its covariance to -1, or leave the quaternion at 0.
    """
    q = message.orientation
    return message.orientation_covariance[0] < 0 or not any((q.x, q.y, q.z, q.w))


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
    R_child = _rotation(pose.orientation, name)
    R = R_child @ T_child_base.R
    if R[2, 2] < np.cos(MAX_LEAN_RAD):
        raise MessageError(
            f"{name} leans by {np.degrees(np.arccos(np.clip(R[2, 2], -1, 1))):.0f}°, which no driving robot does; is "
            "it the pose of a camera's optical frame, or in NED? Publish that of base_link with z up"
        )
    x_m, y_m = (R_child @ T_child_base.t_m)[:2] + (position.x, position.y)
    return Pose2(float(x_m), float(y_m), float(np.arctan2(R[1, 0], R[0, 0])))


def _of_8_bits(encoding: str) -> str:
    """The encoding itself, or its counterpart of 8 bits a channel. Raises MessageError."""
    encoding_8 = _OF_16_BITS.get(encoding, encoding)
    if encoding_8 not in _TO_RGB:
        raise MessageError(f"image encoding '{encoding}' is not supported; use one of {', '.join(ENCODINGS)}")
    return encoding_8


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """uint16 [H, W] or [H, W, channels] to uint8.

    Cameras of 10, 12 or 14 bits leave the upper bits 0, so the image's own range counts; that of a fourth channel,
    which is opacity, does not.
    """
    colours = pixels[..., :3] if pixels.ndim == 3 else pixels
    bits = max(8, int(colours.max()).bit_length())
    return (pixels >> (bits - 8)).astype(np.uint8)


def _rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels [H, W] or [H, W, channels] of a supported encoding as RGB [H, W, 3]. Raises MessageError."""
    conversion = _TO_RGB[encoding][1]
    if conversion is None:
        return pixels
    height, width = pixels.shape[:2]
    # OpenCV 4.6 converts odd widths and loses a column. Rows of a second plane stand below those of the first.
    odd = encoding in _SUBSAMPLED and (width % 2 or encoding in _SEMI_PLANAR and height % 3)
    if odd:
        raise MessageError(
            f"cannot convert {width} × {height} of {encoding}: its width and height must be even"
        )
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:
        raise MessageError(f"cannot convert {width} × {height} of {encoding}: {error.err}") from error


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
