"""The ground of the street families: patches of patterns, unevenness, repairs, and paint that ages."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.simulation.elements import Patch, Stroke
from xview_localizer.simulation.ground import SUBPIXEL_BITS, TEXEL_M, Ground, Surface
from xview_localizer.simulation.layout import Layout, Street
from xview_localizer.simulation.textures import GREEN_PATTERNS, make_tiles

_COARSE = 8  # unevenness over metres is drawn on a raster this much coarser


def paint_family_grounds(rng: np.random.Generator, layout: Layout) -> tuple[Ground, Ground]:
    """The ground as seen from the street and, in another year, from the air, where paint has worn or was renewed."""
    side = int(round(layout.size_m / TEXEL_M))
    raster = _Raster(RasterGrid.centred(0.0, 0.0, TEXEL_M, side, side), make_tiles(rng))
    elements = layout.elements
    for patch in elements.patches:
        raster.lay(patch)
    _add_unevenness(rng, raster.albedo, layout.style.roughness)
    for street in layout.streets:
        _repairs(rng, raster, street, layout.style.irregularity)
    base = raster.albedo
    wear = layout.style.wear
    grounds = []
    for _ in ("street", "air"):
        raster.albedo = base.copy()
        _paint(rng, raster, elements.strokes, wear)
        wear = float(np.clip(wear + rng.normal(0, 0.25), 0.0, 0.9))
        grounds.append(Ground(raster.albedo, raster.surface, raster.grid))
    return grounds[0], grounds[1]


class _Raster:
    """Rasters of colour and surface on which the ground is drawn."""

    def __init__(self, grid: RasterGrid, tiles: dict[str, np.ndarray]) -> None:
        self.grid, self.tiles = grid, tiles
        self.albedo = np.zeros((grid.rows, grid.columns, 3), np.uint8)
        self.surface = np.zeros((grid.rows, grid.columns), np.uint8)

    def pixels(self, xy_m: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] (column, row; centres at whole numbers) of points [N, 2] in metres."""
        return self.grid.uv_from_xy(np.asarray(xy_m, float)) - 0.5

    def window(self, pixels: np.ndarray, margin_px: float) -> tuple[slice, slice] | None:
        """Rows and columns around pixels [N, 2]; None where they lie outside."""
        low = np.floor(pixels.min(axis=0) - margin_px).astype(int).clip(0)
        high = np.ceil(pixels.max(axis=0) + margin_px + 1).astype(int)
        high = np.minimum(high, (self.grid.columns, self.grid.rows))
        return None if (high <= low).any() else (slice(low[1], high[1]), slice(low[0], high[0]))

    def mask(self, pixels: np.ndarray, window: tuple[slice, slice], width_px: float = 0.0) -> np.ndarray:
        """Boolean mask of a polygon, or of a line of `width_px`, in a window."""
        mask = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), np.uint8)
        fixed = np.round((pixels - (window[1].start, window[0].start)) * 2**SUBPIXEL_BITS).astype(np.int32)
        if width_px:
            cv2.polylines(mask, [fixed], False, 1, max(1, round(width_px)), cv2.LINE_8, SUBPIXEL_BITS)
        else:
            cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, SUBPIXEL_BITS)
        return mask.view(bool)

    def lay(self, patch: Patch) -> None:
        """Draw the patch's pattern in its colour, and mark what kind of surface it is."""
        pixels = self.pixels(patch.polygon_xy_m)
        window = self.window(pixels, 1)
        if window is None:
            return
        mask = self.mask(pixels, window)
        cos, sin = np.cos(patch.yaw_rad), np.sin(patch.yaw_rad)
        # Rows run down while y runs up, so the pattern turns the other way.
        turn = np.array([[cos, -sin], [sin, cos]])
        start = turn @ (window[1].start, window[0].start)
        tile = cv2.warpAffine(
            self.tiles[patch.pattern], np.column_stack([turn, start]), mask.shape[::-1],
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_WRAP,
        )  # fmt: skip
        channels = [cv2.convertScaleAbs(tile, alpha=patch.contrast, beta=float(tone)) for tone in patch.rgb]
        cv2.copyTo(cv2.merge(channels), mask.view(np.uint8), self.albedo[window])
        self.surface[window][mask] = _surface_of(patch)


def _surface_of(patch: Patch) -> Surface:
    """Only carriageways wear, and they count as asphalt whatever their pattern."""
    if patch.pattern in GREEN_PATTERNS:
        return Surface.GRASS
    return Surface.ASPHALT if patch.wear else Surface.PAVEMENT


def _add_unevenness(rng: np.random.Generator, albedo: np.ndarray, roughness: float) -> None:
    """Add brighter and darker areas some metres across, over all surfaces."""
    rows, columns = albedo.shape[:2]
    coarse = np.zeros((rows // _COARSE + 1, columns // _COARSE + 1), np.float32)
    for wavelength_m in (30, 10, 3, 1):
        count = max(2, int(rows * TEXEL_M / wavelength_m) + 2)
        field = rng.standard_normal((count, count), dtype=np.float32)
        coarse += cv2.resize(field, coarse.shape[::-1], interpolation=cv2.INTER_CUBIC)
    tone = np.clip(128 + 4.5 * roughness * coarse, 0, 255).astype(np.uint8)
    tone = cv2.resize(tone, (columns, rows), interpolation=cv2.INTER_LINEAR)
    cv2.addWeighted(albedo, 1.0, cv2.merge([tone] * 3), 1.0, -128.0, dst=albedo)


def _repairs(rng: np.random.Generator, raster: _Raster, street: Street, amount: float) -> None:
    """Draw trenches, patches, cracks, manholes, oil and tyre tracks on the carriageway."""
    n = len(street.line_xy_m)
    half_m = street.width_m / 2

    def darken(xy_m: np.ndarray, width_m: float, change: float) -> None:
        pixels = raster.pixels(xy_m)
        window = raster.window(pixels, width_m / TEXEL_M)
        if window is not None:
            mask = raster.mask(pixels, window, width_m / TEXEL_M)
            mask &= raster.surface[window] == Surface.ASPHALT
            area = raster.albedo[window]
            area[mask] = np.clip(area[mask].astype(np.int16) + int(change), 4, 250)

    def piece(longest_m: float) -> np.ndarray:
        i = int(rng.integers(0, n - 4))
        return street.offset(rng.uniform(-0.9, 0.9) * half_m)[i : i + int(rng.uniform(2, longest_m))]

    for lateral in (-0.55, -0.2, 0.2, 0.55):  # tyre tracks
        for i in range(0, n - 10, 9):
            darken(street.offset(lateral * half_m)[i : i + 10], 0.55, rng.normal(-1, 4))
    for _ in range(round(amount * n / 18)):  # patches along the road
        darken(piece(18), rng.uniform(0.4, 2.4), rng.normal(-4, 17))
    for _ in range(round(amount * n / 14)):
        crack = piece(12)
        darken(crack + np.cumsum(rng.normal(0, 0.15, crack.shape), axis=0), 0.07, rng.uniform(-45, -20))
    for _ in range(round(amount * n / 25)):  # trenches across
        i = int(rng.integers(1, n - 1))
        reach = rng.uniform(-half_m, half_m, 2)
        darken(
            street.line_xy_m[i] + reach[:, None] * street.left[i], rng.uniform(0.4, 1.2), rng.normal(-8, 16)
        )
    for _ in range(round(amount * n / 12)):  # manholes, drains, stains
        at = piece(3)[0]
        angle = np.linspace(0, 2 * np.pi, 12)
        darken(at + 0.2 * np.column_stack([np.cos(angle), np.sin(angle)]), 0.4, rng.choice([-45, -30, 25]))


def _paint(rng: np.random.Generator, raster: _Raster, strokes: tuple[Stroke, ...], wear: float) -> None:
    """Draw strokes, each with its own strength; some are left out as worn off."""
    gone = 0.02 + 0.15 * wear
    speckle = raster.tiles["gravel"] > np.interp(wear, [0, 1], [2.2, -0.2])
    for stroke in strokes:
        strength = rng.uniform(0.65, 0.95) * (1 - 0.4 * wear)
        if rng.random() < gone:
            continue
        pixels = raster.pixels(stroke.xy_m)
        window = raster.window(pixels, stroke.width_m / TEXEL_M + 1)
        if window is None:
            continue
        mask = raster.mask(pixels, window, stroke.width_m / TEXEL_M)
        rows, columns = np.nonzero(mask)
        rows, columns = rows + window[0].start, columns + window[1].start
        worn = speckle[rows % len(speckle), columns % len(speckle)]
        share = np.where(worn, 0.25 * strength, strength)[:, None]
        below = raster.albedo[rows, columns]
        raster.albedo[rows, columns] = (1 - share) * below + share * np.asarray(stroke.rgb)
