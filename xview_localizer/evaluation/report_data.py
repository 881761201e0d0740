"""The data of the report's map, ready for JSON: every image with its pose, its truth and its picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.drawing import ELLIPSE_SIGMAS, SHOWN_RIVAL
from xview_localizer.evaluation.colours import PAGE_COLOURS
from xview_localizer.evaluation.metrics import Frame
from xview_localizer.evaluation.trajectory import DriveResult, spread_images
from xview_localizer.records import ImageRecord

PICTURE_WIDTH_PX, PICTURE_QUALITY = 640, 70
AERIAL_QUALITY = 80
# A page with more pictures is slow to open; for longer drives, pictures are chosen evenly.
MAX_PICTURES = 300


def map_data(result: DriveResult, aerial: AerialImage, images: Sequence[np.ndarray | None]) -> dict[str, Any]:
    """Colours, aerial image and entries of all images, in metres of `map` and degrees.

    `images` [H, W, 3] RGB, one for each record, None where an image is missing.
    """
    bounds = aerial.grid.bounds
    shown = {index for index, _ in spread_images(images, MAX_PICTURES)}
    return {
        "colours": dict(PAGE_COLOURS),
        "aerial": {
            "url": inline(jpeg(aerial.image, AERIAL_QUALITY), "jpeg"),
            "bounds": [[bounds.south_m, bounds.west_m], [bounds.north_m, bounds.east_m]],
        },
        "images": [
            _entry(record, frame, result, index, images[index] if index in shown else None)
            for index, (record, frame) in enumerate(zip(result.records, result.frames, strict=True))
        ],
    }


def _entry(
    record: ImageRecord, frame: Frame, result: DriveResult, index: int, image: np.ndarray | None
) -> dict[str, Any]:
    truth, found = result.truth[index], bool(np.isfinite(record.x_m))
    return {
        "elapsed_sec": _number(record.stamp_sec - result.records[0].stamp_sec),
        "accepted": record.accepted,
        "reason": record.reason,
        "pose": _numbers(record.x_m, record.y_m, np.degrees(record.yaw_rad)) if found else None,
        "truth": _numbers(truth.x_m, truth.y_m, np.degrees(truth.yaw_rad)),
        "gnss": _numbers(*result.gnss_xy_m[index]),
        "estimate": _numbers(record.estimate_x_m, record.estimate_y_m)
        if np.isfinite(record.estimate_x_m)
        else None,
        "prior": _numbers(record.prior_x_m, record.prior_y_m, record.prior_radius_m)
        if np.isfinite(record.prior_radius_m)
        else None,
        "ellipse": _ellipse(np.reshape(record.covariance, (3, 3))[:2, :2]) if found else None,
        "rivals": [
            _numbers(x_m, y_m, np.degrees(yaw_rad), probability)
            for x_m, y_m, yaw_rad, probability in record.rivals
            if probability >= SHOWN_RIVAL
        ],
        "error_m": _number(frame.error_m) if found else None,
        "yaw_error_deg": _number(frame.yaw_error_deg),
        "confidence": _number(record.confidence),
        "keyframes": record.keyframes,
        "latency_ms": _number(sum(record.timings_ms.values())),
        "picture": inline(jpeg(_reduced(image), PICTURE_QUALITY), "jpeg") if image is not None else None,
    }


def _ellipse(covariance: np.ndarray) -> list[float | None]:
    """Half axes in metres, longer first, and the angle of the longer one, degrees counter-clockwise from east."""
    variances, axes = np.linalg.eigh(covariance)
    minor_m, major_m = ELLIPSE_SIGMAS * np.sqrt(variances)
    return _numbers(major_m, minor_m, np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))


def _reduced(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, PICTURE_WIDTH_PX / image.shape[1])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """An RGB image [H, W, 3] as a JPEG file."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def inline(data: bytes, kind: str) -> str:
    """An image file as a data URL."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _number(value: float | None) -> float | None:
    return round(float(value), 3) if value is not None and np.isfinite(value) else None


def _numbers(*values: float) -> list[float | None]:
    return [_number(value) for value in values]
