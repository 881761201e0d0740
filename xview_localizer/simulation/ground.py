"""The painted ground: its surface classes and its colour as north-up rasters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.simulation.layout import Field, Layout, Rectangle, Street

TEXEL_M = 0.06
_SHIFT = 4  # OpenCV's sub-pixel bits


class Surface(IntEnum):
    GRASS = 0
    SOIL = 1
    PAVEMENT = 2
    KERB = 3
    ASPHALT = 4
    DRIVEWAY = 5
    FIELD = 6


@dataclass(frozen=True)
class Drape:
    """An aerial photo, `image` [H, W, 3] uint8 on `grid`, that colours the roofs and crowns under it."""

    image: np.ndarray
    grid: RasterGrid


@dataclass(frozen=True)
class Ground:
    """`albedo` [H, W, 3] uint8 and `surface` [H, W] (Surface) on `grid`; `drape` is for draped materials."""

    albedo: np.ndarray
    surface: np.ndarray
    grid: RasterGrid
    drape: Drape | None = None


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], wavelengths_px: list[float]
) -> np.ndarray:
    """Zero-mean noise of about unit variance, summed over wavelengths; [H, W] float32."""
    total = np.zeros(shape, np.float32)
    for wavelength in wavelengths_px:
        coarse = [max(2, int(np.ceil(side / wavelength)) + 1) for side in shape]
        field = rng.standard_normal(coarse, dtype=np.float32)
        total += cv2.resize(
            field, shape[::-1], interpolation=cv2.INTER_CUBIC if wavelength > 1 else cv2.INTER_NEAREST
        )
    return total / np.sqrt(len(wavelengths_px))


class _Painter:
    """Draws metric shapes on a raster with sub-pixel precision."""

    def __init__(self, grid: RasterGrid) -> None:
        self.grid = grid

    def _fixed(self, xy_m: np.ndarray) -> np.ndarray:
        return np.round((self.grid.uv_from_xy(xy_m) - 0.5) * 2**_SHIFT).astype(np.int32)

    def polygon(self, raster: np.ndarray, xy_m: np.ndarray, value) -> None:
        cv2.fillPoly(raster, [self._fixed(xy_m)], value, cv2.LINE_8, _SHIFT)

    def line(self, raster: np.ndarray, xy_m: np.ndarray, width_m: float, value) -> None:
        thickness = max(1, round(width_m / self.grid.spacing_m))
        cv2.polylines(raster, [self._fixed(xy_m)], False, value, thickness, cv2.LINE_8, _SHIFT)


def paint_ground(rng: np.random.Generator, layout: Layout) -> Ground:
    """Paint surfaces, their texture and the markings of a town."""
    side = int(round(layout.size_m / TEXEL_M))
    grid = RasterGrid.centred(0.0, 0.0, TEXEL_M, side, side)
    painter = _Painter(grid)
    surface = _surfaces(rng, layout, painter)
    albedo = _texture(rng, layout, surface, painter)
    _wear_and_patches(rng, layout, painter, surface, albedo)
    paint = np.zeros(surface.shape, np.uint8)
    yellow = np.zeros(surface.shape, np.uint8)
    _markings(rng, layout, painter, paint, yellow)
    _apply_markings(rng, layout, surface, albedo, paint, yellow)
    return Ground(np.clip(albedo, 0, 255).astype(np.uint8), surface, grid)


def _surfaces(rng, layout: Layout, painter: _Painter) -> np.ndarray:
    style = layout.style
    surface = np.full((painter.grid.rows, painter.grid.columns), Surface[style.open_ground.upper()], np.uint8)
    bare = fractal_noise(rng, surface.shape, [250, 90, 30])
    spots = style.irregularity * bare > rng.uniform(0.9, 2.2)
    surface[spots] = Surface.GRASS if style.open_ground == "soil" else Surface.SOIL
    for field in layout.fields:
        painter.polygon(surface, field.place.corners, int(Surface.FIELD))
    for building in layout.buildings:  # paved or bare strips around houses
        if rng.random() < style.apron_share:
            for part in building.parts:
                apron = Rectangle(part.x_m, part.y_m, part.yaw_rad, part.length_m + 2.4, part.width_m + 2.4)
                painter.polygon(surface, apron.corners, int(rng.choice([Surface.SOIL, Surface.PAVEMENT])))
    for driveway in layout.driveways:
        painter.polygon(surface, driveway.corners, int(Surface.DRIVEWAY))
    for park in layout.car_parks:
        painter.polygon(surface, park.corners, int(Surface.ASPHALT))
    for street in layout.streets:
        if style.pavement_width_m:
            outer = street.width_m + 2 * (style.verge_width_m + style.pavement_width_m)
            painter.line(surface, street.line_xy_m, outer, int(Surface.PAVEMENT))
    for street in layout.streets:
        if style.verge_width_m:
            painter.line(
                surface, street.line_xy_m, street.width_m + 2 * style.verge_width_m, int(Surface.GRASS)
            )
        elif not style.kerb:  # a worn shoulder
            painter.line(surface, street.line_xy_m, street.width_m + 1.2, int(Surface.SOIL))
    for driveway in layout.driveways:
        painter.polygon(surface, driveway.corners, int(Surface.DRIVEWAY))
    for street in layout.streets:
        if style.kerb:
            painter.line(surface, street.line_xy_m, street.width_m + 0.36, int(Surface.KERB))
    for street in layout.streets:
        painter.line(surface, street.line_xy_m, street.width_m, int(Surface.ASPHALT))
    return surface


def _texture(rng, layout: Layout, surface: np.ndarray, painter: _Painter) -> np.ndarray:
    """Base colour and multi-scale noise per surface, joints of slabs."""
    style = layout.style
    driveway = (
        np.asarray(style.pavement if rng.random() < 0.5 else style.asphalt)
        + rng.normal(0, 14)
        + rng.normal(0, 4, 3)
    )
    base = {
        Surface.GRASS: (style.grass, 13, [400, 90, 25, 7, 2]),
        Surface.SOIL: (style.soil, 12, [300, 60, 15, 4]),
        Surface.PAVEMENT: (style.pavement, 6, [500, 100, 12, 3]),
        Surface.KERB: (tuple(np.asarray(style.pavement) + rng.uniform(-25, 25)), 6, [60, 8]),
        Surface.ASPHALT: (style.asphalt, 6, [700, 200, 40, 6, 2]),
        Surface.DRIVEWAY: (tuple(driveway), 8, [200, 30, 4]),
    }
    albedo = np.empty((*surface.shape, 3), np.float32)
    for kind, (colour, contrast, wavelengths) in base.items():
        mask = surface == kind
        if not mask.any():
            continue
        noise = fractal_noise(rng, surface.shape, wavelengths)[mask] * contrast * style.roughness
        tint = 1 + 0.02 * rng.standard_normal(3)
        albedo[mask] = np.asarray(colour, np.float32) + noise[:, None] * tint.astype(np.float32)
    for field in layout.fields:
        _plough(rng, field, surface, albedo, painter)
    if rng.random() < 0.7:
        slab = int(rng.uniform(0.4, 1.6) / TEXEL_M)
        joints = np.zeros(surface.shape, bool)
        joints[::slab], joints[:, ::slab] = True, True
        albedo[joints & (surface == Surface.PAVEMENT)] -= rng.uniform(8, 35)
    return albedo


def _plough(rng, field: Field, surface: np.ndarray, albedo: np.ndarray, painter: _Painter) -> None:
    """A field's colour, its unevenness and its rows."""
    mask = np.zeros(surface.shape, np.uint8)
    painter.polygon(mask, field.place.corners, 1)
    rows, columns = np.nonzero((mask > 0) & (surface == Surface.FIELD))
    xy_m = painter.grid.xy_from_uv(np.stack([columns, rows], axis=1) + 0.5)
    across_m = xy_m @ np.array([-np.sin(field.place.yaw_rad), np.cos(field.place.yaw_rad)])
    furrows = field.row_contrast * np.sin(2 * np.pi * across_m / field.row_pitch_m)
    uneven = 9 * fractal_noise(rng, surface.shape, [300, 60, 8, 3])[rows, columns]
    albedo[rows, columns] = field.rgb + (furrows + uneven)[:, None]


def _wear_and_patches(
    rng, layout: Layout, painter: _Painter, surface: np.ndarray, albedo: np.ndarray
) -> None:
    """Draw repairs, cracks, tyre tracks, manholes, stains and flower beds."""
    half, amount = layout.size_m / 2, layout.style.irregularity
    change = np.zeros(surface.shape, np.float32)
    for street in layout.streets:
        n = len(street.line_xy_m)
        for _ in range(round(amount * rng.integers(4, 14))):
            i, j = sorted(rng.integers(0, n, 2))
            j = min(j, i + int(rng.uniform(3, 30)))
            lateral = rng.uniform(-0.4, 0.4) * street.width_m
            if j - i > 2:
                painter.line(
                    change, street.offset(lateral)[i:j], rng.uniform(0.5, 3), float(rng.normal(0, 16))
                )
        for lateral in (-0.32, -0.16, 0.16, 0.32):
            painter.line(change, street.offset(lateral * street.width_m), 0.5, float(rng.normal(2, 5)))
        for _ in range(round(amount * rng.integers(2, 12))):
            i = rng.integers(2, n - 2)
            crack = street.offset(rng.uniform(-0.5, 0.5) * street.width_m)[i : i + int(rng.uniform(3, 14))]
            painter.line(change, crack + np.cumsum(rng.normal(0, 0.12, crack.shape), axis=0), 0.06, -30.0)
        for _ in range(round(amount * rng.integers(1, 6))):
            i = rng.integers(2, n - 2)
            u, v = painter.grid.uv_from_xy(street.offset(rng.uniform(-0.4, 0.4) * street.width_m)[i])
            if 0 < u < surface.shape[1] and 0 < v < surface.shape[0]:
                cv2.circle(
                    change,
                    (int(u), int(v)),
                    int(rng.uniform(0.25, 0.4) / TEXEL_M),
                    float(rng.uniform(-45, 20)),
                    -1,
                )
    albedo += np.where((surface == Surface.ASPHALT) | (surface == Surface.DRIVEWAY), change, 0)[..., None]
    for _ in range(int(amount * layout.size_m**2 / 250)):
        x, y = rng.uniform(-half, half, 2)
        u, v = painter.grid.uv_from_xy(np.array([x, y])).astype(int)
        if surface[min(v, len(surface) - 1), min(u, len(surface) - 1)] in (Surface.GRASS, Surface.SOIL):
            axes = tuple(int(a / TEXEL_M) for a in rng.uniform(0.3, 3.0, 2))
            colour = (
                np.asarray(layout.style.grass) * rng.uniform(0.5, 1.3)
                if rng.random() < 0.8
                else rng.uniform(60, 200) + rng.normal(0, 12, 3)
            )
            blob = np.zeros(surface.shape, np.uint8)[max(0, v - 60) : v + 60, max(0, u - 60) : u + 60]
            cv2.ellipse(blob, (min(u, 60), min(v, 60)), axes, rng.uniform(0, 180), 0, 360, 1, -1)
            window = albedo[max(0, v - 60) : v + 60, max(0, u - 60) : u + 60]
            kind = surface[max(0, v - 60) : v + 60, max(0, u - 60) : u + 60]
            inside = (blob > 0) & ((kind == Surface.GRASS) | (kind == Surface.SOIL))
            window[inside] = 0.35 * window[inside] + 0.65 * colour


def _markings(rng, layout: Layout, painter: _Painter, paint: np.ndarray, yellow: np.ndarray) -> None:
    for street in layout.streets:
        mouths = _junction_mouths(street, layout.streets)
        clear = np.ones(len(street.line_xy_m), bool)
        for first, last in mouths:
            clear[max(0, first - 4) : last + 4] = False
        _lane_lines(rng, layout, street, clear, painter, paint, yellow)
        for first, last in mouths:
            for i, forward in ((first - 2, -1), (last + 2, 1)):
                if 2 < i < len(street.line_xy_m) - 3:
                    if rng.random() < layout.style.crosswalk_share:
                        _crosswalk(rng, street, i, painter, paint)
                        i += 3 * forward
                    if rng.random() < 0.6:
                        _stop_line(street, min(max(i, 0), len(street.line_xy_m) - 1), forward, painter, paint)
        if rng.random() < layout.style.crosswalk_share * 0.5:
            _crosswalk(rng, street, int(rng.integers(10, len(street.line_xy_m) - 10)), painter, paint)
        for _ in range(rng.integers(0, 4)):
            _arrow(rng, street, int(rng.integers(5, len(street.line_xy_m) - 8)), painter, paint)
    for park in layout.car_parks:
        across = np.array([-np.sin(park.yaw_rad), np.cos(park.yaw_rad)])
        along = np.array([np.cos(park.yaw_rad), np.sin(park.yaw_rad)])
        for forward_m in np.arange(-park.length_m / 2 + 0.1, park.length_m / 2, 2.5):
            for side in (-1, 1):
                start = (
                    np.array([park.x_m, park.y_m])
                    + forward_m * along
                    + side * (park.width_m / 2 - 0.2) * across
                )
                painter.line(paint, np.stack([start, start - side * 4.8 * across]), 0.12, 255)


def _junction_mouths(street: Street, streets: tuple[Street, ...]) -> list[tuple[int, int]]:
    """Index ranges of the centreline that lie on other carriageways."""
    mouths = []
    for other in streets:
        if other is street:
            continue
        distance = np.array([np.linalg.norm(other.line_xy_m - p, axis=1).min() for p in street.line_xy_m])
        inside = np.flatnonzero(distance < other.width_m / 2 + 0.5)
        if len(inside):
            runs = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
            mouths += [(int(run[0]), int(run[-1])) for run in runs]
    return mouths


def _dashes(line: np.ndarray, clear: np.ndarray, on: int, off: int):
    for i in range(0, len(line) - on, on + off):
        if clear[i : i + on + 1].all():
            yield line[i : i + on + 1]


def _lane_lines(rng, layout: Layout, street: Street, clear, painter, paint, yellow) -> None:
    style = layout.style
    width_m = rng.uniform(0.1, 0.16)
    centre = yellow if style.yellow_lines else paint
    if style.centre_line == "dashed":
        on, off = int(rng.integers(2, 5)), int(rng.integers(3, 8))
        if style.repeat_m:
            off = style.repeat_m // 2 - on
        for dash in _dashes(street.line_xy_m, clear, on, off):
            painter.line(centre, dash, width_m, 255)
    elif style.centre_line != "none":
        offsets = (0.0,) if style.centre_line == "solid" else (-0.14, 0.14)
        for offset_m in offsets:
            for dash in _dashes(street.offset(offset_m), clear, 3, 0):
                painter.line(centre, dash, width_m, 255)
    if street.width_m > 11:
        for side in (-1, 1):
            for dash in _dashes(street.offset(side * street.width_m / 4), clear, 3, 5):
                painter.line(paint, dash, width_m, 255)
    if style.edge_lines:
        for side in (-1, 1):
            for dash in _dashes(street.offset(side * (street.width_m / 2 - 0.3)), clear, 3, 0):
                painter.line(paint, dash, width_m, 255)


def _crosswalk(rng, street: Street, i: int, painter, paint) -> None:
    length_m, pitch_m = rng.uniform(2.2, 3.5), rng.uniform(0.9, 1.3)
    for lateral_m in np.arange(-street.width_m / 2 + 0.4, street.width_m / 2 - 0.3, pitch_m):
        centre = street.line_xy_m[i] + lateral_m * street.left[i]
        painter.line(
            paint, centre + np.outer([-length_m / 2, length_m / 2], street.direction[i]), pitch_m * 0.5, 255
        )


def _stop_line(street: Street, i: int, forward: int, painter, paint) -> None:
    lateral = np.array([0.2, street.width_m / 2 - 0.3]) * forward
    painter.line(paint, street.line_xy_m[i] + lateral[:, None] * street.left[i], 0.35, 255)


def _arrow(rng, street: Street, i: int, painter, paint) -> None:
    side = rng.choice([-1.0, 1.0])
    base = street.line_xy_m[i] + side * street.width_m / 4 * street.left[i]
    forward, left = -side * street.direction[i], street.left[i]
    painter.line(paint, np.stack([base, base + 2.4 * forward]), 0.18, 255)
    tip = base + 3.6 * forward
    painter.polygon(
        paint, np.stack([tip, tip - 1.2 * forward + 0.45 * left, tip - 1.2 * forward - 0.45 * left]), 255
    )


def _apply_markings(rng, layout: Layout, surface, albedo, paint, yellow) -> None:
    asphalt = surface == Surface.ASPHALT
    worn = fractal_noise(rng, surface.shape, [40, 9, 2]) > np.interp(layout.style.wear, [0, 1], [2.5, -0.3])
    for mask, colour in ((paint, (226, 226, 222)), (yellow, (214, 170, 60))):
        chosen = (mask > 0) & asphalt
        strength = np.where(worn[chosen], rng.uniform(0.1, 0.4), rng.uniform(0.75, 0.95))[:, None]
        albedo[chosen] = (1 - strength) * albedo[chosen] + strength * np.asarray(colour, np.float32)
