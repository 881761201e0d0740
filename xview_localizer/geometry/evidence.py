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

# Of neutral cells around the aerial grid, so that interpolation and windows need no special case.
MARGIN_CELLS = 4
# A single ground cell, however sure of itself, must not veto a pose.
MAX_INLIER_PROBABILITY = 0.99


@dataclass(frozen=True)
class Evidence:
    """A match field prepared for looking up many poses.

    `excess` [N, rows + 2 margin, columns + 2 margin] is pi * (p * M - 1), the part of the likelihood ratio
    (against "the match is uniform") that depends on the pose. It is 0 outside the grid: nothing was
    looked at there, so a cell sent outside is evidence neither for nor against a pose.
    """

    lifted: np.ndarray  # [N] complex, level frame
    offset: np.ndarray  # [N] complex, level frame
    weight: np.ndarray  # [N]
    current: np.ndarray  # [N] bool
    overlap_discount: float
    inlier_probability: np.ndarray  # [N] float32
    excess: np.ndarray  # float32
    grid: RasterGrid

    @classmethod
    def of(cls, field: MatchField, cells: np.ndarray) -> Evidence:
        """Evidence of the ground cells in the mask `cells` [N]."""
        rows, columns, margin = field.grid.rows, field.grid.columns, MARGIN_CELLS
        probability = np.minimum(field.inlier_probability[cells], MAX_INLIER_PROBABILITY).astype(np.float32)
        # Nearly always every cell is usable, and indexing by the mask would copy the field.
        log_likelihood = field.log_likelihood if cells.all() else field.log_likelihood[cells]
        ratio = np.exp(np.asarray(log_likelihood, dtype=np.float32) + np.float32(np.log(rows * columns)))
        ratio -= 1
        ratio *= probability[:, None]
        excess = np.zeros((len(ratio), rows + 2 * margin, columns + 2 * margin), dtype=np.float32)
        excess[:, margin:-margin, margin:-margin] = ratio.reshape(-1, rows, columns)
        return cls(
            as_complex(field.lifted_xy_m[cells]),
            as_complex(field.offset_xy_m[cells]),
            np.asarray(field.weight, dtype=np.float64)[cells],
            field.current[cells],
            field.overlap_discount,
            probability,
            excess,
            field.grid,
        )

    def take(self, cells: np.ndarray) -> Evidence:
        """The evidence of some ground cells (indices or mask)."""
        return Evidence(
            self.lifted[cells],
            self.offset[cells],
            self.weight[cells],
            self.current[cells],
            self.overlap_discount,
            self.inlier_probability[cells],
            self.excess[cells],
            self.grid,
        )

    @property
    def inside(self) -> np.ndarray:
        """`excess` [N, rows, columns] without the neutral border."""
        return self.excess[:, MARGIN_CELLS:-MARGIN_CELLS, MARGIN_CELLS:-MARGIN_CELLS]

    def points(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Where the poses (a, t) [H] send the ground cells: complex [H, N], `map`."""
        return a[:, None] * self.lifted + (a / np.abs(a))[:, None] * self.offset + t[:, None]

    def cell_coordinates(self, map_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Complex `map` points to (column, row) in the padded raster; cell centres at whole numbers.

        Points far outside are moved to the neutral border.
        """
        grid, margin = self.grid, MARGIN_CELLS
        column = (map_points.real - grid.west_m) / grid.spacing_m + (margin - 0.5)
        row = (grid.north_m - map_points.imag) / grid.spacing_m + (margin - 0.5)
        last_row, last_column = np.subtract(self.excess.shape[1:], 1)
        return np.clip(column, 0, last_column), np.clip(row, 0, last_row)

    def map_points(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The inverse of `cell_coordinates` (complex, float64)."""
        grid, margin = self.grid, MARGIN_CELLS
        x_m = grid.west_m + (column - (margin - 0.5)) * grid.spacing_m
        return x_m + 1j * (grid.north_m - (row - (margin - 0.5)) * grid.spacing_m)

    def cell_log_ratios(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """log(pi p M + 1 - pi) [H, N] of every ground cell under each of H poses; float32."""
        column, row = self.cell_coordinates(self.points(a, t))
        padded_rows, padded_columns = self.excess.shape[1:]
        left = np.minimum(column.astype(np.int32), padded_columns - 2)
        top = np.minimum(row.astype(np.int32), padded_rows - 2)
        right_share = (column - left).astype(np.float32)
        bottom_share = (row - top).astype(np.float32)
        index = top * padded_columns + left
        index += np.arange(len(self.lifted), dtype=np.int32) * (padded_rows * padded_columns)
        flat = self.excess.ravel()
        upper = flat.take(index) * (1 - right_share)
        upper += flat.take(index + 1) * right_share
        index += padded_columns
        lower = flat.take(index) * (1 - right_share)
        lower += flat.take(index + 1) * right_share
        lower -= upper
        lower *= bottom_share
        return np.log1p(upper + lower)

    def score(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Weighted sum of the log ratios [H] over all ground cells."""
        return self.cell_log_ratios(a, t).astype(np.float64) @ self.weight
