"""Upright objects on an aerial photo, found by simple rules: crowns are green and rough, roofs even and rectangular
with a shadow on one side, cars small and unlike the ground around them.

Errors do no harm to the data, since the scene raised from the photo is its own ground truth. They should be few enough
that a roof in the photo is mostly a roof from the street too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.simulation.layout import Rectangle

SEGMENT_M = 0.3  # metres per pixel at which photos are segmented
# The limits below were set by eye on photos of 0.1 to 0.3 m per pixel.
EXCESS_GREEN = 0.04  # least (2g - r - b) / (r + g + b) of vegetation, above the photo's own colour cast
LARGEST_CAST = 0.06  # of the same measure: more is vegetation and not a cast
ROUGH_SHARE = 0.1  # deviation over mean of the brightness within 1.5 m: crowns have more, lawns less
CROWN_RADIUS_M = (0.6, 4.5)
ROOF_SIDE_M = (4.0, 45.0)
ROOF_AREA_M2 = (22.0, 1200.0)
ROOF_FILL = 0.68  # least share of its rectangle that a roof fills
ROOF_EVIDENCE = 0.27  # least sum of shadow contrast and roof colour
ROOF_COLOUR_STEPS = (1.5, 2.5, 3.5)  # between neighbouring pixels of one roof (CIELAB), from strict to lax
SHADOW_REACH_M = (0.6, 2.4)  # distances from a roof at which its shadow is looked for
CAR_LENGTH_M, CAR_WIDTH_M = (2.7, 6.2), (1.2, 2.7)
CAR_CONTRAST = 32.0  # grey levels between a car and the ground around it


@dataclass(frozen=True)
class Crown:
    """A disc of a tree, bush or hedge as seen from above."""

    x_m: float
    y_m: float
    radius_m: float


@dataclass(frozen=True)
class Segments:
    """Objects and masks [H, W] on `grid`; `paved` is even, grey ground on which a camera may drive."""

    crowns: tuple[Crown, ...]
    roofs: tuple[Rectangle, ...]
    cars: tuple[Rectangle, ...]
    vegetation: np.ndarray
    paved: np.ndarray
    grid: RasterGrid


def segment(photo: np.ndarray, grid: RasterGrid) -> Segments:
    """Segment a photo [H, W, 3] uint8 on a grid of SEGMENT_M."""
    colour = cv2.GaussianBlur(photo, (0, 0), 0.6).astype(np.float32)
    brightness = colour.mean(axis=-1)
    vegetation = _vegetation(colour)
    rough = _roughness(brightness)
    dark = brightness < min(0.62 * float(np.median(brightness)), 90.0)
    wood = _wood(brightness, vegetation, rough)
    roofs = _roofs(photo, brightness, vegetation | wood, dark, grid)
    roof_mask = mask_of(roofs, grid, 0.3)
    crowns = _crowns(wood & ~roof_mask, grid)
    free = ~(vegetation | wood | roof_mask)
    cars = _cars(colour, free, grid)
    even = cv2.GaussianBlur((rough < 1.2 * ROUGH_SHARE).astype(np.float32), (0, 0), 4) > 0.5
    paved = free & even & (_saturation(colour) < 0.25)
    return Segments(crowns, roofs, cars, vegetation, paved, grid)


def mask_of(places: tuple[Rectangle, ...], grid: RasterGrid, margin_m: float = 0.0) -> np.ndarray:
    """Mask [H, W] of rectangles, each wider by `margin_m` all round."""
    mask = np.zeros((grid.rows, grid.columns), np.uint8)
    for place in places:
        wide = Rectangle(
            place.x_m, place.y_m, place.yaw_rad, place.length_m + 2 * margin_m, place.width_m + 2 * margin_m
        )
        cv2.fillPoly(mask, [np.round(grid.uv_from_xy(wide.corners) - 0.5).astype(np.int32)], 1)
    return mask > 0


def crown_mask(segments: Segments, margin_m: float) -> np.ndarray:
    """Mask [H, W] of the crowns, each widened by `margin_m`."""
    grid = segments.grid
    mask = np.zeros((grid.rows, grid.columns), np.uint8)
    for crown in segments.crowns:
        u, v = np.round(grid.uv_from_xy(np.array([crown.x_m, crown.y_m])) - 0.5).astype(int).tolist()
        cv2.circle(mask, (u, v), max(1, round((crown.radius_m + margin_m) / grid.spacing_m)), 1, -1)
    return mask > 0


def _vegetation(colour: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(colour, (0, 0), 1.2)
    green = (3 * smooth[..., 1] - smooth.sum(axis=-1)) / np.maximum(smooth.sum(axis=-1), 30)
    cast = np.clip(np.percentile(green, 30), -LARGEST_CAST, LARGEST_CAST)
    return green - cast > EXCESS_GREEN


def _roughness(brightness: np.ndarray) -> np.ndarray:
    mean = cv2.boxFilter(brightness, -1, (5, 5))
    variance = cv2.boxFilter(brightness**2, -1, (5, 5)) - mean**2
    return cv2.GaussianBlur(np.sqrt(np.maximum(variance, 0)), (0, 0), 1.5) / np.maximum(mean, 25)


def _saturation(colour: np.ndarray) -> np.ndarray:
    return 1 - colour.min(axis=-1) / np.maximum(colour.max(axis=-1), 20)


def _wood(brightness: np.ndarray, vegetation: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """Mask [H, W] of trees and bushes: vegetation that is rough, or darker than lawns."""
    if not vegetation.any():
        return vegetation
    usual = np.median(brightness[vegetation])
    standing = rough / ROUGH_SHARE + 1.5 * np.clip(1 - brightness / usual, -0.3, 0.5) > 1.0
    mask = (vegetation & standing).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel) > 0


def _crowns(wood: np.ndarray, grid: RasterGrid) -> tuple[Crown, ...]:
    """Discs that fill the mask `wood` [H, W], largest first."""
    inside_m = cv2.distanceTransform(wood.astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing_m
    smooth = cv2.GaussianBlur(inside_m, (0, 0), 1.0)
    peak = (smooth == ndimage.maximum_filter(smooth, 5)) & (inside_m > CROWN_RADIUS_M[0])
    rows, columns = np.nonzero(peak)
    radius_m = np.minimum(inside_m[rows, columns], CROWN_RADIUS_M[1])
    order = np.argsort(-radius_m, kind="stable")
    xy_m = grid.xy_from_uv(np.stack([columns, rows], axis=1) + 0.5)
    taken = np.zeros((0, 3))
    for i in order:
        apart_m = np.hypot(taken[:, 0] - xy_m[i, 0], taken[:, 1] - xy_m[i, 1])
        if not (apart_m < 0.8 * taken[:, 2] + 0.4 * radius_m[i]).any():
            taken = np.vstack([taken, [*xy_m[i], radius_m[i]]])
    return tuple(Crown(float(x), float(y), float(radius)) for x, y, radius in taken)


def _roofs(photo, brightness, green, dark, grid: RasterGrid) -> tuple[Rectangle, ...]:
    """Even rectangles with a shadow on the photo's shadow side, or with the red or bright colour of roofs."""
    found = []
    for labels, count in _even_regions(photo, ~green & ~dark, grid):
        for number, box in enumerate(ndimage.find_objects(labels, count), start=1):
            region = labels[box] == number
            place = _rectangle(region, box, grid)
            if place is not None:
                found.append((place, _roof_colour(photo[box][region], brightness)))
    if not found:
        return ()
    shadow = np.array([_shadow_around(place, dark, grid) for place, _ in found])  # [N, directions]
    opposite = np.roll(shadow, shadow.shape[1] // 2, axis=1)
    contrast = shadow - opposite
    side = int(np.argmax(np.clip(contrast, 0, 1).sum(axis=0)))  # away from the sun, for the whole photo
    evidence = contrast[:, side] + [colour for _, colour in found]
    chosen: list[Rectangle] = []
    covered = np.zeros(dark.shape, bool)
    for i in np.argsort(-evidence, kind="stable"):
        mask = mask_of((found[i][0],), grid)
        if evidence[i] > ROOF_EVIDENCE and (covered & mask).sum() < 0.2 * mask.sum():
            chosen.append(found[i][0])
            covered |= mask
    return tuple(chosen)


def _even_regions(
    photo: np.ndarray, allowed: np.ndarray, grid: RasterGrid
) -> Iterator[tuple[np.ndarray, int]]:
    """Connected regions of a roof's area without steps of colour, for each limit: labels [H, W] from 1, and their
    number."""
    smooth = cv2.bilateralFilter(photo, 7, 28, 2.0).astype(np.float32)
    smooth = cv2.cvtColor(smooth / 255, cv2.COLOR_RGB2LAB)
    index = np.arange(allowed.size).reshape(allowed.shape)
    pixels, neighbours = (np.s_[1:], np.s_[:, 1:]), (np.s_[:-1], np.s_[:, :-1])
    pairs, steps = [], []
    for a, b in zip(pixels, neighbours, strict=True):
        both = allowed[a] & allowed[b]
        steps.append(np.abs(smooth[a] - smooth[b]).sum(axis=-1)[both])
        pairs.append(np.stack([index[a][both], index[b][both]]))
    step, (i, j) = np.concatenate(steps), np.concatenate(pairs, axis=1)
    for limit in ROOF_COLOUR_STEPS:
        joined = step < limit
        ones = np.ones(np.count_nonzero(joined), np.int8)
        graph = coo_array((ones, (i[joined], j[joined])), shape=(allowed.size, allowed.size))
        _, labels = connected_components(graph, directed=False)
        area_m2 = np.bincount(labels) * grid.spacing_m**2
        fits = (area_m2 > ROOF_AREA_M2[0]) & (area_m2 < ROOF_AREA_M2[1])
        number = np.where(fits, np.cumsum(fits), 0)
        yield np.where(allowed, number[labels].reshape(allowed.shape), 0), int(fits.sum())


def _rectangle(region: np.ndarray, box, grid: RasterGrid) -> Rectangle | None:
    """The rectangle that a region fills; None where it does not have the shape of a roof."""
    padded = np.pad(region.astype(np.uint8), 4)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    outline = max(contours, key=cv2.contourArea)
    (u, v), (length, width), angle_deg = cv2.minAreaRect(outline)
    sides_m = np.array([length + 1, width + 1]) * grid.spacing_m
    area_m2 = cv2.contourArea(outline) * grid.spacing_m**2
    if not ROOF_SIDE_M[0] < sides_m.min() <= sides_m.max() < ROOF_SIDE_M[1]:
        return None
    if area_m2 < ROOF_FILL * sides_m.prod() or sides_m.max() > 5 * sides_m.min():
        return None
    x, y = grid.xy_from_uv(np.array([u - 4 + box[1].start + 0.5, v - 4 + box[0].start + 0.5]))
    return Rectangle(float(x), float(y), float(-np.radians(angle_deg)), float(sides_m[0]), float(sides_m[1]))


def _roof_colour(pixels: np.ndarray, brightness: np.ndarray) -> float:
    """Similarity of a region's colour to roofs of tiles, or to white or metal ones, in [0, 0.7]."""
    red, green, blue = np.median(pixels, axis=0).astype(float)
    total = max(red + green + blue, 60.0)
    tiles = np.clip(((red - blue) / total - 0.1) / 0.12, 0, 1) * (red > green)
    bright = np.clip((total / 3 / max(float(np.median(brightness)), 40.0) - 1.3) / 0.5, 0, 1)
    return 0.7 * float(max(tiles * 0.7, bright))


def _shadow_around(place: Rectangle, dark: np.ndarray, grid: RasterGrid) -> np.ndarray:
    """Share of dark ground just outside the rectangle, in 16 directions."""
    along, one = np.linspace(-0.9, 0.9, 12), np.ones(12)
    sides = ((along, one), (along, -one), (one, along), (-one, along))
    outline = np.concatenate([np.stack(side, axis=1) for side in sides])
    normal = np.repeat([[0, 1], [0, -1], [1, 0], [-1, 0]], len(along), axis=0)
    half_m = np.array([place.length_m, place.width_m]) / 2
    at_m, outward = place.turned(outline * half_m) + (place.x_m, place.y_m), place.turned(normal)
    angles = np.arange(16) * 2 * np.pi / 16
    shares = []
    for direction in np.stack([np.cos(angles), np.sin(angles)], axis=1):
        facing = outward @ direction > 0.3
        seen = [
            _at(dark, at_m[facing] + reach_m * direction, grid) for reach_m in np.arange(*SHADOW_REACH_M, 0.4)
        ]
        shares.append(np.mean(seen))
    return np.array(shares)


def _at(mask: np.ndarray, xy_m: np.ndarray, grid: RasterGrid) -> np.ndarray:
    u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int).T
    return mask[np.clip(v, 0, grid.rows - 1), np.clip(u, 0, grid.columns - 1)]


def _cars(colour: np.ndarray, free: np.ndarray, grid: RasterGrid) -> tuple[Rectangle, ...]:
    """Blobs of a car's size that differ from the ground around them."""
    background = cv2.medianBlur(colour.astype(np.uint8), 31).astype(np.float32)
    unlike = (np.abs(colour - background).max(axis=-1) > CAR_CONTRAST) & free
    mask = cv2.morphologyEx(unlike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    labels, count = ndimage.label(mask)
    cars = []
    for number, box in enumerate(ndimage.find_objects(labels, count), start=1):
        if max(side.stop - side.start for side in box) * grid.spacing_m > 1.2 * CAR_LENGTH_M[1]:
            continue
        rows, columns = np.nonzero(labels[box] == number)
        points = np.stack([columns + box[1].start, rows + box[0].start], axis=1).astype(np.float32)
        (u, v), sides, angle_deg = cv2.minAreaRect(points)
        length, width = (np.array(sides) + 1) * grid.spacing_m
        yaw_rad = -np.radians(angle_deg)
        if length < width:
            length, width, yaw_rad = width, length, yaw_rad + np.pi / 2
        fits = CAR_LENGTH_M[0] < length < CAR_LENGTH_M[1] and CAR_WIDTH_M[0] < width < CAR_WIDTH_M[1]
        if fits and len(points) * grid.spacing_m**2 > 0.6 * length * width:
            x, y = grid.xy_from_uv(np.array([u + 0.5, v + 0.5]))
            cars.append(Rectangle(float(x), float(y), float(yaw_rad), float(length), float(width)))
    return tuple(cars)
