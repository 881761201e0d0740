"""What GNSS, odometry and the IMU measured during a drive, by stamp, and whether their clocks agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.time_jump import has_jumped_back
from xview_localizer.tracking.attitude import GRAVITY_REACH_SEC, GravitySample, down_at
from xview_localizer.tracking.gnss import GnssSample
from xview_localizer.tracking.motion import OdometryBuffer, SampleError, StampedBuffer

# Bounds the memory of the buffers; longer than any gap that odometry bridges and any window of keyframes.
BUFFER_SEC = 120.0
# Odometry or an IMU that has sent no sample for this long before an image counts as absent until it sends one again.
ABSENT_AFTER_SEC = 5.0
# An image waits in queues for a second or so. A sensor whose samples are stamped further ahead of the image has another
# clock, such as GPS time, which is 18 s ahead of UTC.
CLOCK_LEAD_SEC = 5.0
# The node's topic of each sensor, for messages to the user.
TOPIC = {"gnss": "fix", "odometry": "odom", "gravity": "imu"}


class Sensors:
    """Buffers of all sensors, which jump back in time together. Not thread-safe.

    `add` raises SampleError for a sample that does not follow the one before. A single odd stamp has no effect. Where
    the sensor's next stamp follows the odd one, or an image steps back with it, time has jumped. A jump back clears
    all buffers; a jump ahead is a gap in the data.
    """

    def __init__(self, odometry_max_gap_sec: float, max_speed_mps: float) -> None:
        self.gnss: StampedBuffer[GnssSample] = StampedBuffer(BUFFER_SEC)
        self.odometry = OdometryBuffer(BUFFER_SEC, odometry_max_gap_sec, max_speed_mps)
        self.gravity: StampedBuffer[GravitySample] = StampedBuffer(BUFFER_SEC)
        self._buffers: Mapping[str, StampedBuffer[Any]] = {
            "gnss": self.gnss,
            "odometry": self.odometry,
            "gravity": self.gravity,
        }
        self._received: set[str] = set()  # sensors that ever sent a sample, whatever their buffers still hold
        self._clock_problem = ""
        self._arrived: set[str] = set()  # since the image that was announced last
        self._announced_sec: float | None = None
        self._first_image_sec: float | None = None
        self._newest_image_sec: float | None = None

    def add(self, sensor: str, stamp_sec: float, sample: GnssSample | Pose2 | GravitySample) -> bool:
        """Append; True where time has jumped back. Raises SampleError."""
        self._received.add(sensor)
        self._arrived.add(sensor)
        jumped = (
            self.odometry.add_pose(stamp_sec, sample)
            if isinstance(sample, Pose2)
            else self._buffers[sensor].add(stamp_sec, sample)
        )
        if jumped:
            for other in self._buffers.keys() - {sensor}:
                self._buffers[other].restart(stamp_sec)
            self._forget_images()
        return jumped

    def on_image(self, stamp_sec: float) -> bool:
        """Note an image's arrival; True where it confirms a sensor's stamp that time has jumped back.

        The clocks are compared now: while an image is worked on, sensors get ahead of it.
        """
        newest_sec = self._newest_image_sec
        steps_back = newest_sec is not None and has_jumped_back(stamp_sec, newest_sec)
        jumped = steps_back and any(buffer.holds_back(stamp_sec) for buffer in self._buffers.values())
        if jumped:
            for buffer in self._buffers.values():
                buffer.restart(stamp_sec)
            self._forget_images()
        if self._first_image_sec is None:
            self._first_image_sec = stamp_sec
        self._clock_problem = self._compare_clocks(stamp_sec)
        self._announced_sec = stamp_sec
        self._arrived.clear()
        return jumped

    def image_searched(self, stamp_sec: float) -> None:
        """The newest image that was not refused."""
        self._newest_image_sec = stamp_sec

    def clear(self) -> None:
        for buffer in self._buffers.values():
            buffer.clear()
        self._forget_images()

    def present(self, sensor: str, stamp_sec: float) -> bool:
        """Whether a sensor has sent samples, the last one at most ABSENT_AFTER_SEC before an image's stamp.

        After a jump of time, that time is counted from the first image until the sensor sends a sample again.
        """
        newest_sec = self._buffers[sensor].newest_sec
        since_sec = self._first_image_sec if newest_sec is None else newest_sec
        return sensor in self._received and (since_sec is None or stamp_sec - since_sec <= ABSENT_AFTER_SEC)

    def awaits(self, stamp_sec: float) -> list[str]:
        """Those of odometry and gravity that are present and have not reached `stamp_sec` yet.

        No image waits for GNSS, which is slow: its newest position before the image serves as well.
        """
        return [
            name
            for name in ("odometry", "gravity")
            if self.present(name, stamp_sec) and not self._buffers[name].covers(stamp_sec)
        ]

    def newest_sec(self) -> dict[str, float]:
        """The newest stamp of each sensor that has sent samples."""
        return {
            name: buffer.newest_sec for name, buffer in self._buffers.items() if buffer.newest_sec is not None
        }

    def newest_position(self, stamp_sec: float) -> str:
        """How old GNSS's newest position is for an image, as the rest of a sentence; empty without one before it."""
        newest_sec = self.gnss.newest_sec
        if newest_sec is None or newest_sec > stamp_sec:
            return ""
        return f"; the newest is stamped {stamp_sec - newest_sec:.1f} s before it: GNSS is silent, or has another clock"

    def clock_problem(self) -> str:
        """Which sensor has another clock than the image that arrived last, or an empty string."""
        return self._clock_problem

    def gravity_at(self, stamp_sec: float) -> np.ndarray | None:
        """Mean direction [3] of down in base_link just before `stamp_sec`; None where there is no IMU.

        Raises SampleError where there is one without a sample near the image.
        """
        down_base = down_at(self.gravity, self.odometry, stamp_sec)
        if down_base is None and self.present("gravity", stamp_sec):
            raise SampleError(self._no_attitude(stamp_sec))
        return down_base

    def _no_attitude(self, stamp_sec: float) -> str:
        text = f"no attitude from the IMU within {GRAVITY_REACH_SEC} s of the image"
        newest_sec = self.gravity.newest_sec
        if newest_sec is None or newest_sec > stamp_sec:
            return text
        behind_sec = stamp_sec - newest_sec
        return (
            f"{text}, which is stamped {behind_sec:.1f} s after the newest one; is the camera's clock ahead, or the "
            "IMU late?"
        )

    def _compare_clocks(self, stamp_sec: float) -> str:
        """Which clock differs: the camera's where several sensors differ from it by about the same."""
        lead_sec = {name: newest_sec - stamp_sec for name, newest_sec in self.newest_sec().items()}
        ahead = {name: lead for name, lead in lead_sec.items() if lead > CLOCK_LEAD_SEC}
        if ahead:
            return _other_clock(ahead, set(lead_sec), "ahead of", "behind")
        # Sensors that still send, but whose samples are older than the image. GNSS alone is not blamed: its receiver
        # sends so rarely that its next sample may just not have come yet.
        steady = self._announced_sec is not None and 0 <= stamp_sec - self._announced_sec < CLOCK_LEAD_SEC
        sending = self._arrived & set(lead_sec) if steady else set()
        behind = {name: -lead_sec[name] for name in sending if lead_sec[name] < -CLOCK_LEAD_SEC}
        if behind.keys() - {"gnss"}:
            return _other_clock(behind, sending, "behind", "ahead of")
        return ""

    def _forget_images(self) -> None:
        self._first_image_sec = self._newest_image_sec = self._announced_sec = None
        self._clock_problem = ""


def _other_clock(off_sec: Mapping[str, float], sending: set[str], sensors_are: str, images_are: str) -> str:
    """What is wrong where the sensors in `off_sec`, of those `sending`, are off the images by that much."""
    topics = " and ".join(TOPIC[name] for name in TOPIC if name in off_sec)
    advice = "let one clock (UTC) stamp all sensors"
    alike = max(off_sec.values()) - min(off_sec.values()) < CLOCK_LEAD_SEC
    if len(off_sec) > 1 and off_sec.keys() == sending and alike:
        off = float(np.median(list(off_sec.values())))
        return f"the images are stamped {off:.1f} s {images_are} {topics}: the camera has another clock; {advice}"
    name = max(off_sec, key=off_sec.__getitem__)
    return f"{TOPIC[name]} is stamped {off_sec[name]:.1f} s {sensors_are} the images; {advice}"
