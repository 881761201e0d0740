"""The proof picture, by which a user can judge a pose: photo and map, with matching cells in the same colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.belief.fix import Fix
from xview_localizer.drawing import (
    BLACK_RGB,
    RGB,
    SHOWN_RIVAL,
    draw_ellipse,
    draw_pose,
    draw_scale_bar,
    draw_text,
    map_picture,
    pixels,
)
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.observation import Observation

WIDE_PX, HIGH_PX, GAP_PX = 1400, 800, 10
# A photo wider than this is drawn above the map, others to its left.
WIDE_ASPECT = 1.7
RIVAL_TEXT_PX = 12
MARGIN_PX = 12  # of a wide image above and below the cells that are shown
SHOWN_MATCHES = 40
MATCHES_PER_SECTOR, SECTOR_RAD = 2, float(np.radians(10))
AGREEING_M = 3.0  # a match within this distance of its cell's position under the pose supports the pose
ACCEPTED_RGB, REJECTED_RGB, PRIOR_RGB, GAP_RGB = (60, 220, 60), (240, 60, 60), (80, 160, 255), (255, 255, 255)
RIVAL_RGB, DISAGREEING_RGB = (255, 170, 0), (190, 190, 190)
FAR_M = 30.0  # distance at which cells are drawn palest


@dataclass(frozen=True)
class Panel:
    """A picture, the scale from its source's pixels to its own, and its offset (u, v) on the canvas."""

    picture: np.ndarray
    scale: float
    offset_px: np.ndarray

    def place(self, uv: np.ndarray) -> np.ndarray:
        """Canvas pixels [..., 2] of source pixels."""
        return uv * self.scale + self.offset_px


def draw_proof(
    view: GroundView,
    prior: Prior,
    fix: Fix,
    observation: Observation,
    matches: Correspondences,
    aerial: AerialImage | None,
) -> np.ndarray:
    """RGB [H, W, 3]: the camera image and the map around the prior, north up. `matches` has one for each cell.

    Dots are cells, in both pictures in the same colour (hue by direction, paler with distance), on the map at their
    positions under the pose. Lines connect the most certain cells with their best single matches, where the map shows
    these; they are grey where the match does not agree with the pose. Blue is the prior's disc. Green (accepted) or red
    (rejected) are the pose and its 2-sigma ellipse. Orange are rivals, other places that fit, with their probabilities
    from SHOWN_RIVAL on.
    """
    uv, seen = _image_pixels(view, observation)
    points_m = observation.points_m(fix.scale) if np.isfinite(fix.scale) else np.zeros((0, 2))
    colours = _cell_colours(observation.ground_xy_m)
    photo = _photo_panel(view.image, uv[seen])
    if len(points_m):
        for index in np.flatnonzero(seen):
            cv2.circle(photo.picture, pixels(photo.place(uv[index])), 2, colours[index], -1, cv2.LINE_AA)
    if aerial is None:
        draw_text(photo.picture, "the map has no imagery here", (12, 30))
        return photo.picture
    ground = _map_panel(aerial, prior, fix, points_m, colours, photo)
    canvas = _joined(photo, ground)
    if len(points_m):
        cells = _most_certain(matches, aerial.grid.bounds)
        ends_m = matches.aerial_xy_m[cells]
        expected_m = Pose2(fix.x_m, fix.y_m, fix.yaw_rad).transform(points_m[cells])
        agrees = np.linalg.norm(ends_m - expected_m, axis=1) < AGREEING_M
        starts, ends = photo.place(uv[cells]), ground.place(aerial.grid.uv_from_xy(ends_m))
        for index in sorted(np.flatnonzero(seen[cells]), key=lambda index: agrees[index]):
            colour, width = (colours[cells[index]], 2) if agrees[index] else (DISAGREEING_RGB, 1)
            cv2.line(canvas, pixels(starts[index]), pixels(ends[index]), colour, width, cv2.LINE_AA)
            cv2.circle(canvas, pixels(starts[index]), 5, BLACK_RGB, 1, cv2.LINE_AA)
    verdict = "accepted" if fix.accepted else "rejected"
    draw_text(canvas, f"{verdict}, confidence {fix.confidence:.2f}", (12, 26))
    return canvas


def is_wide(image: np.ndarray) -> bool:
    """Whether the map is drawn below an image [H, W, 3], and not to its right."""
    return image.shape[1] > WIDE_ASPECT * image.shape[0]


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _photo_panel(image: np.ndarray, shown_uv: np.ndarray) -> Panel:
    """The photo; of a wide one only the rows with cells."""
    if not is_wide(image):
        scale = HIGH_PX / image.shape[0]
        return Panel(_scaled(image, scale), scale, np.zeros(2))
    scale, top, bottom = WIDE_PX / image.shape[1], 0, image.shape[0]
    if len(shown_uv):
        margin = MARGIN_PX / scale
        top = max(0, int(shown_uv[:, 1].min() - margin))
        bottom = min(bottom, int(shown_uv[:, 1].max() + margin))
    return Panel(_scaled(image[top:bottom], scale), scale, np.array([0.0, -top * scale]))


def _image_pixels(view: GroundView, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
    """Image pixels [N, 2] of the observation's cells, and the mask [N] of those inside the image."""
    # The base_link of a single photo is level, so directions in base_link and in the level frame are the same.
    return view.camera.project(observation.rays_level @ view.R_base_camera)


def _cell_colours(ground_xy_m: np.ndarray) -> list[RGB]:
    """A colour for each cell: the hue depends on its direction, and the saturation falls with its distance."""
    if not len(ground_xy_m):
        return []
    azimuth_rad = np.arctan2(ground_xy_m[:, 1], ground_xy_m[:, 0])
    share = (azimuth_rad - azimuth_rad.min()) / max(float(np.ptp(azimuth_rad)), 1e-9)
    nearness = 1 - np.clip(np.linalg.norm(ground_xy_m, axis=1) / FAR_M, 0, 1)
    hsv = np.stack([share * 170, 90 + 165 * nearness, np.full(len(nearness), 255)], axis=-1)
    return cv2.cvtColor(hsv[:, None].astype(np.uint8), cv2.COLOR_HSV2RGB)[:, 0].tolist()


def _map_panel(
    aerial: AerialImage,
    prior: Prior,
    fix: Fix,
    points_m: np.ndarray,
    colours: list[RGB],
    photo: Panel,
) -> Panel:
    """The map with prior, cells, pose and ellipse, below a wide photo and else to its right."""
    canvas = map_picture(aerial)
    rivals = [rival for rival in fix.rivals if rival.probability >= SHOWN_RIVAL]
    grid = aerial.grid
    radius_px = round(prior.radius_m / grid.spacing_m)
    cv2.circle(canvas, pixels(grid.uv_from_xy(prior.xy_m)), radius_px, PRIOR_RGB, 2, cv2.LINE_AA)
    if len(points_m):
        pose = Pose2(fix.x_m, fix.y_m, fix.yaw_rad)
        for centre, colour in zip(pixels(grid.uv_from_xy(pose.transform(points_m))), colours, strict=True):
            cv2.circle(canvas, centre, 2, colour, -1, cv2.LINE_AA)
        for rival in rivals:
            draw_pose(canvas, grid, rival.pose, RIVAL_RGB)
        colour = ACCEPTED_RGB if fix.accepted else REJECTED_RGB
        draw_ellipse(canvas, grid, np.array([fix.x_m, fix.y_m]), fix.covariance[:2, :2], colour)
        draw_pose(canvas, grid, pose, colour, thickness=3)
    height, width = photo.picture.shape[:2]
    below = width == WIDE_PX
    scale = WIDE_PX / canvas.shape[1] if below else HIGH_PX / canvas.shape[0]
    panel = _scaled(canvas, scale)
    for rival in rivals:
        left, bottom = pixels(grid.uv_from_xy(np.array([rival.pose.x_m, rival.pose.y_m])) * scale)
        draw_text(panel, f"{rival.probability:.0%}", (left + RIVAL_TEXT_PX, bottom + RIVAL_TEXT_PX), 0.45)
    draw_scale_bar(panel, grid.spacing_m / scale)
    return Panel(panel, scale, np.array([0, height + GAP_PX] if below else [width + GAP_PX, 0]))


def _joined(photo: Panel, ground: Panel) -> np.ndarray:
    """Both panels on one canvas."""
    left, top = ground.offset_px
    rows, columns = photo.picture.shape[:2]
    bottom, right = top + ground.picture.shape[0], left + ground.picture.shape[1]
    canvas = np.full((max(rows, bottom), max(columns, right), 3), GAP_RGB, np.uint8)
    canvas[:rows, :columns] = photo.picture
    canvas[top:bottom, left:right] = ground.picture
    return canvas


def _most_certain(matches: Correspondences, shown: Bounds) -> np.ndarray:
    """Indices of the matches of greatest weight that end in `shown`.

    They are few in each direction, so that the lines spread over the image.
    """
    azimuth_rad = np.arctan2(matches.ground_xy_m[:, 1], matches.ground_xy_m[:, 0])
    sector = np.floor(azimuth_rad / SECTOR_RAD).astype(int)
    by_weight = np.argsort(-matches.weight)
    chosen: list[int] = []
    for index in by_weight[shown.contains(matches.aerial_xy_m[by_weight])]:
        if len(chosen) == SHOWN_MATCHES:
            break
        if sum(sector[other] == sector[index] for other in chosen) < MATCHES_PER_SECTOR:
            chosen.append(int(index))
    return np.array(chosen, dtype=int)
