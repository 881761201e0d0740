"""Markers for RViz and Foxglove in the map's frame: where an image was searched for and placed, and by what matches."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from nav_msgs.msg import OccupancyGrid
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from xview_localizer.aerial.source import AerialImage
from xview_localizer.belief.fix import Fix
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.observation import Observation
from xview_localizer.ros.debug_image import (
    ACCEPTED_RGB,
    MATCH_RGB,
    PRIOR_RGB,
    REJECTED_RGB,
    cell_colours,
    surest_matches,
)
from xview_localizer.tracking.tracked_fix import TrackedFix

KEYFRAME_RGB, RIVAL_RGB = (255, 200, 60), (255, 120, 0)
CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 65))
ARROW_M = Vector3(x=4.0, y=0.5, z=0.5)
# The aerial image lies below the markers, so that it does not hide them.
GROUND_Z_M = -0.1


def markers(
    header: Header, tracked: TrackedFix, observation: Observation, matches: Correspondences | None
) -> MarkerArray:
    """One image's markers in `header.frame_id`, which replace those of the image before.

    By namespace: `search` (the disc), `rivals` with their probabilities; and where a pose was found (`matches` given)
    `pose` and `ellipse` (2 sigma), `cells` from yellow (near) to purple (far), `matches` from the surest cells to
    where each alone would have been put, and `keyframes` that took part.
    """
    shown = [Marker(action=Marker.DELETEALL)]
    if tracked.prior is not None:
        shown.append(_search(tracked.prior))
    shown += _rivals(tracked.fix)
    if matches is not None:
        shown += _found(tracked, observation, matches)
    for marker in shown:
        marker.header = header
    return MarkerArray(markers=shown)


def aerial_grid(header: Header, aerial: AerialImage) -> OccupancyGrid:
    """The aerial image in grey as a grid in `header.frame_id`: displays show those in their place without a plugin.

    Displays draw 0 in white and 100 in black; what the map does not show is unknown (-1).
    """
    grey = cv2.cvtColor(aerial.image, cv2.COLOR_RGB2GRAY)
    darkness = np.where(aerial.valid, np.round(100 * (1 - grey / 255.0)), -1).astype(np.int8)
    message = OccupancyGrid(header=header)
    message.info.resolution = aerial.grid.spacing_m
    message.info.height, message.info.width = darkness.shape
    message.info.origin.position = Point(
        x=aerial.grid.bounds.west_m, y=aerial.grid.bounds.south_m, z=GROUND_Z_M
    )
    message.data = array("b", darkness[::-1].tobytes())  # rows from south to north
    return message


def _search(prior: Prior) -> Marker:
    marker = _marker("search", Marker.LINE_STRIP, PRIOR_RGB, Vector3(x=0.15))
    marker.points = _points(prior.xy_m + prior.radius_m * np.stack([CIRCLE.real, CIRCLE.imag], axis=1))
    return marker


def _rivals(fix: Fix) -> Iterator[Marker]:
    for number, rival in enumerate(fix.rivals):
        yield _arrow("rivals", rival.pose, RIVAL_RGB, number)
        text = _marker("rivals", Marker.TEXT_VIEW_FACING, RIVAL_RGB, Vector3(z=1.5), len(fix.rivals) + number)
        text.pose.position = Point(x=rival.pose.x_m, y=rival.pose.y_m, z=1.5)
        text.text = f"{rival.probability:.1%}"
        yield text


def _found(tracked: TrackedFix, observation: Observation, matches: Correspondences) -> Iterator[Marker]:
    """The markers that need a pose."""
    fix = tracked.fix
    pose, rgb = Pose2(fix.x_m, fix.y_m, fix.yaw_rad), ACCEPTED_RGB if fix.accepted else REJECTED_RGB
    yield _arrow("pose", pose, rgb)

    ellipse = _marker("ellipse", Marker.LINE_STRIP, rgb, Vector3(x=0.15))
    variances, axes = np.linalg.eigh(fix.covariance[:2, :2])
    circle = np.stack([CIRCLE.real, CIRCLE.imag], axis=1)
    ellipse.points = _points((fix.x_m, fix.y_m) + circle * (2 * np.sqrt(variances)) @ axes.T)
    yield ellipse

    cells = _marker("cells", Marker.POINTS, MATCH_RGB, Vector3(x=0.3, y=0.3))
    points_m = observation.points_m(fix.scale)
    cells.points = _points(pose.transform(points_m))
    cells.colors = [_colour(colour) for colour in cell_colours(np.linalg.norm(points_m, axis=1))]
    yield cells

    surest = surest_matches(matches)
    lines = _marker("matches", Marker.LINE_LIST, MATCH_RGB, Vector3(x=0.08))
    ends = np.stack([pose.transform(matches.ground_xy_m[surest]), matches.aerial_xy_m[surest]], axis=1)
    lines.points = _points(ends.reshape(-1, 2))
    yield lines

    for number, T_current_past in enumerate(tracked.earlier):
        yield _arrow("keyframes", pose @ T_current_past, KEYFRAME_RGB, number)


def _arrow(name: str, pose: Pose2, rgb: Sequence[int], number: int = 0) -> Marker:
    """base_link with its heading."""
    marker = _marker(name, Marker.ARROW, rgb, ARROW_M, number)
    half_yaw_rad = pose.yaw_rad / 2
    marker.pose = Pose(
        position=Point(x=pose.x_m, y=pose.y_m),
        orientation=Quaternion(z=float(np.sin(half_yaw_rad)), w=float(np.cos(half_yaw_rad))),
    )
    return marker


def _marker(name: str, kind: int, rgb: Sequence[int], scale: Vector3, number: int = 0) -> Marker:
    return Marker(ns=name, id=number, type=kind, action=Marker.ADD, scale=scale, color=_colour(rgb))


def _points(xy_m: np.ndarray) -> list[Point]:
    return [Point(x=x_m, y=y_m) for x_m, y_m in np.asarray(xy_m, dtype=np.float64).tolist()]


def _colour(rgb: Sequence[int]) -> ColorRGBA:
    red, green, blue = (float(value) / 255 for value in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
