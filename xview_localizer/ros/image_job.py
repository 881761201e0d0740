"""What happens to one image, in the worker's thread: wait for the sensors, localize, publish."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.intake import DriveIntake
from xview_localizer.localizer import Localizer, Observation
from xview_localizer.messages import MessageError
from xview_localizer.records import ImageRecord
from xview_localizer.ros.debug_image import render_overlay
from xview_localizer.ros.diagnostics import INTERNAL_ERROR, Health
from xview_localizer.ros.outputs import Outputs
from xview_localizer.ros.worker import NewestItemWorker
from xview_localizer.tracker import TrackedFix

PREFETCH_AHEAD_M = 30.0


@dataclass(frozen=True)
class ReceivedImage:
    """An image message and when it came in (time.monotonic)."""

    message: Image | CompressedImage
    received_at: float


@dataclass(frozen=True)
class ImageJob:
    """Localizes one image after the other, and lets the map ahead be read meanwhile.

    `wait_sec` bounds the wait for sensors that lag behind the image.
    """

    localizer: Localizer
    intake: DriveIntake
    prefetcher: NewestItemWorker[tuple[float, float]]
    map_source: MapSource
    health: Health
    outputs: Outputs
    wait_sec: float
    logger: RcutilsLogger

    def run(self, image: ReceivedImage, worker: NewestItemWorker) -> None:
        """Process an image; never raises."""
        record, observation, tracked = self._localize(image, worker)
        self.health.localized(record, 1e3 * (time.monotonic() - image.received_at))
        try:
            if not worker.stopping:
                self._publish(image.message.header, record, observation, tracked)
        except Exception as error:  # a picture that cannot be drawn must not end the drive
            # A signal ends the context, and deactivation the publishers, at any moment.
            if not worker.stopping and self.outputs.alive:
                self.logger.error(f"cannot publish: {error!r}")

    def _publish(
        self, header: Header, record: ImageRecord, observation: Observation | None, tracked: TrackedFix | None
    ) -> None:
        self.outputs.publish(header, record, tracked)
        if tracked is None or tracked.prior is None or observation.reason or not self.outputs.debug_wanted:
            return
        try:
            matches = self.localizer.best_matches(observation, tracked.prior)
            self.outputs.publish_debug(header, render_overlay(tracked, observation, matches, self.map_source))
        except MapSourceError:
            pass  # the record has said so already

    def _localize(
        self, image: ReceivedImage, worker: NewestItemWorker
    ) -> tuple[ImageRecord, Observation | None, TrackedFix | None]:
        tracker, message = self.intake.tracker, image.message
        stamp = self.intake.on_image(message)
        try:
            # Attitude is needed to look at the image; the slower sensors may arrive while that runs.
            worker.wait_until(
                lambda: self.intake.camera and "gravity" not in tracker.awaits(stamp), self.wait_sec
            )
            observation = self.intake.observe(message)
            worker.wait_until(lambda: not tracker.awaits(stamp), self.wait_sec)
            tracked = tracker.locate(observation)
            if tracked.estimate is not None:
                self.prefetcher.submit(tuple(tracked.estimate.pose.transform([PREFETCH_AHEAD_M, 0.0])))
            return ImageRecord.of(tracked), observation, tracked
        except MessageError as error:
            self.health.malformed("image", str(error))
            return ImageRecord(stamp, accepted=False, reason=str(error)), None, None
        except Exception as error:  # whatever a model or library does, the next image gets its chance
            self.logger.error(f"{INTERNAL_ERROR}{error!r}")
            return ImageRecord(stamp, accepted=False, reason=f"{INTERNAL_ERROR}{error!r}"), None, None
