"""Projection of a whole raster of rays: exact on a coarse lattice, interpolated in between where it is smooth.

A camera's projection is nearly linear over a few pixels. It is computed for every 4th pixel in both directions. A
square of the lattice is interpolated where the error in its middle is below `TOLERANCE_PX`, and projected pixel by
pixel elsewhere: at the image's border, at the seam of a panorama, below the camera.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xview_localizer.geometry.camera import CameraModel

STEP_PX = 4  # even, so that squares of the lattice begin at whole pixels
TOLERANCE_PX = 0.05  # of the camera image; the interpolation's error is greatest in a square's middle

# (columns [N], rows [N]) of a raster, pixel centres at +0.5, to rays [N, 3] in the optical frame, of any length.
RaysAt = Callable[[np.ndarray, np.ndarray], np.ndarray]


def project_raster(
    camera: CameraModel, rays_at: RaysAt, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Camera pixels [rows, columns, 2] (float32) of a raster's pixels, and the mask [rows, columns] of those seen.

    Unseen pixels are 0. Each of the two planes is contiguous.
    """
    # Lattice points at the centres of blocks of STEP_PX, one block beyond the raster on every side.
    row_centres, column_centres = (STEP_PX * (np.arange(-(-n // STEP_PX) + 2) - 0.5) for n in (rows, columns))
    lattice, seen = _project_grid(camera, rays_at, row_centres, column_centres)
    middle, middle_seen = _project_grid(
        camera, rays_at, row_centres[:-1] + STEP_PX / 2, column_centres[:-1] + STEP_PX / 2
    )
    corners_seen = [seen[i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
    error_px = np.abs(_middles(lattice) - middle).max(axis=0)
    smooth = np.logical_and.reduce([*corners_seen, middle_seen, error_px <= TOLERANCE_PX])
    rough = np.logical_or.reduce([*corners_seen, middle_seen]) & ~smooth

    uv = _interpolated(lattice, rows, columns)
    valid = _by_pixel(smooth, rows, columns)
    uv *= valid
    row, column = np.nonzero(_by_pixel(rough, rows, columns))
    exact, exact_seen = camera.project(rays_at(column + 0.5, row + 0.5))
    uv[:, row, column] = np.where(exact_seen, exact.T, 0.0)
    valid[row, column] = exact_seen
    return np.moveaxis(uv, 0, -1), valid


def _project_grid(
    camera: CameraModel, rays_at: RaysAt, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [2, R, C], 0 where unseen, and the mask [R, C] of the points of a grid."""
    row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    uv, seen = camera.project(rays_at(column, row))
    shape = (len(rows), len(columns))
    return np.where(seen, uv.T, 0.0).reshape(2, *shape), seen.reshape(shape)


def _middles(lattice: np.ndarray) -> np.ndarray:
    """The interpolated value in the middle of every square, [2, R - 1, C - 1] of [2, R, C]."""
    across = lattice[:, :, 1:] + lattice[:, :, :-1]
    return (across[:, 1:] + across[:, :-1]) / 4


def _interpolated(lattice: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The lattice [2, R, C] at the raster's pixels, float32 [2, rows, columns].

    Matrix products would be slower on a busy robot, because linear algebra libraries wait for all cores.
    """
    columns_first = np.ascontiguousarray(lattice.swapaxes(1, 2), dtype=np.float32)
    by_column = np.ascontiguousarray(_refined(columns_first, columns).swapaxes(1, 2))
    return _refined(by_column, rows)


def _refined(lattice: np.ndarray, pixels: int) -> np.ndarray:
    """Linear interpolation of [2, R, C] along R at `pixels` pixel centres: [2, pixels, C]."""
    share = ((np.arange(STEP_PX, dtype=np.float32) + 0.5) / STEP_PX)[:, None]
    fine = (lattice[:, 1:] - lattice[:, :-1])[:, :, None] * share
    fine += lattice[:, :-1, None]
    half = STEP_PX // 2
    return fine.reshape(2, -1, lattice.shape[2])[:, half : half + pixels]


def _by_pixel(squares: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A property of the lattice's squares, repeated for each of the raster's pixels: [rows, columns]."""
    half = STEP_PX // 2  # the first square's middle is the raster's corner
    spread = squares.repeat(STEP_PX, axis=0)[half : half + rows].repeat(STEP_PX, axis=1)
    return spread[:, half : half + columns]
