"""A check for a camera or driver that has hung, so that it sends its last image again and again under new stamps."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xview_localizer.inputs.messages import MessageError, stamp_sec

# Once the robot has driven this far, no camera gives the same image again, to the last byte.
REPEATED_OVER_M = 2.0


@dataclass
class _Image:
    """The last image of a camera; `first_sec` is the stamp of the first of several equal images.

    `is_stale` where the robot has driven on since then.
    """

    checksum: int
    first_sec: float
    is_stale: bool = False


class RepeatedImages:
    """Follows the images of each camera; `driven_m` gives the distance driven by odometry between two stamps."""

    def __init__(self, driven_m: Callable[[float, float], float]) -> None:
        self._driven_m = driven_m
        self._last: dict[str, _Image] = {}

    def check(self, message: Any, camera: str) -> None:
        """Take the next image of a camera. Raises MessageError where it is an old one."""
        checksum, now_sec = zlib.crc32(message.data), stamp_sec(message)
        last = self._last.get(camera)
        if last is None or last.checksum != checksum:
            self._last[camera] = _Image(checksum, now_sec)
            return
        last.is_stale = last.is_stale or self._driven_m(last.first_sec, now_sec) > REPEATED_OVER_M
        if last.is_stale:
            raise MessageError(
                f"the image is that of {last.first_sec:.3f} to the last byte, and by odom the robot has driven on: the "
                "camera or its driver has hung; restart it"
            )

    def clear(self) -> None:
        """Time has jumped: stamps before have nothing in common with those that follow."""
        self._last.clear()
