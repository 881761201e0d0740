"""A drive as a short film: the camera image above, and below it the map with GNSS and the poses so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from xview_localizer.aerial.source import AerialImage
from xview_localizer.drawing import (
    BLACK_RGB,
    RGB,
    WHITE_RGB,
    draw_ellipse,
    draw_pose,
    draw_text,
    map_on,
    pixels,
)
from xview_localizer.evaluation.colours import FILM_OURS_RGB, GNSS_RGB, GREY_RGB
from xview_localizer.evaluation.trajectory import DriveResult, spread_images
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2

WIDTH_PX, CAMERA_HEIGHT_PX, MAP_HEIGHT_PX, GAP_PX = 600, 170, 260, 4
MAP_METRES_PER_PIXEL = 0.25
# Shares of a panorama's height between which it is shown: below the sky and above the robot's bonnet.
BAND = (0.28, 0.85)
WIDE_ASPECT = 1.7  # width over height from which an image is cut like a panorama
QUALITY = 55  # of WebP, in percent
FRAME_MS, LAST_FRAME_MS = 200, 2000


def write_animation(
    path: Path,
    result: DriveResult,
    aerial: AerialImage,
    images: Sequence[np.ndarray | None],
    frames: int = 40,
) -> None:
    """Write an animated WebP of at most `frames` images spread over the drive.

    Raises ValueError where there is no image.
    """
    chosen = spread_images(images, frames)
    if not chosen:
        raise ValueError("the drive has no image to show")
    drawn = [Image.fromarray(_frame(result, aerial, image, index)) for index, image in chosen]
    durations_ms = [FRAME_MS] * (len(drawn) - 1) + [LAST_FRAME_MS]
    drawn[0].save(
        path, save_all=True, append_images=drawn[1:], duration=durations_ms, loop=0, quality=QUALITY, method=4
    )


def _frame(result: DriveResult, aerial: AerialImage, image: np.ndarray, index: int) -> np.ndarray:
    """RGB [CAMERA_HEIGHT_PX + GAP_PX + MAP_HEIGHT_PX, WIDTH_PX, 3]."""
    canvas = np.full((CAMERA_HEIGHT_PX + GAP_PX + MAP_HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    canvas[:CAMERA_HEIGHT_PX] = _camera(image)
    canvas[CAMERA_HEIGHT_PX + GAP_PX :] = _map(result, aerial, index)
    return canvas


def _camera(image: np.ndarray) -> np.ndarray:
    """The image cut to the film's format: a panorama's band around the horizon, else the middle."""
    rows, columns = image.shape[:2]
    if columns > WIDE_ASPECT * rows:
        image = image[int(BAND[0] * rows) : int(BAND[1] * rows)]
    else:
        height = round(columns * CAMERA_HEIGHT_PX / WIDTH_PX)
        top = (rows - height) // 2
        image = image[top : top + height]
    return cv2.resize(image, (WIDTH_PX, CAMERA_HEIGHT_PX), interpolation=cv2.INTER_AREA)


def _map(result: DriveResult, aerial: AerialImage, index: int) -> np.ndarray:
    """The map around the true position, with all positions and poses up to this image."""
    truth = result.truth[index]
    grid = RasterGrid.centred(truth.x_m, truth.y_m, MAP_METRES_PER_PIXEL, MAP_HEIGHT_PX, WIDTH_PX)
    canvas = map_on(grid, aerial)
    _trail(canvas, grid, result.truth_xy_m[: index + 1], WHITE_RGB, 5)
    _trail(canvas, grid, result.truth_xy_m[: index + 1], BLACK_RGB, 2)
    _trail(canvas, grid, result.gnss_xy_m[: index + 1], GNSS_RGB, 2)
    for record in result.records[: index + 1]:
        if record.accepted:
            centre = pixels(grid.uv_from_xy(np.array([record.x_m, record.y_m])))
            cv2.circle(canvas, centre, 3, FILM_OURS_RGB, -1, cv2.LINE_AA)
    record = result.records[index]
    if np.isfinite(record.x_m):
        colour = FILM_OURS_RGB if record.accepted else GREY_RGB
        covariance = np.reshape(record.covariance, (3, 3))[:2, :2]
        draw_ellipse(canvas, grid, np.array([record.x_m, record.y_m]), covariance, colour)
        draw_pose(canvas, grid, Pose2(record.x_m, record.y_m, record.yaw_rad), colour, thickness=3)
    cv2.circle(canvas, pixels(grid.uv_from_xy(result.gnss_xy_m[index])), 6, GNSS_RGB, -1, cv2.LINE_AA)
    _caption(canvas, result, index)
    return canvas


def _trail(canvas: np.ndarray, grid: RasterGrid, xy_m: np.ndarray, colour: RGB, width: int) -> None:
    points = np.round(grid.uv_from_xy(xy_m)).astype(np.int32)
    cv2.polylines(canvas, [points.reshape(-1, 1, 2)], False, colour, width, cv2.LINE_AA)


def _caption(canvas: np.ndarray, result: DriveResult, index: int) -> None:
    gnss_m = float(np.linalg.norm(result.gnss_xy_m[index] - result.truth_xy_m[index]))
    record = result.records[index]
    if record.accepted:
        error_m = np.hypot(*(np.array([record.x_m, record.y_m]) - result.truth_xy_m[index]))
        ours = f"localized: {error_m:.1f} m off"
    else:
        ours = "image rejected"
    draw_text(canvas, f"GNSS: {gnss_m:.1f} m off   {ours}", (10, 20), 0.5)
