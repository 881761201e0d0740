"""Where camera, antenna and IMU sit on the robot: by parameters, else by TF at the message's stamp.

Live and in a replay the same tree is filled from the same messages (tf2_msgs/TFMessage on /tf_static and /tf), so both
give the same poses. That is why the node takes those topics itself and not tf2_ros's buffer: a second implementation
of look-up and interpolation, which recordings can't be replayed with, would have to agree with this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.levelling import R_BODY_OPTICAL
from xview_localizer.geometry.transform_tree import IDENTITY, Transform, TransformError, TransformTree
from xview_localizer.ground_view import GroundView
from xview_localizer.inputs import messages

ONLY_CAMERA = ""  # the name of the camera of a robot with a single one
# A frame whose z points up on the robot to within this angle is no optical frame: its camera would look at the sky.
UPWARD_RAD = float(np.radians(45.0))
# Frames that the robot moves in (REP 105). No sensor's frame can be one of them: TF would give the way driven so far.
WORLD_FRAMES = ("earth", "map", "odom", "world")
# No sensor sits further from base_link; the parameters have the same bound.
MAX_ON_ROBOT_M = 50.0
# By convention (REP 120) this frame has base_link's x, y and yaw, so that its planar pose is base_link's.
FOOTPRINT_FRAME = "base_footprint"


class MountingError(ValueError):
    """It is not known where a sensor sits; the text names what to publish or to set."""


@dataclass(frozen=True)
class CameraMounting:
    """What parameters give of one camera; `R_base_camera` [3, 3] takes its optical frame's axes into base_link's.

    `height_m` over the ground is None where it is unknown.
    """

    in_base_m: np.ndarray | None = None
    R_base_camera: np.ndarray | None = None
    height_m: float | None = None


@dataclass(frozen=True)
class MountingConfig:
    """What parameters give; what is None comes from TF. `R_base_imu` [3, 3] takes the IMU's axes into base_link's."""

    base_frame: str = "base_link"
    cameras: Mapping[str, CameraMounting] = field(default_factory=lambda: {ONLY_CAMERA: CameraMounting()})
    R_base_imu: np.ndarray | None = None
    antenna_in_base_m: np.ndarray | None = None
    hold_sec: float = (
        0.5  # how long the newest transform is used for GNSS, IMU and odometry, which do not wait for TF
    )

    @property
    def from_tf(self) -> list[str]:
        """Names of the parameters in whose place TF is looked up."""
        values = {"imu.rpy_deg": self.R_base_imu}
        for camera, mounting in self.cameras.items():
            prefix = parameter_prefix(camera)
            values[f"{prefix}.position_in_base_m"] = mounting.in_base_m
            values[f"{prefix}.rpy_deg"] = mounting.R_base_camera
        values["gnss.antenna_in_base_m"] = self.antenna_in_base_m
        return [name for name, value in values.items() if value is None]


class Mountings:
    """Mountings by the configuration and the transforms that came in; thread-safe. Methods raise MountingError."""

    def __init__(self, config: MountingConfig) -> None:
        self._config = config
        self._tree = TransformTree()

    def on_transforms(self, message, static: bool) -> None:
        """A tf2_msgs/TFMessage of /tf_static or /tf. Raises MessageError after taking those that are sound."""
        problem: messages.MessageError | None = None
        for stamped in message.transforms:
            parent, child = _frame(stamped.header.frame_id), _frame(stamped.child_frame_id)
            try:
                if not parent or not child or parent == child:
                    raise messages.MessageError(f"transform of {child!r} in {parent!r} places nothing")
                transform = messages.transform_from_message(stamped)
            except messages.MessageError as error:
                problem = error
                continue
            if static:
                self._tree.set_static(parent, child, transform)
            else:
                self._tree.set_moving(parent, child, messages.stamp_sec(stamped), transform)
        if problem is not None:
            raise problem

    def clear(self) -> None:
        """Time has jumped: moving transforms are dropped."""
        self._tree.clear_moving()

    def view(
        self, image: np.ndarray, model: CameraModel, gravity_base: np.ndarray | None, header, camera: str
    ) -> GroundView:
        """`image` [H, W, 3] RGB of a camera's message with this header as the localizer takes it."""
        stamp_sec = messages.header_stamp_sec(header)
        R_base_camera, camera_in_base_m = self.camera(header, camera)
        height_m = self._config.cameras[camera].height_m
        return GroundView(image, model, R_base_camera, camera_in_base_m, gravity_base, height_m, stamp_sec)

    # These take a message's std_msgs/Header; its frame_id and stamp are used where TF is asked.

    def camera(self, header, camera: str = ONLY_CAMERA) -> tuple[np.ndarray, np.ndarray]:
        """`R_base_camera` [3, 3] of the optical frame and the camera's position [3] in base_link."""
        mounting = self._config.cameras[camera]
        R, t_m = mounting.R_base_camera, mounting.in_base_m
        if R is None or t_m is None:
            left_out, prefix = {"position_in_base_m": t_m, "rpy_deg": R}, parameter_prefix(camera)
            unset = " and ".join(f"{prefix}.{key}" for key, value in left_out.items() if value is None)
            T = self._lookup(header, 0.0, unset, "the image")
            R = _R_base_optical(T.R, _frame(header.frame_id)) if R is None else R
            t_m = T.t_m if t_m is None else t_m
        return R, t_m

    def R_base_imu(self, header) -> np.ndarray:
        """Rotation [3, 3] from the IMU's axes into base_link's."""
        if self._config.R_base_imu is not None:
            return self._config.R_base_imu
        return self._lookup(header, self._config.hold_sec, "imu.rpy_deg", "the Imu").R

    def antenna_in_base_m(self, header) -> np.ndarray:
        """The GNSS antenna [3] in base_link."""
        if self._config.antenna_in_base_m is not None:
            return self._config.antenna_in_base_m
        unset = "gnss.antenna_in_base_m"
        return self._lookup(header, self._config.hold_sec, unset, "the NavSatFix").t_m

    def T_child_base(self, child_frame_id: str, stamp_sec: float) -> Transform:
        """base_link in the frame whose pose an odometry is; an empty name stands for base_link."""
        child, base = _frame(child_frame_id), self._config.base_frame
        if child in ("", base):
            return IDENTITY
        if _is_of_the_world(child):  # TF's motion and the pose's would cancel each other
            raise MountingError(
                f"Odometry is the pose of {child}, which the robot moves in: header.frame_id and child_frame_id are "
                f"swapped, or it is the inverse; let the driver publish the pose of {base} in {child}"
            )
        try:
            return self._tree.lookup(child, base, stamp_sec, self._config.hold_sec)
        except TransformError as error:
            robot, slash, _ = base.rpartition("/")
            if child == f"{robot}{slash}{FOOTPRINT_FRAME}":
                return IDENTITY
            raise MountingError(
                f"Odometry is the pose of {child}, not of {base}, and there is {error}; publish it on /tf_static, or "
                f"set frames.base to {child} if all mountings are given in it"
            ) from error

    def _lookup(self, header, hold_sec: float, unset: str, what: str) -> Transform:
        frame, base = _frame(header.frame_id), self._config.base_frame
        if not frame:
            raise MountingError(
                f"{what} names no frame_id to look up on TF; let its driver fill it in, or set {unset}"
            )
        if _is_of_the_world(frame):
            raise MountingError(
                f"{what} is in {frame}, which the robot moves in; let its driver name the frame of the sensor, or set "
                f"{unset}"
            )
        try:
            T = self._tree.lookup(base, frame, messages.header_stamp_sec(header), hold_sec)
        except TransformError as error:
            raise MountingError(f"{error}; publish it or set {unset}") from error
        if (away_m := float(np.linalg.norm(T.t_m))) > MAX_ON_ROBOT_M:
            raise MountingError(
                f"by TF {frame} is {away_m:.0f} m from {base}, too far for a robot: transforms are in metres, and a "
                f"sensor's frame is fixed to the robot; correct the transform, or set {unset}"
            )
        return T


def parameter_prefix(camera: str) -> str:
    """What the names of a camera's parameters begin with."""
    return f"camera.{camera}" if camera else "camera"


def _is_of_the_world(frame: str) -> bool:
    return frame.rpartition("/")[2] in WORLD_FRAMES


def _R_base_optical(R_base_frame: np.ndarray, frame: str) -> np.ndarray:
    """The optical axes of a camera's frame: those of the frame itself (REP 103), or of a body frame with z up."""
    if R_base_frame[2, 2] < np.cos(UPWARD_RAD):
        return R_base_frame
    if "optical" in frame.lower():
        raise MountingError(
            f"by TF the z of {frame} points up, so its camera looks at the sky; an optical frame has z along the view "
            "and y down (REP 103). Correct the transform, or set camera.rpy_deg"
        )
    return R_base_frame @ R_BODY_OPTICAL


def _frame(frame_id: str) -> str:
    """A frame's name; ROS 1 wrote them with a slash in front."""
    return frame_id.lstrip("/")
