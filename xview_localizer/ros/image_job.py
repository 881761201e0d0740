"""What happens to one image, in the worker's thread: wait for the sensors, localize, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.inputs.intake import DriveIntake, NotReadyError
from xview_localizer.inputs.message_types import input_of
from xview_localizer.inputs.messages import MessageError, stamp_sec
from xview_localizer.inputs.moments import Moment
from xview_localizer.localizer import Localizer
from xview_localizer.observation import Observation
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.ros.debug_image import HALF_EXTENT_M, render_overlay
from xview_localizer.ros.diagnostics import Health
from xview_localizer.ros.outputs import Outputs
from xview_localizer.ros.tf import MapToOdom
from xview_localizer.ros.worker import NewestItemWorker
from xview_localizer.tracking.tracked_fix import TrackedFix

PREFETCH_AHEAD_M = 30.0  # how far ahead of the robot the map is encoded before images need it
# The wait for sensors' messages that a busy machine has not handed over yet.
BUSY_WAIT_SEC = 1.0


@dataclass(frozen=True)
class ReceivedMoment:
    """The images of a moment and when the last one came in (time.monotonic)."""

    moment: Moment
    received_at: float

    @property
    def message(self) -> Image | CompressedImage:
        """The current image: the one whose stamp the pose carries."""
        return self.moment[-1].message


@dataclass(frozen=True)
class ImageJob:
    """Localizes one moment after the other, and lets the map ahead be read meanwhile.

    `wait_sec` bounds the wait for sensors that lag behind the image, `tf_timeout_sec` that for transforms.
    """

    localizer: Localizer
    intake: DriveIntake
    prefetcher: NewestItemWorker[tuple[float, float]]
    map_source: MapSource
    health: Health
    outputs: Outputs
    wait_sec: float
    tf_timeout_sec: float
    logger: RcutilsLogger
    map_to_odom: MapToOdom | None = None

    def run(self, image: ReceivedMoment, worker: NewestItemWorker) -> None:
        """Process an image; never raises."""
        try:
            record, observation, tracked = self._localize(image.moment, worker)
            if not worker.stopping:  # else reading the map may have been broken off
                self.health.localized(record, 1e3 * (time.monotonic() - image.received_at))
        except MessageError as error:
            self._malformed(image.moment[-1].camera, str(error))
            rejection = Rejection.of(Reason.BAD_MESSAGE, detail=str(error))
            record, observation, tracked = _refused(image.message, rejection)
        try:
            if not worker.stopping:
                self._publish(image.message.header, record, observation, tracked)
        except Exception as error:  # a picture that cannot be drawn must not end the drive
            # A signal ends the context, and deactivation the publishers, at any moment.
            if not worker.stopping and self.outputs.alive:
                self.logger.error(f"cannot publish: {error!r}")

    def _malformed(self, camera: str, problem: str) -> None:
        self.health.malformed(input_of(camera, "image"), problem)

    def _publish(
        self, header: Header, record: ImageRecord, observation: Observation | None, tracked: TrackedFix | None
    ) -> None:
        self.outputs.publish(header, record, tracked)
        if tracked is None or tracked.prior is None or observation.reason:
            return
        self.intake.on_answer(observation, tracked)
        try:
            self._publish_to_look_at(header, observation, tracked)
        except MapSourceError:
            pass  # the record reports it already

    def _publish_to_look_at(self, header: Header, observation: Observation, tracked: TrackedFix) -> None:
        """What is computed only while somebody subscribes. Raises MapSourceError."""
        outputs = self.outputs
        if outputs.aerial_wanted:
            outputs.publish_aerial(header, tracked.prior, self.map_source)
        if outputs.debug_wanted or outputs.markers_wanted:
            matches = self._matches_shown(observation, tracked)
            if outputs.markers_wanted:
                outputs.publish_markers(header, tracked, observation, matches)
            if outputs.debug_wanted:
                outputs.publish_debug(header, render_overlay(tracked, observation, matches, self.map_source))

    def _matches_shown(self, observation: Observation, tracked: TrackedFix) -> Correspondences | None:
        """The matches that the overlay has room for, whatever the radius of the prior; None without a pose."""
        prior, scale = tracked.prior, tracked.fix.scale
        if not np.isfinite(scale):
            return None
        near = replace(prior, radius_m=min(prior.radius_m, HALF_EXTENT_M))
        return self.localizer.best_matches(observation, near, scale)

    def _broadcast(self, tracked: TrackedFix, stamp_sec: float) -> None:
        odometry = self.intake.tracker.odometry_at(stamp_sec)
        self.map_to_odom.update(
            self.intake.odometry_frame,
            tracked.estimate.pose if tracked.estimate else None,
            odometry.pose if odometry else None,
        )

    def _localize(
        self, moment: Moment, worker: NewestItemWorker
    ) -> tuple[ImageRecord, Observation | None, TrackedFix | None]:
        """Raises MessageError where the image is malformed."""
        tracker, message = self.intake.tracker, moment[-1].message
        try:
            stamp = self.intake.on_image(message)
            # Attitude is needed to look at the image; the slower sensors may arrive while that runs.
            self._wait_for_sensors(
                worker, stamp, lambda: self.intake.cameras and "gravity" not in tracker.awaits(stamp)
            )
            worker.wait_until(lambda: self.intake.is_mounted(moment), self.tf_timeout_sec)
            # Odometry joins the images of several cameras, so they wait for it first.
            if len(moment) > 1:
                self._wait_for_sensors(worker, stamp, lambda: not tracker.awaits(stamp))
            observation = self.intake.observe_moment(moment, self._malformed)
            self._wait_for_sensors(worker, stamp, lambda: not tracker.awaits(stamp))
            tracked = tracker.locate(observation)
            if self.map_to_odom is not None and not worker.stopping:
                self._broadcast(tracked, stamp)
            if tracked.estimate is not None:
                self.prefetcher.submit(tuple(tracked.estimate.pose.transform([PREFETCH_AHEAD_M, 0.0])))
            return ImageRecord.of(tracked), observation.on_ground(tracked.on_slope), tracked
        except NotReadyError as error:
            return _refused(message, Rejection.of(error.reason, detail=str(error)))
        except MessageError:
            raise
        except Exception as error:  # an error in a model or a library must not end the drive
            rejection = Rejection.of(Reason.INTERNAL, detail=repr(error))
            self.logger.error(rejection.text)
            return _refused(message, rejection)

    def _wait_for_sensors(
        self, worker: NewestItemWorker, stamp_sec: float, arrived: Callable[[], bool]
    ) -> None:
        """Wait until the sensors have `arrived` at an image's stamp, or are overdue.

        On a busy machine an image overtakes messages that are still queued, so wall time is no criterion: a sensor
        is overdue once another one has sent what is `wait_sec` newer than the image, or after BUSY_WAIT_SEC.
        """
        if worker.wait_until(arrived, self.wait_sec):
            return

        def overdue() -> bool:
            newest_sec = self.intake.tracker.newest_sec().values()
            return max(newest_sec, default=-np.inf) >= stamp_sec + self.wait_sec

        worker.wait_until(lambda: arrived() or overdue(), max(0.0, BUSY_WAIT_SEC - self.wait_sec))


def _refused(message: Image | CompressedImage, rejection: Rejection) -> tuple[ImageRecord, None, None]:
    return ImageRecord.rejected(stamp_sec(message), rejection), None, None
