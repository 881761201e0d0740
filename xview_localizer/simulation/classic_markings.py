"""Paint on the streets and car parks of the classic towns: lines, crossings, stop lines, arrows, bays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xview_localizer.simulation.ground import Painter, Surface, fractal_noise
from xview_localizer.simulation.layout import Layout, Street


def paint_markings(
    rng: np.random.Generator, layout: Layout, painter: Painter, surface: np.ndarray, albedo: np.ndarray
) -> None:
    """Draw white and yellow paint on the asphalt of `surface` [H, W], worn in places, into `albedo` [H, W, 3]."""
    paint = np.zeros(surface.shape, np.uint8)
    yellow = np.zeros(surface.shape, np.uint8)
    _markings(rng, layout, painter, paint, yellow)
    _apply_markings(rng, layout, surface, albedo, paint, yellow)


def _markings(rng, layout: Layout, painter: Painter, paint: np.ndarray, yellow: np.ndarray) -> None:
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


def _dashes(line: np.ndarray, clear: np.ndarray, on: int, off: int) -> Iterator[np.ndarray]:
    """Pieces of `on` samples with gaps of `off`, where the street is `clear` of junctions."""
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
