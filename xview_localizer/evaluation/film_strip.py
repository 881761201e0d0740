"""The film strip: camera images beside the aerial image with the estimated and the true pose."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.drawing import WHITE_RGB, draw_pose, map_on
from xview_localizer.evaluation.colours import OURS_RGB, REJECTED_RGB, TRUTH_RGB
from xview_localizer.evaluation.trajectory import DriveResult, spread_images
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2

HEIGHT_PX, GAP_PX = 200, 6
CROP_M = 50.0


def film_strip(
    result: DriveResult, aerial: AerialImage, images: Sequence[np.ndarray | None], frames: int = 8
) -> np.ndarray | None:
    """RGB [H, W, 3]: `frames` rows spread over the drive, image left, map right; None where there is no image."""
    rows: list[np.ndarray] = []
    for index, image in spread_images(images, frames):
        record, truth = result.records[index], result.truth[index]
        grid = RasterGrid.centred(truth.x_m, truth.y_m, CROP_M / HEIGHT_PX, HEIGHT_PX, HEIGHT_PX)
        crop = map_on(grid, aerial)
        draw_pose(crop, grid, truth, TRUTH_RGB, edge=WHITE_RGB)
        if np.isfinite(record.x_m):
            colour = OURS_RGB if record.accepted else REJECTED_RGB
            draw_pose(crop, grid, Pose2(record.x_m, record.y_m, record.yaw_rad), colour, edge=WHITE_RGB)
        rows.append(np.hstack([_to_height(image), np.full((HEIGHT_PX, GAP_PX, 3), 255, np.uint8), crop]))
    if not rows:
        return None
    gap = np.full((GAP_PX, rows[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for row in rows for part in (row, gap)][:-1])


def _to_height(image: np.ndarray) -> np.ndarray:
    """The image HEIGHT_PX high."""
    width = round(image.shape[1] * HEIGHT_PX / image.shape[0])
    return cv2.resize(image, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)
