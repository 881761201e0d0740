"""A drive as a rosbag2 recording (mcap), playable by `ros2 bag play`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.sensors import GnssSample, ImuSample, OdometrySample

_STORE = get_typestore(Stores.ROS2_JAZZY)
_TYPES = _STORE.types
_Header, _Time = _TYPES["std_msgs/msg/Header"], _TYPES["builtin_interfaces/msg/Time"]
_Quaternion, _Vector3, _Point = (
    _TYPES[f"geometry_msgs/msg/{name}"] for name in ("Quaternion", "Vector3", "Point")
)
_Pose = _TYPES["geometry_msgs/msg/Pose"]

# What sensors say of themselves, in SI units: x, y, z, roll, pitch and yaw of odometry (what wheels do not measure has
# a large one), roll, pitch and yaw of the IMU, and each axis of its gyro and accelerometer. Errors: see sensors.py.
_ODOMETRY_VARIANCES, _ATTITUDE_VARIANCES = (0.05, 0.05, 1e3, 1e3, 1e3, 0.01), (3e-5, 3e-5, 1e-2)
_GYRO_VARIANCE, _ACCELEROMETER_VARIANCE = 1e-4, 2e-2

_TF_TYPE = "tf2_msgs/msg/TFMessage"
# Static transforms are latched for late subscribers, and a player has to offer them in the same way.
_LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, QosTime(0, 0), QosTime(0, 0),
    QosLiveliness.SYSTEM_DEFAULT, QosTime(0, 0), False,
)  # fmt: skip


class DriveBag:
    """Collects messages and writes them in time order; of equal stamps, images come last."""

    TOPICS = {
        "image": "/camera/image/compressed",
        "camera_info": "/camera/camera_info",
        "fix": "/gnss/fix",
        "odom": "/odom",
        "imu": "/imu/data",
        "ground_truth": "/ground_truth/pose",
    }
    _TYPE_OF = {
        "odom": "nav_msgs/msg/Odometry",
        "imu": "sensor_msgs/msg/Imu",
        "fix": "sensor_msgs/msg/NavSatFix",
        "ground_truth": "geometry_msgs/msg/PoseStamped",
        "camera_info": "sensor_msgs/msg/CameraInfo",
        "image": "sensor_msgs/msg/CompressedImage",
    }

    @classmethod
    def topics_of(cls, cameras: Sequence[str]) -> dict[str, str]:
        """Topics by role of a drive with the named cameras; without names, with a single camera."""
        topics = dict(cls.TOPICS)
        if cameras:
            del topics["image"], topics["camera_info"]
        for name in cameras:
            topics |= {
                f"{name}/image": f"/{name}/image/compressed",
                f"{name}/camera_info": f"/{name}/camera_info",
            }
        return topics

    def __init__(self, path: Path, start_sec: float) -> None:
        self._start_ns = round(start_sec * 1e9)
        self._mountings: list = []
        self._messages: list[tuple[int, int, str, Callable[[], bytes]]] = []
        self._cameras: list[str] = []
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)

    def __enter__(self) -> DriveBag:
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add_mounting(self, frame_id: str, xyz_m: np.ndarray, R_base_sensor: np.ndarray) -> None:
        """Static transform of a sensor: its position and rotation [3, 3] in base_link."""
        x, y, z, w = map(float, Rotation.from_matrix(R_base_sensor).as_quat())
        transform = _TYPES["geometry_msgs/msg/Transform"](
            translation=_Vector3(*map(float, xyz_m)), rotation=_Quaternion(x=x, y=y, z=z, w=w)
        )
        header = _Header(stamp=_stamp(self._start_ns), frame_id="base_link")
        self._mountings.append(
            _TYPES["geometry_msgs/msg/TransformStamped"](
                header=header, child_frame_id=frame_id, transform=transform
            )
        )

    def add_gnss(self, sample: GnssSample, frame: LocalFrame) -> None:
        """NavSatFix of the antenna."""
        latitude, longitude, altitude = frame.geodetic_from_enu(sample.xyz_m)
        status = _TYPES["sensor_msgs/msg/NavSatStatus"](status=0, service=1)
        variance = sample.sigma_m**2
        self._add(
            "fix", sample.stamp_sec,
            lambda header: _TYPES["sensor_msgs/msg/NavSatFix"](
                header=header("gnss_antenna"), status=status, latitude=float(latitude), longitude=float(longitude),
                altitude=float(altitude), position_covariance=np.diag([variance, variance, 4 * variance]).ravel(),
                position_covariance_type=2,
            ),
        )  # fmt: skip

    def add_odometry(self, sample: OdometrySample) -> None:
        """Odometry odom → base_link."""
        covariance = np.diag(_ODOMETRY_VARIANCES).ravel()
        twist = _TYPES["geometry_msgs/msg/Twist"](
            linear=_Vector3(x=sample.speed_mps, y=0.0, z=0.0),
            angular=_Vector3(x=0.0, y=0.0, z=sample.yaw_rate_radps),
        )
        self._add(
            "odom", sample.stamp_sec,
            lambda header: _TYPES["nav_msgs/msg/Odometry"](
                header=header("odom"), child_frame_id="base_link",
                pose=_TYPES["geometry_msgs/msg/PoseWithCovariance"](pose=_planar(sample.pose), covariance=covariance),
                twist=_TYPES["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=covariance),
            ),
        )  # fmt: skip

    def add_imu(self, sample: ImuSample) -> None:
        """Attitude, angular velocity and specific force."""
        rate = _Vector3(*map(float, sample.angular_velocity_radps))
        force = _Vector3(*map(float, sample.specific_force_mps2))
        self._add(
            "imu", sample.stamp_sec,
            lambda header: _TYPES["sensor_msgs/msg/Imu"](
                header=header("base_link"), orientation=_quaternion(sample.roll_rad, sample.pitch_rad, sample.yaw_rad),
                orientation_covariance=np.diag(_ATTITUDE_VARIANCES).ravel(),
                angular_velocity=rate, angular_velocity_covariance=np.diag([_GYRO_VARIANCE] * 3).ravel(),
                linear_acceleration=force,
                linear_acceleration_covariance=np.diag([_ACCELEROMETER_VARIANCE] * 3).ravel(),
            ),
        )  # fmt: skip

    def add_image(self, stamp_sec: float, jpeg: bytes, camera: dict, name: str = "") -> None:
        """CompressedImage and its CameraInfo, of the camera `name` where there are several."""
        if name and name not in self._cameras:
            self._cameras.append(name)
        prefix, frame_id = (f"{name}/", optical_frame(name)) if name else ("", optical_frame("camera"))
        self._add(f"{prefix}camera_info", stamp_sec, lambda header: _camera_info(header(frame_id), camera))
        self._add(
            f"{prefix}image", stamp_sec,
            lambda header: _TYPES["sensor_msgs/msg/CompressedImage"](
                header=header(frame_id), format="jpeg", data=np.frombuffer(jpeg, np.uint8)
            ),
        )  # fmt: skip

    def add_truth(self, stamp_sec: float, pose: Pose2) -> None:
        """True pose of base_link in map."""
        self._add(
            "ground_truth", stamp_sec,
            lambda header: _TYPES["geometry_msgs/msg/PoseStamped"](header=header("map"), pose=_planar(pose)),
        )  # fmt: skip

    def write(self) -> None:
        """Write everything collected, in time order, the mountings first."""
        connections = {
            name: self._writer.add_connection(topic, self._TYPE_OF[_kind(name)], typestore=_STORE)
            for name, topic in self.topics_of(self._cameras).items()
        }
        static = self._writer.add_connection(
            "/tf_static", _TF_TYPE, typestore=_STORE, offered_qos_profiles=[_LATCHED]
        )
        mountings = _TYPES[_TF_TYPE](transforms=self._mountings)
        self._writer.write(static, self._start_ns, _STORE.serialize_cdr(mountings, _TF_TYPE))
        for stamp_ns, _, name, serialize in sorted(self._messages, key=lambda message: message[:2]):
            self._writer.write(connections[name], stamp_ns, serialize())

    def _add(self, name: str, stamp_sec: float, make: Callable[[Callable[[str], object]], object]) -> None:
        stamp_ns = self._start_ns + round(stamp_sec * 1e9)

        def header(frame_id: str):
            return _Header(stamp=_stamp(stamp_ns), frame_id=frame_id)

        kind = _kind(name)
        order = list(self._TYPE_OF).index(kind)
        self._messages.append(
            (stamp_ns, order, name, lambda: _STORE.serialize_cdr(make(header), self._TYPE_OF[kind]))
        )


def optical_frame(name: str) -> str:
    """Frame of a camera's images."""
    return f"{name}_optical_frame"


def _kind(name: str) -> str:
    """A topic's role without the camera's name, such as "image" of "front/image"."""
    return name.rpartition("/")[2]


def _stamp(stamp_ns: int):
    return _Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def _planar(pose: Pose2):
    return _Pose(
        position=_Point(x=pose.x_m, y=pose.y_m, z=0.0), orientation=_quaternion(0.0, 0.0, pose.yaw_rad)
    )


def _quaternion(roll_rad: float, pitch_rad: float, yaw_rad: float):
    (cr, cp, cy), (sr, sp, sy) = (
        np.cos(np.array([roll_rad, pitch_rad, yaw_rad]) / 2),
        np.sin(np.array([roll_rad, pitch_rad, yaw_rad]) / 2),
    )
    return _Quaternion(
        x=float(sr * cp * cy - cr * sp * sy), y=float(cr * sp * cy + sr * cp * sy),
        z=float(cr * cp * sy - sr * sp * cy), w=float(cr * cp * cy + sr * sp * sy),
    )  # fmt: skip


def _camera_info(header, camera: dict):
    """CameraInfo counts pixel centres at integers, the camera record at +0.5. A panorama is announced as the
    distortion model "equirectangular" with pixels per radian in place of focal lengths."""
    if camera["model"] == "equirectangular":
        per_rad = camera["width"] / np.radians(camera["hfov_deg"])
        fx, fy = per_rad, camera["px_per_deg_v"] * 180 / np.pi
        cx, cy, model, d = camera["width"] / 2, camera["horizon_row"], "equirectangular", []
    else:
        fx, fy, cx, cy = camera["fx"], camera["fy"], camera["cx"], camera["cy"]
        model, d = "plumb_bob", camera["d"] or [0.0] * 5
    k = np.array([fx, 0.0, cx - 0.5, 0.0, fy, cy - 0.5, 0.0, 0.0, 1.0])
    roi = _TYPES["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    p = np.concatenate([k.reshape(3, 3), np.zeros((3, 1))], axis=1).ravel()
    return _TYPES["sensor_msgs/msg/CameraInfo"](
        header=header, height=camera["height"], width=camera["width"], distortion_model=model,
        d=np.array(d, np.float64), k=k, r=np.eye(3).ravel(), p=p, binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip
