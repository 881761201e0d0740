"""A scene raised from an aerial photo, which colours the ground, the roofs and the crowns of trees.

The camera's view has another light, finer grain than the photo, and other cars. The aerial image is the photo itself
with the objects that were added.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.ground import Drape, Ground, Surface, fractal_noise
from xview_localizer.simulation.layout import Box, Building, Car, Rectangle, Tree
from xview_localizer.simulation.mesh import (
    Material,
    MeshBuilder,
    add_box,
    add_building,
    add_car,
    add_tree,
)
from xview_localizer.simulation.photo import Photo
from xview_localizer.simulation.render import Scene
from xview_localizer.simulation.segmentation import SEGMENT_M, Crown, Segments, mask_of, segment
from xview_localizer.simulation.town import TownError
from xview_localizer.simulation.view import is_blocked, view_of

SCENE_M = 160.0
TEXEL_M = 0.08
FINEST_PHOTO_M = 0.1  # per pixel; finer photos are averaged
GRAIN_TILE_PX = 1024
CAMERA_REACH_M = 14.0  # from the middle of the scene, where even a small photo is not mirrored yet
LARGEST_SHIFT_M = 0.5  # of the aerial image: the usual error of orthophotos
CAR_STAYS_SHARE = 0.35  # of the photo's cars that the camera sees too
_DRAPED = {Material.ROOF: Material.DRAPED_ROOF, Material.FOLIAGE: Material.DRAPED_FOLIAGE}
_FAR_BELOW = np.array([[[0.0, 0.0, -50.0], [1.0, 0.0, -50.0], [0.0, 1.0, -50.0]]])


class DrapedBuilder(MeshBuilder):
    """A builder that gives roofs and foliage the photo's colours within `draped`."""

    def __init__(self) -> None:
        super().__init__()
        self._drapes = False
        # The ray caster needs at least one triangle; this one is far below the ground.
        self.add(_FAR_BELOW, Material.PLAIN, (0, 0, 0))

    @contextmanager
    def draped(self) -> Iterator[None]:
        self._drapes = True
        yield
        self._drapes = False

    def add(self, triangles, material, rgb, parameters=(0.0, 0.0)) -> None:
        """See MeshBuilder.add."""
        super().add(triangles, _DRAPED.get(material, material) if self._drapes else material, rgb, parameters)


@dataclass(frozen=True)
class OrthophotoScene:
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
        _raise_segments(street, segments, rng)
        _place_new((street, placed), segments, picture.image, rng)
        _park_cars(street, segments, rng)
        surface = np.zeros(picture.image.shape[:2], np.uint8) + np.uint8(Surface.PAVEMENT)
        aerial = Ground(picture.image, surface, picture.grid)
        ground = _street_ground(picture, segments, rng)
        return cls(segments, Scene(ground, street.build()), Scene(aerial, placed.build()))

    def render_view(
        self,
        camera: CameraModel,
        pose: Pose2,
        R_base_camera: np.ndarray,
        camera_height_m: float,
        capture: Capture,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See Town.render_view."""
        return view_of(self.street_scene, camera, pose, R_base_camera, camera_height_m, capture, rng)

    def render_orthophoto(
        self, bounds: Bounds, metres_per_pixel: float, capture: Capture, rng: np.random.Generator
    ) -> AerialImage:
        """The photo of `bounds` with the added objects, shifted a little, through another lens and sensor."""
        rows, columns = round(bounds.height_m / metres_per_pixel), round(bounds.width_m / metres_per_pixel)
        grid = RasterGrid(bounds.west_m, bounds.north_m, metres_per_pixel, rows, columns)
        shift_m = rng.uniform(-1, 1, 2) * LARGEST_SHIFT_M / np.sqrt(2)
        centres = grid.cell_centres_xy_m + shift_m
        start = np.column_stack([centres, np.full(len(centres), 60.0)])
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
        linear = self.aerial_scene.shade(start, down, hits, metres_per_pixel / 60.0, even)
        image = even.develop(linear.reshape(rows, columns, 3), rng)
        return AerialImage(image, np.ones((rows, columns), dtype=bool), grid)

    def is_blocked(self, xy_m: np.ndarray, clearance_m: float = 0.8) -> bool:
        """See Town.is_blocked."""
        return is_blocked(self.street_scene, xy_m, clearance_m)

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
                along_rad = _line_direction(paved, v, u) + rng.choice([0.0, np.pi])
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


def _raise_segments(builder: DrapedBuilder, segments: Segments, rng: np.random.Generator) -> None:
    storeys = int(rng.integers(1, 5))
    palette = rng.uniform(95, 225, (4, 1)) + rng.normal(0, 1, (4, 3)) * (16, 9, 16)
    flat_share, slender = rng.uniform(0.3, 1.0), rng.uniform(0.8, 1.9)
    for roof in segments.roofs:
        storey_m = rng.uniform(2.6, 3.4)
        small = min(roof.length_m, roof.width_m) < 6.0
        long_way = roof
        if roof.width_m > roof.length_m:  # ridges run along the longer side
            long_way = Rectangle(roof.x_m, roof.y_m, roof.yaw_rad + np.pi / 2, roof.width_m, roof.length_m)
        building = Building(
            (long_way,), (1 if small else max(1, storeys + int(rng.integers(-1, 2)))) * storey_m,
            bool(rng.random() < flat_share), palette[rng.integers(4)] + rng.normal(0, 6, 3),
            np.array([120.0, 110.0, 105.0]), rng.uniform(1.6, 3.6), storey_m,
        )  # fmt: skip
        with builder.draped():
            add_building(builder, building, rng)
    for crown in segments.crowns:
        _grow(builder, crown, slender, rng)


def _grow(builder: DrapedBuilder, crown: Crown, slender: float, rng: np.random.Generator) -> None:
    """Add a tree under a crown; under a small one, a bush that reaches the ground."""
    radius_m = 1.2 * crown.radius_m
    bush = crown.radius_m < 1.1
    trunk_m = 0.0 if bush else rng.uniform(1.2, 3.2)
    height_m = radius_m * (rng.uniform(0.7, 1.5) if bush else slender * rng.uniform(0.7, 1.3))
    tree = Tree(crown.x_m, crown.y_m, trunk_m, radius_m, height_m, np.array([80.0, 95.0, 60.0]))
    with builder.draped():
        add_tree(builder, tree, rng)


def _place_new(
    builders: tuple[MeshBuilder, ...], segments: Segments, picture: np.ndarray, rng: np.random.Generator
) -> None:
    """Add poles, trees and a few houses that the photo does not show, the same to all builders."""
    grid, taken = segments.grid, ~_open_ground(segments)
    clear_m = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing_m
    leaf = _leaf_colour(segments, picture)

    def free_place(clearance_m: float) -> np.ndarray | None:
        for _ in range(20):
            xy_m = rng.uniform(-0.42, 0.42, 2) * SCENE_M
            u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int)
            if clear_m[v, u] > clearance_m and np.hypot(*xy_m) > clearance_m + 3.0:
                return xy_m
        return None

    def build(add, thing) -> None:
        seed = int(rng.integers(2**31))
        for builder in builders:
            add(builder, thing, *(() if add is add_box else (np.random.default_rng(seed),)))

    houses, trees, poles = (int(rng.integers(0, most)) for most in (4, 14, 14))
    for _ in range(houses):
        size_m = rng.uniform(7, 14, 2)
        if (xy_m := free_place(float(np.hypot(*size_m)) / 2 + 1.0)) is not None:
            place = Rectangle(*xy_m.tolist(), rng.uniform(0, np.pi), float(size_m.max()), float(size_m.min()))
            build(add_building, Building(
                (place,), float(rng.uniform(3, 9)), bool(rng.random() < 0.4),
                rng.uniform(95, 225) + rng.normal(0, 12, 3), rng.uniform(60, 185) + rng.normal(0, 14, 3),
                float(rng.uniform(1.6, 3.6)), 3.0,
            ))  # fmt: skip
    for _ in range(trees):
        radius_m = float(rng.uniform(1.2, 3.5))
        if (xy_m := free_place(radius_m)) is not None:
            height_m = radius_m * rng.uniform(0.8, 1.8)
            build(
                add_tree,
                Tree(*xy_m, rng.uniform(1.6, 3), radius_m, height_m, leaf + rng.normal(0, 8, 3)),
            )
    for _ in range(poles):
        if (xy_m := free_place(0.5)) is not None:
            build(
                add_box,
                Box(
                    Rectangle(*xy_m.tolist(), 0.3, 0.16, 0.16),
                    rng.uniform(3, 8),
                    rng.uniform(60, 190) + rng.normal(0, 9, 3),
                ),
            )


def _open_ground(segments: Segments) -> np.ndarray:
    """Mask [H, W] of ground without crowns, roofs and wide paved areas, which are likely roads."""
    grid = segments.grid
    stands = mask_of(segments.roofs, grid, 1.0) | _crown_mask(segments, 0.5)
    road = cv2.morphologyEx(segments.paved.astype(np.uint8), cv2.MORPH_OPEN, np.ones((13, 13), np.uint8)) > 0
    return ~(stands | road)


def _crown_mask(segments: Segments, margin_m: float) -> np.ndarray:
    grid = segments.grid
    mask = np.zeros((grid.rows, grid.columns), np.uint8)
    for crown in segments.crowns:
        u, v = np.round(grid.uv_from_xy(np.array([crown.x_m, crown.y_m])) - 0.5).astype(int).tolist()
        cv2.circle(mask, (u, v), max(1, round((crown.radius_m + margin_m) / grid.spacing_m)), 1, -1)
    return mask > 0


def _leaf_colour(segments: Segments, picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, segments.vegetation.shape[::-1], interpolation=cv2.INTER_AREA)
    if segments.vegetation.sum() < 50:
        return np.array([70.0, 90.0, 50.0])
    return np.median(small[segments.vegetation], axis=0).astype(float)


def _park_cars(builder: MeshBuilder, segments: Segments, rng: np.random.Generator) -> None:
    """Add some of the photo's cars and new ones."""
    grid, paved = segments.grid, segments.paved
    places = [place for place in segments.cars if rng.random() < CAR_STAYS_SHARE]
    clear_m = cv2.distanceTransform(paved.astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing_m
    for _ in range(int(rng.integers(0, 30))):
        xy_m = rng.uniform(-0.4, 0.4, 2) * SCENE_M
        u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int)
        if clear_m[v, u] > 1.2:
            yaw_rad = _line_direction(paved, v, u)
            places.append(
                Rectangle(*xy_m.tolist(), float(yaw_rad), rng.uniform(3.8, 5.2), rng.uniform(1.7, 2.0))
            )
    for place in places:
        rgb = rng.uniform(20, 235) + rng.normal(0, 25, 3) * (rng.random() < 0.4)
        sized = replace(place, length_m=max(place.length_m, 3.5), width_m=max(place.width_m, 1.6))
        add_car(builder, Car(sized, rng.uniform(1.4, 1.9), np.clip(rgb, 10, 245)))


def _line_direction(mask: np.ndarray, row: int, column: int, reach: int = 26) -> float:
    """Direction (radians, east 0) of a mask's greatest extent around a pixel; 0 where too little of it is near."""
    window = mask[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    rows, columns = np.nonzero(window)
    if len(rows) < 10:
        return 0.0
    values, vectors = np.linalg.eigh(np.cov(np.stack([columns, -rows]).astype(float)))
    return float(np.arctan2(vectors[1, -1], vectors[0, -1]))


def _street_ground(picture: Drape, segments: Segments, rng: np.random.Generator) -> Ground:
    """The ground seen from the street: the photo without upright objects, sharpened, with grain and softer shadows."""
    grid = segments.grid
    stands = (
        mask_of(segments.roofs, grid, 0.6) | _crown_mask(segments, 0.3) | mask_of(segments.cars, grid, 0.6)
    )
    side = round(SCENE_M / TEXEL_M)
    fine = RasterGrid.centred(0.0, 0.0, TEXEL_M, side, side)
    albedo = cv2.resize(picture.image, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    albedo = _filled(albedo, picture.image, stands, grid)
    sigma_px = picture.grid.spacing_m / TEXEL_M
    if sigma_px > 1.5:
        albedo = _crisp(albedo, sigma_px)
    own = albedo.mean(axis=-1)
    # The brightness around a pixel finds shadows; the pixel's own keeps bright kerbs beside them.
    brightness = np.maximum(np.maximum(cv2.GaussianBlur(own, (0, 0), 3 * sigma_px), own), 8.0)[..., None]
    usual = float(np.median(brightness[::8, ::8]))
    lift = rng.uniform(0.0, 0.6)  # the shadows of another hour
    albedo *= np.clip(usual / brightness, 1.0, 3.0) ** lift
    tile = fractal_noise(rng, (GRAIN_TILE_PX, GRAIN_TILE_PX), [48, 16, 6, 2, 1])
    repeats = -(-side // GRAIN_TILE_PX)
    grain = np.tile(tile, (repeats, repeats))[:side, :side]
    rough = cv2.resize(np.where(segments.vegetation, 0.13, 0.05).astype(np.float32), (side, side))
    albedo *= (1 + rng.uniform(0.6, 1.6) * rough * grain)[..., None]
    green = cv2.resize(segments.vegetation.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    surface = np.where(green > 0, np.uint8(Surface.GRASS), np.uint8(Surface.PAVEMENT))
    return Ground(np.clip(albedo, 0, 255).astype(np.uint8), surface, fine, picture)


def _crisp(albedo: np.ndarray, sigma_px: float) -> np.ndarray:
    """A coarse photo with steeper edges, within the range of brightness around each pixel."""
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(sigma_px) + 1,) * 2)
    sharpened = albedo + 2.0 * (albedo - cv2.GaussianBlur(albedo, (0, 0), sigma_px))
    return np.clip(sharpened, cv2.erode(albedo, around), cv2.dilate(albedo, around))


def _filled(albedo: np.ndarray, picture: np.ndarray, stands: np.ndarray, grid: RasterGrid) -> np.ndarray:
    """`albedo` with the nearest free ground in place of upright objects (mask `stands` on `grid`)."""
    if not stands.any() or stands.all():
        return albedo
    small = cv2.resize(picture, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)
    nearest = ndimage.distance_transform_edt(stands, return_distances=False, return_indices=True)
    filled = cv2.GaussianBlur(small[tuple(nearest)].astype(np.float32), (0, 0), 2.0)
    size = albedo.shape[1::-1]
    weight = cv2.resize(cv2.GaussianBlur(stands.astype(np.float32), (0, 0), 0.7), size)[..., None]
    return albedo + weight * (cv2.resize(filled, size) - albedo)
