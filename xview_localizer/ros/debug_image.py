"""The overlay that shows whether a pose is right: the ground cells laid over the aerial crop at the pose found."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.aerial.source import MapSource
from xview_localizer.drawing import pixels
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2
from xview_localizer.observation import Observation
from xview_localizer.tracking.tracked_fix import TrackedFix

HALF_EXTENT_M = 40.0
METRES_PER_PIXEL = 0.15
SHOWN_MATCHES = 120
ACCEPTED_RGB, REJECTED_RGB, PRIOR_RGB, MATCH_RGB = (
    (60, 220, 60),
    (240, 60, 60),
    (80, 160, 255),
    (255, 255, 255),
)


def render_overlay(
    tracked: TrackedFix, observation: Observation, matches: Correspondences | None, map_source: MapSource
) -> np.ndarray:
    """RGB [H, W, 3] north-up around the prior. Raises MapSourceError.

    `matches` are those at the fix's scale, None where no pose was found.

    Blue: the prior's disc. Green (accepted) or red (rejected): base_link with heading and 2-sigma ellipse.
    Dots: ground cells at the pose found, from yellow (near) to purple (far); they should lie on what the
    camera sees. White lines: from the cells of the surest matches to where each alone would have been put.
    """
    prior, fix = tracked.prior, tracked.fix
    aerial = map_source.read(Bounds.around(prior.x_m, prior.y_m, HALF_EXTENT_M), METRES_PER_PIXEL)
    canvas = np.ascontiguousarray(aerial.image)

    def pixel(xy_m: np.ndarray) -> list:
        return pixels(aerial.grid.uv_from_xy(xy_m))

    cv2.circle(
        canvas,
        pixel(prior.xy_m),
        round(prior.radius_m / METRES_PER_PIXEL),
        PRIOR_RGB,
        1,
        cv2.LINE_AA,
    )
    if matches is not None:
        pose = Pose2(fix.x_m, fix.y_m, fix.yaw_rad)
        colour = ACCEPTED_RGB if fix.accepted else REJECTED_RGB
        surest = surest_matches(matches)
        starts = pixel(pose.transform(matches.ground_xy_m[surest]))
        for start, end in zip(starts, pixel(matches.aerial_xy_m[surest]), strict=True):
            cv2.line(canvas, start, end, MATCH_RGB, 1, cv2.LINE_AA)
        points_m = observation.points_m(fix.scale)
        _draw_cells(canvas, pixel(pose.transform(points_m)), np.linalg.norm(points_m, axis=1))
        base, tip = pixel(pose.transform(np.array([[0.0, 0.0], [4.0, 0.0]])))
        _draw_ellipse(canvas, base, fix.covariance[:2, :2], colour)
        cv2.arrowedLine(canvas, base, tip, colour, 2, cv2.LINE_AA, tipLength=0.35)
    text = f"{'accepted' if fix.accepted else fix.reason}  confidence {fix.confidence:.2f}"
    cv2.putText(canvas, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, MATCH_RGB, 1, cv2.LINE_AA)
    return canvas


def surest_matches(matches: Correspondences) -> np.ndarray:
    """Indices of the matches that are shown, the surest first."""
    return np.argsort(-matches.weight)[:SHOWN_MATCHES]


def cell_colours(distance_m: np.ndarray) -> list[list[int]]:
    """RGB of ground cells [N] by their distance from the robot, from yellow (near) to purple (far)."""
    if not len(distance_m):
        return []  # OpenCV refuses an empty array
    nearness = np.clip(1 - distance_m / HALF_EXTENT_M, 0, 1)
    return cv2.applyColorMap((255 * nearness).astype(np.uint8)[:, None], cv2.COLORMAP_PLASMA)[
        :, 0, ::-1
    ].tolist()


def _draw_cells(canvas: np.ndarray, centres: list, distance_m: np.ndarray) -> None:
    for centre, colour in zip(centres, cell_colours(distance_m), strict=True):
        cv2.circle(canvas, centre, 1, colour, -1)


def _draw_ellipse(
    canvas: np.ndarray, centre: list, covariance: np.ndarray, colour: tuple[int, int, int]
) -> None:
    variances, axes = np.linalg.eigh(covariance)
    half_axes_px = np.maximum(1, np.round(2 * np.sqrt(variances) / METRES_PER_PIXEL)).astype(int)
    # Image rows grow to the south, so angles turn the other way.
    angle_deg = -float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    cv2.ellipse(canvas, centre, half_axes_px.tolist(), angle_deg, 0, 360, colour, 1, cv2.LINE_AA)
