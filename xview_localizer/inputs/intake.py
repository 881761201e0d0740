"""ROS messages in, tracker inputs out: the one path that the node and the offline replay share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.ground_view import GroundView
from xview_localizer.inputs import messages
from xview_localizer.inputs.calibrations import Calibrations
from xview_localizer.inputs.clock_lag import ClockLag
from xview_localizer.inputs.doubts import DriveDoubts
from xview_localizer.inputs.driving_direction import DrivingDirection
from xview_localizer.inputs.image_messages import rgb_from_compressed_image, rgb_from_image
from xview_localizer.inputs.lean_check import LeanCheck
from xview_localizer.inputs.message_types import input_of
from xview_localizer.inputs.moments import CameraImage, Moment
from xview_localizer.inputs.mountings import ONLY_CAMERA, MountingError, Mountings, parameter_prefix
from xview_localizer.inputs.odometry_check import OdometryCheck
from xview_localizer.inputs.odometry_path import PathCheck
from xview_localizer.inputs.odometry_source import OdometrySource
from xview_localizer.inputs.repeated_images import RepeatedImages
from xview_localizer.localizer import Localizer
from xview_localizer.observation import Observation, empty_observation
from xview_localizer.parameters.settings import Settings
from xview_localizer.rejection import Reason
from xview_localizer.residual_tilt import residual_tilt_rad
from xview_localizer.tracking.motion import SampleError
from xview_localizer.tracking.tracked_fix import TrackedFix
from xview_localizer.tracking.tracker import DriveTracker

# A position further from the datum is a mistake. Up to there the map frame distorts lengths by at most 0.05 %.
MAX_FROM_DATUM_M = 200e3
# One accepted image in this many is examined for a tilt of the ground, which takes about as long as solving it.
TILT_EVERY = 10


class NotReadyError(messages.MessageError):
    """An image cannot be used yet, because other data that it needs are missing."""

    reason = Reason.NO_CAMERA


class NoCameraError(NotReadyError):
    """No CameraInfo has come yet, and no file stands in for it."""


class NotMountedError(NotReadyError):
    """The mounting of the camera, or of the IMU that levels its images, is not known."""

    reason = Reason.NO_MOUNTING


class DriveIntake:
    """Checks messages and passes them to a DriveTracker; raises MessageError on bad ones.

    One thread may hand over messages and ask for doubts while another observes images and takes their answers.
    `rgb_from_image` converts a sensor_msgs/Image. Raises SettingsError where a camera's mask or calibration file cannot
    be used.
    """

    def __init__(
        self,
        localizer: Localizer,
        settings: Settings,
        rgb_from_image: Callable[[object], np.ndarray] = rgb_from_image,
    ) -> None:
        self.tracker = DriveTracker(localizer, settings.frame, settings.tracker)
        self._localizer, self._settings, self._rgb_from_image = localizer, settings, rgb_from_image
        self.mountings = Mountings(settings.mountings)
        self._odometry_check, self._path_check = OdometryCheck(), PathCheck()
        self.driving_direction = DrivingDirection()
        self._odometry_source = OdometrySource(settings.values["odometry.max_gap_sec"], settings.map_frame)
        self._repeated_images = RepeatedImages(self._driven_m)
        self.lean_check = LeanCheck()
        self.doubts = DriveDoubts(settings.values)
        self.clock_lag = ClockLag()
        self._answers_lock = threading.Lock()  # answers come from the thread that works on images
        self._accepted = 0  # images
        self._imu_problem = ""  # why the last attitude could not be turned into base_link
        self._calibrations = Calibrations(settings, self.doubts)
        self.cameras = self._calibrations.models  # by name, those whose calibration is known
        self.odometry_frame = ""  # the frame in which odometry's poses are
        self.topics: dict[str, str] = {}  # full names of the inputs' topics, as far as they are known

    def on_camera_info(self, message, camera: str = ONLY_CAMERA) -> None:
        """A sensor_msgs/CameraInfo of a camera. Raises MessageError, as the others do."""
        self._calibrations.on_camera_info(message, camera)

    def on_fix(self, message) -> None:
        """A sensor_msgs/NavSatFix or gps_msgs/GPSFix: the position of the antenna that its `frame_id` names."""
        position = messages.position_from_nav_sat_fix(message, self._settings.values["gnss.default_sigma_m"])
        geodetic = (position.latitude_deg, position.longitude_deg, position.altitude_m)
        from_datum_m = self._settings.frame.distance_m(*geodetic[:2])
        if not from_datum_m <= MAX_FROM_DATUM_M:
            raise messages.MessageError(
                f"NavSatFix is {1e-3 * from_datum_m:.0f} km from the datum; check its sign and the order of "
                "latitude and longitude"
            )
        stamp_sec = _stamp_sec(message)
        at_m = self._settings.frame.enu_from_geodetic(*geodetic)[:2]
        self._path_check.on_position(stamp_sec, at_m, position.sigma_m)
        with _refusals_as_message_errors():
            antenna_m = self.mountings.antenna_in_base_m(message.header)
            self.tracker.on_gnss(stamp_sec, *geodetic, position.sigma_m, antenna_m)
        self.doubts.on_status(message.status.status)

    def on_odom(self, message) -> None:
        """A nav_msgs/Odometry, PoseStamped or PoseWithCovarianceStamped: the pose of the child frame or base_link."""
        message = messages.odometry_of(message)
        stamp_sec = _stamp_sec(message)
        self._check_child_frame(message)
        with _refusals_as_message_errors():
            T_child_base = self.mountings.T_child_base(message.child_frame_id, stamp_sec)
        pose = messages.pose_from_odometry(message, T_child_base)
        self._odometry_check.check(message)
        self.driving_direction.on_odometry(stamp_sec, pose, message.twist.twist.linear.y)
        self._path_check.on_odometry(stamp_sec, pose)
        with _refusals_as_message_errors():
            self.tracker.on_odometry(stamp_sec, pose)
        self.odometry_frame = message.header.frame_id.lstrip("/")
        self._odometry_source.on_odometry(stamp_sec, self.odometry_frame)

    def _check_child_frame(self, message) -> None:
        """Raise MessageError where the child frame is the frame of the poses, so that TF would add the motion again."""
        frame, child = (name.lstrip("/") for name in (message.header.frame_id, message.child_frame_id))
        base = self._settings.mountings.base_frame
        if child and child == frame != base:
            raise messages.MessageError(
                f"Odometry is the pose of {child} in {frame} itself; let the driver set child_frame_id to {base}, or "
                "leave it empty"
            )

    def on_imu(self, message) -> None:
        """A sensor_msgs/Imu, by whose orientation, or else acceleration, base_link leans."""
        stamp_sec, gravity_imu = _stamp_sec(message), messages.gravity_from_imu(message)
        try:
            gravity_base = self.mountings.R_base_imu(message.header) @ gravity_imu
        except MountingError as error:
            self._imu_problem = str(error)
            raise messages.MessageError(self._imu_problem) from error
        self._imu_problem = ""
        if gravity_base[2] > -np.cos(messages.MAX_LEAN_RAD):
            raise messages.MessageError(
                f"Imu makes base_link lean by {np.degrees(np.arccos(np.clip(-gravity_base[2], -1, 1))):.0f}° (down is "
                f"{np.round(gravity_base, 2).tolist()} in it), which no driving robot does; check the sign of the "
                "acceleration (+9.81 along up at rest), the IMU's mounting, the quaternion's order (w last), and that "
                "the attitude is ENU (REP 145)"
            )
        with _refusals_as_message_errors():
            self.tracker.on_gravity(stamp_sec, gravity_base, messages.is_from_acceleration(message))
        self.doubts.on_attitude(messages.has_default_orientation(message))

    def on_received(self, image: CameraImage, held_back_sec: float = 0.0) -> None:
        """Compare an image's stamp with the sensors' newest ones at the moment it came in, `held_back_sec` ago."""
        newest_sec = {sensor: newest - held_back_sec for sensor, newest in self.tracker.newest_sec().items()}
        self.clock_lag.on_image(image.camera, image.stamp_sec, newest_sec)

    def on_image(self, message) -> float:
        """Announce an image that is about to be observed; returns its stamp in seconds."""
        stamp_sec = _stamp_sec(message)
        self.tracker.on_image(stamp_sec)
        return stamp_sec

    def observe_moment(self, moment: Moment, on_bad: Callable[[str, str], None]) -> Observation:
        """What the images of a moment show together; `on_bad` gets the cameras of those that are left out, and why.

        Raises the MessageError of the current image where none can be used.
        """
        observations: list[Observation] = []
        errors: list[tuple[str, messages.MessageError]] = []
        for image in moment:
            try:
                observations.append(self.observe(image.message, image.camera))
            except messages.MessageError as error:
                errors.append((image.camera, error))
                observations.append(empty_observation(image.stamp_sec, str(error)))
        if len(errors) == len(moment):
            raise errors[-1][1]
        for camera, error in errors:
            on_bad(camera, str(error))
        return self.tracker.joined(observations)

    def observe(self, message, camera: str = ONLY_CAMERA) -> Observation:
        """What a sensor_msgs/Image or CompressedImage shows; nothing, for a reason, where attitude is missing."""
        try:
            view = self.view(message, camera)
        except SampleError as error:
            return empty_observation(messages.stamp_sec(message), str(error))
        return self._localizer.observe(view)

    def on_answer(self, observation: Observation, tracked: TrackedFix) -> None:
        """Take the answer for an observation, for the doubts about scale and mountings that many answers raise."""
        fix = tracked.fix
        with self._answers_lock:
            self.doubts.on_scale(fix.scale, self._localizer.config.scale_bounds(observation.scale_known))
        if not fix.accepted:
            return
        self._accepted += 1
        pose = Pose2(fix.x_m, fix.y_m, fix.yaw_rad)
        with suppress(SampleError), self._answers_lock:  # the error where the sensors were cleared meanwhile
            self.lean_check.on_pose(self.tracker.gravity_at(fix.stamp_sec), pose, tracked.on_slope)
        if self._accepted % TILT_EVERY == 0:
            tilt_rad = residual_tilt_rad(self._localizer, observation.on_ground(tracked.on_slope), pose)
            if tilt_rad is not None:
                with self._answers_lock:
                    self.doubts.on_tilt(tilt_rad)

    def current_doubts(self) -> list[str]:
        """What an expert would doubt in the settings and in what was received so far."""
        with self._answers_lock:
            return [
                *self.doubts.current(),
                *self.clock_lag.doubts(),
                *self.driving_direction.doubts(),
                *self._odometry_source.doubts(),
                *self.lean_check.doubts(),
                *self._path_check.doubts(),
            ]

    def view(self, message, camera: str = ONLY_CAMERA) -> GroundView:
        """A sensor_msgs/Image or CompressedImage as the localizer takes it.

        Raises SampleError without attitude, NotReadyError without CameraInfo or mounting.
        """
        model = self.cameras.get(camera)
        if model is None:
            name = input_of(camera, "camera_info")
            topic = self.topics.get(name, name)
            if refusal := self._calibrations.refusals.get(camera):
                raise NoCameraError(f"no usable CameraInfo on {topic} yet: {refusal}")
            raise NoCameraError(
                f"no CameraInfo yet; publish it on {topic}, remap the topic, or give a calibration file as "
                f"{parameter_prefix(camera)}.info_file"
            )
        self._repeated_images.check(message, camera)
        compressed = not hasattr(message, "encoding")
        if compressed:
            image = rgb_from_compressed_image(message, (model.width, model.height))
        else:
            image = self._rgb_from_image(message)
        stamp_sec = messages.stamp_sec(message)
        gravity_base = self.tracker.gravity_at(stamp_sec)
        if gravity_base is None and self._imu_problem:
            raise NotMountedError(self._imu_problem)
        try:
            return self.mountings.view(image, model, gravity_base, message.header, camera)
        except MountingError as error:
            raise NotMountedError(str(error)) from error

    def is_mounted(self, moment: Moment) -> bool:
        """Whether it is known where the cameras were when the images were taken; transforms may still come in."""
        try:
            for image in moment:
                self.mountings.camera(image.message.header, image.camera)
        except MountingError:
            return False
        return True

    def clear(self) -> None:
        """Time has jumped: forget all that was measured."""
        self._odometry_check, self._path_check = OdometryCheck(), PathCheck()
        self.driving_direction, self.lean_check = DrivingDirection(), LeanCheck()
        self._repeated_images.clear()
        self.tracker.clear()
        self.mountings.clear()

    def _driven_m(self, from_sec: float, to_sec: float) -> float:
        """The way by odometry, as far as it has come in; 0 where it is not known."""
        until_sec = min(to_sec, self.tracker.newest_sec().get("odometry", from_sec))
        motion = self.tracker.odometry_motion(from_sec, until_sec) if until_sec > from_sec else None
        return 0.0 if motion is None else motion.travelled_m


@contextmanager
def _refusals_as_message_errors() -> Iterator[None]:
    """Turn a refusal by the tracker or the mountings into a MessageError, the only error that callers handle."""
    try:
        yield
    except (SampleError, MountingError) as error:
        raise messages.MessageError(str(error)) from error


def _stamp_sec(message) -> float:
    """The header's stamp. Raises MessageError where the driver has not set it, or its nanoseconds exceed a second."""
    stamp_sec, nanosec = messages.stamp_sec(message), message.header.stamp.nanosec
    if stamp_sec <= 0:
        raise messages.MessageError("header.stamp is not set (0)")
    if nanosec >= 1e9:
        raise messages.MessageError(
            f"header.stamp has {nanosec} ns beside its seconds, a second or more: the driver fills in all of the time, "
            "cut to 32 bits; let it take the rest of a second (% 1000000000)"
        )
    return stamp_sec
