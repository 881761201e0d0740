"""Descriptors of the map's cells on a part of the lattice, and the mosaic that joins them from overlapping blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.grid import RasterGrid


@dataclass(frozen=True)
class AerialDescriptors:
    """Descriptors [rows * columns, D] of the cells of `grid`; zero where `valid` [rows * columns] is False.

    `problems` names parts of the map that may exist but could not be read.
    """

    descriptor: np.ndarray
    valid: np.ndarray
    grid: RasterGrid
    problems: tuple[str, ...] = ()

    def covered(self, x_m: float, y_m: float, radius_m: float) -> float:
        """Share of the disc around (x, y) that imagery covers, in [0, 1]; cells off the grid are not counted."""
        offset_m = self.grid.cell_centres_xy_m - (x_m, y_m)
        inside = np.hypot(*offset_m.T) <= max(radius_m, self.grid.spacing_m)
        return float(self.valid[inside].mean()) if inside.any() else 0.0

    def around(self, x_m: float, y_m: float, half_extent_m: float) -> AerialDescriptors:
        """The part within ± half_extent_m of (x, y), or the whole where that square covers the grid or misses it."""
        grid, cell_m = self.grid, self.grid.spacing_m
        left = (x_m - half_extent_m - grid.west_m) / cell_m
        top = (grid.north_m - y_m - half_extent_m) / cell_m
        side = 2 * half_extent_m / cell_m
        columns = slice(max(0, math.floor(left)), min(grid.columns, math.ceil(left + side)))
        rows = slice(max(0, math.floor(top)), min(grid.rows, math.ceil(top + side)))
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if shape == (grid.rows, grid.columns) or min(shape) <= 0:
            return self
        by_cell = self.descriptor.reshape(grid.rows, grid.columns, -1)[rows, columns]
        return AerialDescriptors(
            np.ascontiguousarray(by_cell).reshape(shape[0] * shape[1], -1),
            self.valid.reshape(grid.rows, grid.columns)[rows, columns].ravel(),
            RasterGrid(
                grid.west_m + columns.start * cell_m, grid.north_m - rows.start * cell_m, cell_m, *shape
            ),
            self.problems,
        )


@dataclass(frozen=True)
class Block:
    """A square of the lattice, encoded as one image."""

    descriptor: np.ndarray | None  # [cells, cells, D], None where there is too little imagery
    valid: np.ndarray  # [cells, cells]
    problems: tuple[str, ...]


class Mosaic:
    """A window of the lattice, joined from overlapping blocks.

    Each cell is taken from the block in which it lies most centrally, since that block shows most of its surroundings.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self._rows, self._columns = rows, columns  # of the lattice
        self.valid = np.zeros((len(rows), len(columns)), dtype=bool)
        self.descriptor: np.ndarray | None = None  # [rows, columns, D], None until a block has imagery
        self._centrality = np.full(self.valid.shape, -np.inf)

    def add(self, block: Block, first_row: int, first_column: int) -> None:
        """Take the cells of a block, whose first one lies at this row and column of the lattice."""
        if block.descriptor is None:
            return
        row, column = self._rows - first_row, self._columns - first_column
        size = len(block.valid)
        inside_r, inside_c = (row >= 0) & (row < size), (column >= 0) & (column < size)
        target = np.ix_(inside_r, inside_c)
        taken = np.ix_(row[inside_r], column[inside_c])
        centrality = np.minimum.outer(
            np.minimum(row[inside_r], size - 1 - row[inside_r]),
            np.minimum(column[inside_c], size - 1 - column[inside_c]),
        ).astype(float)
        centrality[~block.valid[taken]] = -np.inf
        better = centrality > self._centrality[target]
        if self.descriptor is None:
            self.descriptor = np.zeros((*self.valid.shape, block.descriptor.shape[-1]), dtype=np.float32)
        self.descriptor[target] = np.where(
            better[..., None], block.descriptor[taken], self.descriptor[target]
        )
        self.valid[target] |= better
        self._centrality[target] = np.maximum(self._centrality[target], centrality)

    def by_cell(self) -> np.ndarray:
        """Descriptors [cells, D] in row-major order; D is 1 where no block has imagery."""
        if self.descriptor is None:
            return np.zeros((self.valid.size, 1), dtype=np.float32)
        return self.descriptor.reshape(self.valid.size, -1)
