"""Small drawings on RGB images that reports and proofs share."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2

ELLIPSE_SIGMAS = 2.0  # half axes of drawn ellipses, in standard deviations
ARROW_M = 4.0  # length on the ground of the arrow that shows a heading
SHOWN_RIVAL = 0.005  # rivals with a lower probability are not drawn; their label would read 0 %
RGB = tuple[int, int, int]
BLACK_RGB, WHITE_RGB, NO_MAP_RGB = (0, 0, 0), (255, 255, 255), (230, 230, 230)


def pixels(uv: np.ndarray) -> list:
    """Pixels [..., 2], whose centres lie at +0.5, as the whole numbers that OpenCV draws at."""
    return np.floor(uv).astype(int).tolist()


def map_picture(aerial: AerialImage) -> np.ndarray:
    """The map, RGB uint8 [H, W, 3]; light grey where it has no imagery."""
    return np.where(aerial.valid[..., None], aerial.image, np.array(NO_MAP_RGB, np.uint8))


def map_on(grid: RasterGrid, aerial: AerialImage) -> np.ndarray:
    """The map on a grid, RGB uint8 [rows, columns, 3]; light grey where it has no imagery, and beyond it."""
    centres = grid.cell_centres_xy_m.reshape(grid.rows, grid.columns, 2)
    # Pixel centres lie at +0.5 in grids and at integers in OpenCV.
    source = aerial.grid.uv_from_xy(centres).astype(np.float32) - 0.5
    picture = map_picture(aerial)
    return cv2.remap(picture, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderValue=NO_MAP_RGB)


def draw_pose(
    canvas: np.ndarray, grid: RasterGrid, pose: Pose2, colour: RGB, thickness: int = 2, edge: RGB = BLACK_RGB
) -> None:
    """An arrow of ARROW_M along the heading from (x, y), with an edge of another colour."""
    start, tip = pixels(grid.uv_from_xy(pose.transform(np.array([[0.0, 0.0], [ARROW_M, 0.0]]))))
    for rgb, width in ((edge, thickness + 2), (colour, thickness)):
        cv2.arrowedLine(canvas, start, tip, rgb, width, cv2.LINE_AA, tipLength=0.35)


def draw_ellipse(
    canvas: np.ndarray, grid: RasterGrid, xy_m: np.ndarray, covariance: np.ndarray, colour: RGB
) -> None:
    """The 2-sigma ellipse of a position's covariance [2, 2]."""
    variances, axes = np.linalg.eigh(covariance)
    half_axes_px = np.round(ELLIPSE_SIGMAS * np.sqrt(variances) / grid.spacing_m).astype(int)
    # Image rows grow to the south, so angles turn the other way.
    angle_deg = -float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    centre = pixels(grid.uv_from_xy(xy_m))
    cv2.ellipse(
        canvas, centre, np.maximum(2, half_axes_px).tolist(), angle_deg, 0, 360, colour, 2, cv2.LINE_AA
    )


def draw_text(canvas: np.ndarray, text: str, at: tuple[int, int], size: float = 0.6) -> None:
    """White letters on a black ground; `at` is their lower left corner. OpenCV's font has ASCII only."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    left, bottom = at
    cv2.rectangle(canvas, (left - 4, bottom - height - 4), (left + width + 4, bottom + below), BLACK_RGB, -1)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, WHITE_RGB, 1, cv2.LINE_AA)


def draw_scale_bar(canvas: np.ndarray, metres_per_pixel: float, length_m: float = 10.0) -> None:
    """A bar of `length_m` in the lower left corner."""
    row, left, right = canvas.shape[0] - 16, 16, 16 + round(length_m / metres_per_pixel)
    for colour, width in ((BLACK_RGB, 6), (WHITE_RGB, 3)):
        cv2.line(canvas, (left, row), (right, row), colour, width)
    draw_text(canvas, f"{length_m:.0f} m", (left, row - 10))
