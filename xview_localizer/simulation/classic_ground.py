"""The ground of the classic towns: surfaces, their texture, wear and patches."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.simulation.classic_markings import paint_markings
from xview_localizer.simulation.ground import TEXEL_M, Ground, Painter, Surface, fractal_noise
from xview_localizer.simulation.layout import Field, Layout, Rectangle

# Half the side of the window in which a flower bed is drawn: more than its longer half axis, 3 m.
_BED_PX = 60


def paint_classic_ground(rng: np.random.Generator, layout: Layout) -> Ground:
    """Paint surfaces, their texture and the markings of a town."""
    side = int(round(layout.size_m / TEXEL_M))
    grid = RasterGrid.centred(0.0, 0.0, TEXEL_M, side, side)
    painter = Painter(grid)
    surface = _surfaces(rng, layout, painter)
    albedo = _texture(rng, layout, surface, painter)
    _wear_and_patches(rng, layout, painter, surface, albedo)
    paint_markings(rng, layout, painter, surface, albedo)
    return Ground(np.clip(albedo, 0, 255).astype(np.uint8), surface, grid)


def _surfaces(rng, layout: Layout, painter: Painter) -> np.ndarray:
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


def _texture(rng, layout: Layout, surface: np.ndarray, painter: Painter) -> np.ndarray:
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


def _plough(rng, field: Field, surface: np.ndarray, albedo: np.ndarray, painter: Painter) -> None:
    """A field's colour, its unevenness and its rows."""
    mask = np.zeros(surface.shape, np.uint8)
    painter.polygon(mask, field.place.corners, 1)
    rows, columns = np.nonzero((mask > 0) & (surface == Surface.FIELD))
    xy_m = painter.grid.xy_from_uv(np.stack([columns, rows], axis=1) + 0.5)
    across_m = xy_m @ np.array([-np.sin(field.place.yaw_rad), np.cos(field.place.yaw_rad)])
    furrows = field.row_contrast * np.sin(2 * np.pi * across_m / field.row_pitch_m)
    uneven = 9 * fractal_noise(rng, surface.shape, [300, 60, 8, 3])[rows, columns]
    albedo[rows, columns] = field.rgb + (furrows + uneven)[:, None]


def _wear_and_patches(rng, layout: Layout, painter: Painter, surface: np.ndarray, albedo: np.ndarray) -> None:
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
            near = np.s_[max(0, v - _BED_PX) : v + _BED_PX, max(0, u - _BED_PX) : u + _BED_PX]
            window, kind = albedo[near], surface[near]
            blob = np.zeros(kind.shape, np.uint8)
            middle = min(u, _BED_PX), min(v, _BED_PX)
            cv2.ellipse(blob, middle, axes, rng.uniform(0, 180), 0, 360, 1, -1)
            inside = (blob > 0) & ((kind == Surface.GRASS) | (kind == Surface.SOIL))
            window[inside] = 0.35 * window[inside] + 0.65 * colour
