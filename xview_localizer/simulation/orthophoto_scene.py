"""A scene raised from an aerial photo, which colours the ground, the roofs and the crowns of trees.

The camera's view has another light, finer grain than the photo, and other cars. The aerial image is the photo itself
with the objects that were added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.ground import Drape, Ground, Surface
from xview_localizer.simulation.orthophoto_ground import street_ground
from xview_localizer.simulation.orthophoto_objects import (
    DrapedBuilder,
    line_direction,
    park_cars,
    place_new,
    raise_segments,
)
from xview_localizer.simulation.photo import FINEST_PHOTO_M, SCENE_M, Photo
from xview_localizer.simulation.render import Scene
from xview_localizer.simulation.segmentation import SEGMENT_M, Segments, segment
from xview_localizer.simulation.town import RAY_LENGTH_M, TownError
from xview_localizer.simulation.view import StreetView

CAMERA_REACH_M = 14.0  # from the middle of the scene, where even a small photo is not mirrored yet
LARGEST_SHIFT_M = 0.5  # of the aerial image: the usual error of orthophotos


@dataclass(frozen=True)
class OrthophotoScene(StreetView):
    """A square of SCENE_M about the photo's middle, mirrored beyond its edges; rendered like a Town."""

    segments: Segments
    street_scene: Scene
    aerial_scene: Scene

    @classmethod
    def generate(cls, photo: Photo, seed: int) -> OrthophotoScene:
        """Make a scene from a photo; the same photo and seed give the same scene."""
        rng = np.random.default_rng((seed, 4))
        picture = _extended(photo)
        side = round(SCENE_M / SEGMENT_M)
        grid = RasterGrid.centred(0.0, 0.0, SEGMENT_M, side, side)
        segments = segment(cv2.resize(picture.image, (side, side), interpolation=cv2.INTER_AREA), grid)
        street, placed = DrapedBuilder(), DrapedBuilder()
        raise_segments(street, segments, rng)
        place_new((street, placed), segments, picture.image, rng)
        park_cars(street, segments, rng)
        surface = np.zeros(picture.image.shape[:2], np.uint8) + np.uint8(Surface.PAVEMENT)
        aerial = Ground(picture.image, surface, picture.grid)
        ground = street_ground(picture, segments, rng)
        return cls(segments, Scene(ground, street.build()), Scene(aerial, placed.build()))

    def render_orthophoto(
        self, bounds: Bounds, metres_per_pixel: float, capture: Capture, rng: np.random.Generator
    ) -> AerialImage:
        """The photo of `bounds` with the added objects, shifted a little, through another lens and sensor."""
        rows, columns = round(bounds.height_m / metres_per_pixel), round(bounds.width_m / metres_per_pixel)
        grid = RasterGrid(bounds.west_m, bounds.north_m, metres_per_pixel, rows, columns)
        shift_m = rng.uniform(-1, 1, 2) * LARGEST_SHIFT_M / np.sqrt(2)
        centres = grid.cell_centres_xy_m + shift_m
        start = np.column_stack([centres, np.full(len(centres), RAY_LENGTH_M)])
        down = np.broadcast_to([0.0, 0.0, -1.0], start.shape)
        # Light of 1 on flat ground, so that the photo keeps its colours outside of new shadows.
        sun = float(capture.sun_rgb.mean() * capture.sun_direction[2])
        ambient = float(capture.ambient_rgb.mean())
        even = replace(
            capture,
            sun_rgb=capture.sun_rgb.mean() * np.ones(3) / (sun + ambient),
            ambient_rgb=ambient * np.ones(3) / (sun + ambient),
            season_tint=np.ones(3),
            visibility_m=np.inf,
        )
        hits = self.aerial_scene.cast(start, down)
        linear = self.aerial_scene.shade(start, down, hits, metres_per_pixel / RAY_LENGTH_M, even)
        image = even.develop(linear.reshape(rows, columns, 3), rng)
        return AerialImage(image, np.ones((rows, columns), dtype=bool), grid)

    def places(self, count: int, rng: np.random.Generator) -> list[Pose2]:
        """`count` free poses near the middle, mostly on paved ground and along the lines of the photo.

        Raises TownError where there are too few free places.
        """
        paved, grid = self.segments.paved, self.segments.grid
        poses: list[Pose2] = []
        for _ in range(60 * count):
            xy_m = rng.uniform(-CAMERA_REACH_M, CAMERA_REACH_M, 2)
            u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int)
            if (paved[v, u] or rng.random() < 0.08) and not self.is_blocked(xy_m):
                along_rad = line_direction(paved, v, u) + rng.choice([0.0, np.pi])
                turned = rng.normal(0, np.radians(6)) if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi)
                poses.append(Pose2(float(xy_m[0]), float(xy_m[1]), float(along_rad + turned)))
                if len(poses) == count:
                    return poses
        raise TownError(
            "a scene raised from a photo leaves no free place near its middle; take another window"
        )


def _extended(photo: Photo) -> Drape:
    """The photo on a square of SCENE_M, mirrored at its edges."""
    spacing_m = max(photo.metres_per_pixel, FINEST_PHOTO_M)
    image = photo.image
    if spacing_m > photo.metres_per_pixel:
        scale = photo.metres_per_pixel / spacing_m
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    side = 2 * round(SCENE_M / spacing_m / 2)
    height, width = image.shape[:2]
    rows, columns = (np.arange(side) - (side - length) // 2 for length in (height, width))
    rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    return Drape(
        np.ascontiguousarray(image[rows][:, columns]), RasterGrid.centred(0.0, 0.0, spacing_m, side, side)
    )


def _mirrored(index: np.ndarray, length: int) -> np.ndarray:
    """Indices mirrored into [0, length) at both edges, repeatedly where needed."""
    folded = index % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
