"""Refinement of poses: every ground cell is softly assigned to the aerial cells near its predicted position."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.similarity import procrustes_with_offset

WINDOW_CELLS = 2  # width of the assignment's window on either side of the predicted cell
# Standard deviations of the kernel by iteration, cells: at first wide enough for the error of the coarse search.
KERNEL_CELLS = (1.6, 1.2, 0.8, 0.8)
COARSE_GROUND_CELLS = 300  # about as many ground cells are used until the last iteration, which uses all


def refine(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, scale_bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate soft assignment and weighted Procrustes on the poses (a, t) [H].

    A pose without matches nearby does not change.
    """
    stride = max(1, len(evidence.lifted) // COARSE_GROUND_CELLS)
    few = evidence.take(np.arange(0, len(evidence.lifted), stride))
    *coarse, last = KERNEL_CELLS
    for cells, kernel_cells in [*((few, width) for width in coarse), (evidence, last)]:
        target, weight = soft_assignment(cells, a, t, kernel_cells)
        refined_a, refined_t = procrustes_with_offset(
            cells.lifted, cells.offset, target, weight * cells.weight, np.abs(a), scale_bounds
        )
        matched = np.isfinite(refined_a)
        a, t = np.where(matched, refined_a, a), np.where(matched, refined_t, t)
    return a, t


def soft_assignment(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, kernel_cells: float
) -> tuple[np.ndarray, np.ndarray]:
    """The point near its predicted position at which each ground cell matches under each pose, and the weight.

    With k a normalised Gaussian about the predicted position and e = max(pi (p M - 1), 0) the evidence in
    excess of chance: target [H, N] (complex, map) = sum k e q / sum k e, weight = sum k e / (1 + sum k e).
    """
    column, row = evidence.raster_coordinates(a, t)
    padded_rows, padded_columns = evidence.excess.shape[1:]
    centre_column = np.clip(np.rint(column), WINDOW_CELLS, padded_columns - 1 - WINDOW_CELLS)
    centre_row = np.clip(np.rint(row), WINDOW_CELLS, padded_rows - 1 - WINDOW_CELLS)
    k_column, k_row = (
        _kernel(centre - at, kernel_cells) for centre, at in ((centre_column, column), (centre_row, row))
    )
    corner = (centre_row.astype(np.int32) - WINDOW_CELLS) * padded_columns
    corner += centre_column.astype(np.int32) - WINDOW_CELLS
    corner += evidence.raster_start

    flat = evidence.excess.ravel()
    total, d_column, d_row = (np.zeros_like(column) for _ in range(3))
    for i, row_share in enumerate(k_row):
        in_row, moment = np.zeros_like(total), np.zeros_like(total)
        for j, column_share in enumerate(k_column):
            mass = flat.take(corner + (i * padded_columns + j))
            np.maximum(mass, 0.0, out=mass)
            mass *= column_share
            in_row += mass
            mass *= j - WINDOW_CELLS
            moment += mass
        in_row *= row_share
        total += in_row
        d_column += moment * row_share
        d_row += in_row * (i - WINDOW_CELLS)
    divisor = np.where(total > 0, total, 1.0)
    target = evidence.map_points(centre_column + d_column / divisor, centre_row + d_row / divisor)
    return target.T, (total / (1 + total)).astype(np.float64).T


def _kernel(middle: np.ndarray, kernel_cells: float) -> list[np.ndarray]:
    """Shares of the window's columns (or rows), which sum to one; `middle` is the middle one minus the prediction."""
    exponent = np.float32(-0.5 / kernel_cells**2)
    shares = [np.exp(exponent * (middle + step) ** 2) for step in range(-WINDOW_CELLS, WINDOW_CELLS + 1)]
    total = sum(shares)
    return [share / total for share in shares]
