"""Collecting the images of several cameras into moments: one image of each camera, synchronised or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xview_localizer.geometry.time_jump import has_jumped_back
from xview_localizer.inputs import messages


@dataclass(frozen=True)
class CameraImage:
    """A sensor_msgs/Image or CompressedImage and the camera that it is of."""

    camera: str
    message: Any

    @property
    def stamp_sec(self) -> float:
        return messages.stamp_sec(self.message)


Moment = tuple[CameraImage, ...]  # by stamp, the last is the current one


class MomentCollector:
    """Collects one image of each camera; a single camera's images are moments by themselves.

    A moment ends when all cameras are in it, or when one of them sends its next image: a camera that is slower, or has
    stopped sending, holds the others up for no longer than that.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = frozenset(cameras)
        self._images: dict[str, CameraImage] = {}

    def add(self, image: CameraImage) -> list[Moment]:
        """The moments that the image ends, in order: none, one, or two."""
        ended: list[Moment] = []
        newest_sec = max((other.stamp_sec for other in self._images.values()), default=image.stamp_sec)
        if has_jumped_back(image.stamp_sec, newest_sec):
            self._images.clear()  # the images before belong to no moment any more
        if image.camera in self._images:
            ended.append(self._end())
        self._images[image.camera] = image
        if self._images.keys() == self._cameras:
            ended.append(self._end())
        return ended

    def _end(self) -> Moment:
        moment = tuple(sorted(self._images.values(), key=lambda image: image.stamp_sec))
        self._images.clear()
        return moment
