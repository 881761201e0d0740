"""Boxes in metres and north-up rasters; RasterGrid alone converts between cells `uv` and metres `xy`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUNDING_CELLS = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Axis-aligned box in the local ENU frame, metres."""

    west_m: float
    south_m: float
    east_m: float
    north_m: float

    def __post_init__(self) -> None:
        edges = (self.west_m, self.south_m, self.east_m, self.north_m)
        if not np.all(np.isfinite(edges)) or self.east_m <= self.west_m or self.north_m <= self.south_m:
            raise ValueError(f"bounds must be finite and non-empty, got (west, south, east, north) = {edges}")

    @classmethod
    def around(cls, x_m: float, y_m: float, half_extent_m: float) -> Bounds:
        """Square of side `2 * half_extent_m` centred on (x, y)."""
        return cls(x_m - half_extent_m, y_m - half_extent_m, x_m + half_extent_m, y_m + half_extent_m)

    @property
    def width_m(self) -> float:
        return self.east_m - self.west_m

    @property
    def height_m(self) -> float:
        return self.north_m - self.south_m

    def contains(self, xy_m: np.ndarray) -> np.ndarray:
        """Mask [...] of the points `xy_m` [..., 2] that lie inside."""
        x_m, y_m = np.moveaxis(np.asarray(xy_m, dtype=np.float64), -1, 0)
        return (x_m >= self.west_m) & (x_m <= self.east_m) & (y_m >= self.south_m) & (y_m <= self.north_m)


@dataclass(frozen=True)
class RasterGrid:
    """A north-up grid of square cells: an image's pixels, or the aerial descriptor cells.

    Row 0 is the northernmost, column 0 the westernmost. In `uv` (u right, v down, in cells)
    the centre of cell (row r, column c) is (c + 0.5, r + 0.5).
    """

    west_m: float
    north_m: float
    spacing_m: float
    rows: int
    columns: int

    @classmethod
    def centred(cls, x_m: float, y_m: float, spacing_m: float, rows: int, columns: int) -> RasterGrid:
        """Grid whose middle lies at (x, y)."""
        return cls(x_m - columns * spacing_m / 2, y_m + rows * spacing_m / 2, spacing_m, rows, columns)

    @classmethod
    def covering(cls, bounds: Bounds, spacing_m: float) -> RasterGrid:
        """The smallest grid from the north-west corner of `bounds` that covers it."""
        # What rounding adds to a whole number of cells is no further row or column.
        rows = int(np.ceil(bounds.height_m / spacing_m - ROUNDING_CELLS))
        columns = int(np.ceil(bounds.width_m / spacing_m - ROUNDING_CELLS))
        return cls(bounds.west_m, bounds.north_m, spacing_m, rows, columns)

    @property
    def bounds(self) -> Bounds:
        return Bounds(
            self.west_m,
            self.north_m - self.rows * self.spacing_m,
            self.west_m + self.columns * self.spacing_m,
            self.north_m,
        )

    @property
    def cell_centres_xy_m(self) -> np.ndarray:
        """Cell centres [rows * columns, 2] in row-major order, metres."""
        v, u = np.mgrid[0 : self.rows, 0 : self.columns] + 0.5
        return self.xy_from_uv(np.stack([u.ravel(), v.ravel()], axis=-1))

    def uv_from_xy(self, xy_m: np.ndarray) -> np.ndarray:
        """Metres [..., 2] to cells [..., 2] (u right, v down)."""
        xy_m = np.asarray(xy_m, dtype=np.float64)
        return np.stack([xy_m[..., 0] - self.west_m, self.north_m - xy_m[..., 1]], axis=-1) / self.spacing_m

    def xy_from_uv(self, uv: np.ndarray) -> np.ndarray:
        """Cells [..., 2] (u right, v down) to metres [..., 2]."""
        uv = np.asarray(uv, dtype=np.float64) * self.spacing_m
        return np.stack([self.west_m + uv[..., 0], self.north_m - uv[..., 1]], axis=-1)
