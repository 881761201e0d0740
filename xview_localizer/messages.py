"""ROS messages into the package's own types; by field names only, so that bag readers' messages fit too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from xview_localizer.geometry.camera import CameraModel, camera_from_info_fields
from xview_localizer.geometry.pose import Pose2

# Channels of the message, and OpenCV's conversion to RGB (None: it is RGB). Bayer names differ: OpenCV
# names the second row's pixels, ROS the first row's.
_TO_RGB = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}
MAX_IMAGE_PX = 100_000_000


class MessageError(ValueError):
    """A message cannot be used; the text says what is wrong with it."""


@dataclass(frozen=True)
class GnssPosition:
    """What a NavSatFix says, with one standard deviation per horizontal axis."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    sigma_m: float


def stamp_sec(message) -> float:
    """The header's stamp in seconds."""
    return message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec


def rgb_from_image(message) -> np.ndarray:
    """sensor_msgs/Image to RGB [H, W, 3] uint8. Raises MessageError."""
    _check_encoding(message.encoding)
    channels = _TO_RGB[message.encoding][0]
    height, width, step = message.height, message.width, message.step
    if not 0 < height * width <= MAX_IMAGE_PX or step < width * channels:
        raise MessageError(
            f"image of {width} × {height} with step {step} is impossible for {message.encoding}"
        )
    data = np.frombuffer(message.data, np.uint8)
    if data.size < height * step:
        raise MessageError(f"image data is cut off: {data.size} of {height * step} bytes")
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    pixels = np.ascontiguousarray(rows).reshape(
        (height, width, channels) if channels > 1 else (height, width)
    )
    return _rgb(pixels, message.encoding)


def rgb_from_compressed_image(message) -> np.ndarray:
    """sensor_msgs/CompressedImage (JPEG, PNG, …) to RGB [H, W, 3] uint8. Raises MessageError.

    image_transport writes formats such as "rgb8; jpeg compressed bgr8": the encoding of the raw image comes first.
    Colours are the usual ones all the same, but a Bayer mosaic is compressed as it is, as if it were grey.
    """
    encoding = message.format.partition(";")[0].strip()
    mosaic = encoding.startswith("bayer_")
    if mosaic:
        _check_encoding(encoding)
    # EXIF must not turn the image: CameraInfo is about the pixels as they were taken.
    flags = cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_GRAYSCALE if mosaic else cv2.IMREAD_COLOR)
    data = np.frombuffer(message.data, np.uint8)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise MessageError(
            f"compressed image ({message.format or 'no format'}, {data.size} bytes) cannot be decoded"
        )
    return _rgb(image, encoding if mosaic else "bgr8")


def camera_from_info(message) -> CameraModel:
    """sensor_msgs/CameraInfo to a camera model. Raises MessageError."""
    roi = message.roi
    try:
        return camera_from_info_fields(
            message.width,
            message.height,
            message.distortion_model,
            message.d,
            message.k,
            binning=(message.binning_x, message.binning_y),
            roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
    except ValueError as error:
        raise MessageError(f"CameraInfo: {error}") from error


def position_from_nav_sat_fix(message, default_sigma_m: float) -> GnssPosition:
    """sensor_msgs/NavSatFix; `default_sigma_m` stands in for a missing covariance. Raises MessageError."""
    if message.status.status < 0:
        raise MessageError("NavSatFix has no fix (status < 0)")
    position = (float(message.latitude), float(message.longitude), float(message.altitude))
    if not np.all(np.isfinite(position[:2])) or abs(position[0]) > 90 or abs(position[1]) > 360:
        raise MessageError(
            f"NavSatFix is not finite or out of range: latitude {position[0]}, longitude {position[1]}"
        )
    altitude_m = position[2] if np.isfinite(position[2]) else 0.0  # many 2-D fixes have no altitude
    variance = float(np.max([message.position_covariance[0], message.position_covariance[4]]))  # NaN stays
    if message.position_covariance_type == 0:
        return GnssPosition(position[0], position[1], altitude_m, default_sigma_m)
    if not np.isfinite(variance) or variance <= 0:
        raise MessageError(f"NavSatFix has a covariance that is not positive and finite: {variance}")
    return GnssPosition(position[0], position[1], altitude_m, float(np.sqrt(variance)))


def pose_from_odometry(message) -> Pose2:
    """nav_msgs/Odometry to the planar T_odom_base. Raises MessageError."""
    position = message.pose.pose.position
    if not np.all(np.isfinite([position.x, position.y])):
        raise MessageError(f"Odometry position is not finite: {position.x}, {position.y}")
    R = _rotation(message.pose.pose.orientation, "Odometry")
    return Pose2(position.x, position.y, float(np.arctan2(R[1, 0], R[0, 0])))


def gravity_from_imu(message) -> np.ndarray:
    """Unit vector [3] of down in the IMU's frame. Raises MessageError.

    From the orientation where there is one; else from the acceleration, which points up at rest.
    """
    if message.orientation_covariance[0] >= 0:
        return -_rotation(message.orientation, "Imu")[2]
    force = message.linear_acceleration
    force = np.array([force.x, force.y, force.z], dtype=np.float64)
    length = float(np.linalg.norm(force))
    if message.linear_acceleration_covariance[0] < 0 or not 5.0 < length < 15.0:
        raise MessageError(f"Imu has no orientation and its acceleration ({length:.1f} m/s²) is not gravity")
    return -force / length


def _check_encoding(encoding: str) -> None:
    if encoding not in _TO_RGB:
        raise MessageError(f"image encoding '{encoding}' is not supported; use one of {', '.join(_TO_RGB)}")


def _rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels [H, W] or [H, W, channels] of a supported encoding as RGB [H, W, 3]."""
    conversion = _TO_RGB[encoding][1]
    if conversion is None:
        return pixels
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:
        height, width = pixels.shape[:2]
        raise MessageError(f"cannot convert {width} × {height} of {encoding}: {error.err}") from error


def _rotation(quaternion, name: str) -> np.ndarray:
    """Rotation matrix [3, 3] of a geometry_msgs/Quaternion."""
    x, y, z, w = q = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], dtype=np.float64)
    if not np.all(np.isfinite(q)) or abs(np.linalg.norm(q) - 1) > 0.01:
        raise MessageError(f"{name} orientation is no unit quaternion: {q.tolist()}")
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
