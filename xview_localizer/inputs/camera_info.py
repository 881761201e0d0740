"""What is used of a sensor_msgs/CameraInfo, from a message or from a calibration file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RegionOfInterest:
    """A sensor_msgs/RegionOfInterest; all 0 is the whole image."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class CameraInfo:
    """The fields that describe the lens, under the names of the message; equal ones describe the same camera."""

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    binning_x: int = 0
    binning_y: int = 0
    roi: RegionOfInterest = RegionOfInterest()

    @classmethod
    def of(cls, message: Any) -> CameraInfo:
        """Of a sensor_msgs/CameraInfo of rclpy or of a bag reader."""
        roi = message.roi
        return cls(
            message.width,
            message.height,
            message.distortion_model,
            tuple(map(float, message.d)),
            tuple(map(float, message.k)),
            message.binning_x,
            message.binning_y,
            RegionOfInterest(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
