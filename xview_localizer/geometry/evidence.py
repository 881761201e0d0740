"""The likelihood of poses under a match field: all ground cells, bilinear in the aerial grid.

Poses come as two complex arrays (a, t) with a = scale * e^{i yaw}: a lifted ground point p, seen from a camera at
the offset o in the level frame, lies at a p + e^{i yaw} o + t in `map`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.similarity import as_complex

# Width of the border of neutral cells around the aerial grid, which saves special cases in interpolation and windows. A
# whole window of soft_assignment.py fits in, so that a point outside, moved to the border, reaches no cell of the grid.
MARGIN_CELLS = 5
# A single ground cell, however certain its match, must not rule out a pose.
MAX_INLIER_PROBABILITY = 0.99
EDGE_CELLS = np.float32(1e-3)  # distance kept from the padded raster's last row and column, for interpolation
CELLS_AT_ONCE = 64  # ground cells processed together: few enough to stay in a core's cache


@dataclass(frozen=True)
class Evidence:
    """A match field prepared for looking up many poses.

    `excess` [K, rows + 2 margin, columns + 2 margin] is pi * (p * M - 1), the part of the likelihood ratio
    (against "the match is uniform") that depends on the pose. It is 0 outside the grid, which was not
    searched, so a cell sent outside is evidence neither for nor against a pose.
    """

    lifted: np.ndarray  # [N] complex, level frame
    offset: np.ndarray  # [N] complex, level frame
    weight: np.ndarray  # [N], see MatchField, as for the next two
    place_weight: np.ndarray  # [N]
    current: np.ndarray  # [N] bool
    overlap_discount: float
    inlier_probability: np.ndarray  # [N] float32
    excess: np.ndarray  # float32
    raster: np.ndarray  # [N] int32, index of each ground cell's raster in `excess`
    peak: np.ndarray  # [N] float32, the greatest excess of each cell within the grid; NaN if any is
    grid: RasterGrid

    @classmethod
    def from_field(cls, field: MatchField, cells: np.ndarray) -> Evidence:
        """Evidence of the ground cells in the mask `cells` [N]."""
        rows, columns, margin = field.grid.rows, field.grid.columns, MARGIN_CELLS
        probability = np.minimum(field.inlier_probability[cells], MAX_INLIER_PROBABILITY).astype(np.float32)
        excess = np.zeros((len(probability), rows + 2 * margin, columns + 2 * margin), dtype=np.float32)
        peak = np.empty(len(probability), dtype=np.float32)
        inside = excess[:, margin:-margin, margin:-margin]
        chosen = np.flatnonzero(cells)
        for first in range(0, len(chosen), CELLS_AT_ONCE):
            part = slice(first, first + CELLS_AT_ONCE)
            ratio = field.likelihood_ratio[chosen[part]] - np.float32(1)
            ratio *= probability[part, None]
            peak[part] = ratio.max(axis=1)
            inside[part] = ratio.reshape(-1, rows, columns)
        return cls(
            as_complex(field.lifted_xy_m[cells]),
            as_complex(field.offset_xy_m[cells]),
            np.asarray(field.weight, dtype=np.float64)[cells],
            np.asarray(field.place_weight, dtype=np.float64)[cells],
            field.current[cells],
            field.overlap_discount,
            probability,
            excess,
            np.arange(len(probability), dtype=np.int32),
            peak,
            field.grid,
        )

    def take(self, cells: np.ndarray) -> Evidence:
        """The evidence of some ground cells (indices or mask); the rasters are shared, not copied."""
        return Evidence(
            self.lifted[cells],
            self.offset[cells],
            self.weight[cells],
            self.place_weight[cells],
            self.current[cells],
            self.overlap_discount,
            self.inlier_probability[cells],
            self.excess,
            self.raster[cells],
            self.peak[cells],
            self.grid,
        )

    @property
    def inside(self) -> np.ndarray:
        """The ground cells' rasters [N, rows, columns] without the neutral border; a copy."""
        return self.excess[self.raster, MARGIN_CELLS:-MARGIN_CELLS, MARGIN_CELLS:-MARGIN_CELLS]

    @property
    def raster_start(self) -> np.ndarray:
        """Index [N, 1] in the flattened `excess` at which each ground cell's raster begins."""
        return (self.raster * np.int32(self.excess.shape[1] * self.excess.shape[2]))[:, None]

    def points(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Complex points [H, N] in `map` to which the poses (a, t) [H] send the ground cells."""
        return a[:, None] * self.lifted + (a / np.abs(a))[:, None] * self.offset + t[:, None]

    def map_points(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Complex `map` points (float64) of padded raster coordinates: the inverse of `raster_coordinates`."""
        grid, margin = self.grid, MARGIN_CELLS
        x_m = grid.west_m + (column - (margin - 0.5)) * grid.spacing_m
        return x_m + 1j * (grid.north_m - (row - (margin - 0.5)) * grid.spacing_m)

    def cell_log_ratios(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """log(pi p M + 1 - pi) [H, N] of every ground cell under each of H poses; float32."""
        return self._log_ratios_by_cell(a, t).T

    def score(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Weighted sum of the log ratios [H] over all ground cells."""
        log_ratios = self._log_ratios_by_cell(a, t)
        log_ratios *= self.weight.astype(np.float32)[:, None]
        return log_ratios.sum(axis=0, dtype=np.float64)

    def _log_ratios_by_cell(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """`cell_log_ratios` as [N, H], an order in which successive poses read the same part of a cell's raster."""
        column, row = self.raster_coordinates(a, t)
        stride = self.excess.shape[2]
        index, top = column.astype(np.int32), row.astype(np.int32)
        column -= index
        row -= top
        top *= stride
        index += top
        index += self.raster_start
        flat = self.excess.ravel()
        upper, lower = flat.take(index), flat.take(index + stride)
        index += 1
        upper += (flat.take(index) - upper) * column
        index += stride
        lower += (flat.take(index) - lower) * column
        lower -= upper
        lower *= row
        upper += lower
        return np.log1p(upper, out=upper)

    def raster_coordinates(self, a: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(column, row) [N, H] in the padded raster to which the poses (a, t) [H] send the ground cells; float32.

        Cell centres lie at whole numbers; points outside are moved to the neutral border. Differences to the grid's
        corner are taken in float64, so that a float32 is good to 0.1 mm.
        """
        grid, (_, rows, columns) = self.grid, self.excess.shape
        corner = complex(grid.west_m, grid.north_m)
        per_cell = 1 / grid.spacing_m
        lifted, offset = (points.astype(np.complex64)[:, None] for points in (self.lifted, self.offset))
        points = lifted * (per_cell * a).astype(np.complex64)
        points += offset * (per_cell * a / np.abs(a)).astype(np.complex64)
        points += (per_cell * (t - corner) + (1 - 1j) * (MARGIN_CELLS - 0.5)).astype(np.complex64)
        column, row = points.real, -points.imag
        return np.clip(column, 0, columns - 1 - EDGE_CELLS), np.clip(row, 0, rows - 1 - EDGE_CELLS)
