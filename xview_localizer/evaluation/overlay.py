"""The film strip: camera images beside the aerial image with the estimated and the true pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.pose import Pose2

ToPixel = Callable[[np.ndarray], tuple[int, int]]
HEIGHT_PX = 200
CROP_M = 50.0
TRUTH_RGB, ACCEPTED_RGB, REJECTED_RGB = (30, 30, 30), (23, 105, 170), (209, 73, 91)


def film_strip(
    result: DriveResult, aerial: AerialImage, images: Sequence[np.ndarray | None], frames: int = 8
) -> np.ndarray | None:
    """RGB [H, W, 3]: `frames` rows spread over the drive, image left, map right; None where there is no image."""
    present = [index for index, image in enumerate(images) if image is not None]
    if not present:
        return None
    chosen = np.unique(np.linspace(0, len(present) - 1, min(frames, len(present))).astype(int))
    rows = []
    for index in (present[number] for number in chosen):
        record, truth = result.records[index], result.truth[index]
        picture = images[index]
        picture = cv2.resize(
            picture,
            (round(picture.shape[1] * HEIGHT_PX / picture.shape[0]), HEIGHT_PX),
            interpolation=cv2.INTER_AREA,
        )
        crop, to_px = _crop(aerial, truth)
        _arrow(crop, to_px, truth, TRUTH_RGB)
        if np.isfinite(record.x_m):
            found = Pose2(record.x_m, record.y_m, record.yaw_rad)
            _arrow(crop, to_px, found, ACCEPTED_RGB if record.accepted else REJECTED_RGB)
        rows.append(np.hstack([picture, np.full((HEIGHT_PX, 6, 3), 255, np.uint8), crop]))
    gap = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for row in rows for part in (row, gap)][:-1])


def _crop(aerial: AerialImage, centre: Pose2) -> tuple[np.ndarray, ToPixel]:
    """A square of the map around a pose, and the function from metres [2] to its pixels."""
    grid = aerial.grid
    scale = HEIGHT_PX / CROP_M
    middle = grid.uv_from_xy(np.array([centre.x_m, centre.y_m]))
    ratio = grid.spacing_m * scale
    matrix = np.array(
        [[ratio, 0, HEIGHT_PX / 2 - ratio * middle[0]], [0, ratio, HEIGHT_PX / 2 - ratio * middle[1]]]
    )
    crop = cv2.warpAffine(
        aerial.image, matrix, (HEIGHT_PX, HEIGHT_PX), flags=cv2.INTER_AREA, borderValue=(230, 230, 230)
    )

    def to_px(xy_m: np.ndarray) -> tuple[int, int]:
        uv = matrix[:, :2] @ grid.uv_from_xy(xy_m) + matrix[:, 2]
        return int(uv[0]), int(uv[1])

    return crop, to_px


def _arrow(crop: np.ndarray, to_px: ToPixel, pose: Pose2, rgb: tuple[int, int, int]) -> None:
    start, end = pose.transform(np.array([[0.0, 0.0], [5.0, 0.0]]))
    cv2.arrowedLine(crop, to_px(start), to_px(end), (255, 255, 255), 5, cv2.LINE_AA, tipLength=0.35)
    cv2.arrowedLine(crop, to_px(start), to_px(end), rgb, 2, cv2.LINE_AA, tipLength=0.35)
