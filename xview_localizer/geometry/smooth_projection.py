"""Projection of a whole raster of rays: exact on a coarse lattice, interpolated in between where it is smooth.

A camera's projection is nearly linear over a few pixels. It is computed for every 4th pixel in both directions. A
square of the lattice is interpolated where its projection bends so little that the error stays below `TOLERANCE_PX`,
and projected pixel by pixel elsewhere: at the image's border, at the seam of a panorama, below the camera.
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

    Unseen pixels are 0.
    """
    # Lattice points at the centres of blocks of STEP_PX, one block beyond the raster on every side.
    row_centres, column_centres = (STEP_PX * (np.arange(-(-n // STEP_PX) + 2) - 0.5) for n in (rows, columns))
    shape = len(row_centres), len(column_centres)
    row, column = (axis.ravel() for axis in np.meshgrid(row_centres, column_centres, indexing="ij"))
    projected, seen = (array.T.reshape(-1, *shape) for array in camera.project(rays_at(column, row)))
    smooth = _all_corners(seen[0] & _is_flat(projected))
    rough = ~_all_corners(~seen[0]) & ~smooth

    # All of the squares' pixels; they reach half a step beyond the raster.
    uv = np.zeros((2, *(STEP_PX * n for n in smooth.shape)), np.float32)
    valid = _by_pixel(smooth)
    # Only the part that has smooth squares is interpolated; of a pinhole camera's plan view that is half or less.
    i, j = _extent(smooth, 0), _extent(smooth, 1)
    lattice = np.where(seen, projected, 0.0)[:, i.start : i.stop + 1, j.start : j.stop + 1]
    i, j = (slice(STEP_PX * squares.start, STEP_PX * squares.stop) for squares in (i, j))
    np.multiply(_interpolated(lattice), valid[i, j], out=uv[:, i, j])

    half = STEP_PX // 2
    i, j = slice(half, half + rows), slice(half, half + columns)
    uv, valid, rough = uv[:, i, j], valid[i, j], _by_pixel(rough)[i, j]
    row, column = np.nonzero(rough)
    exact, exact_seen = camera.project(rays_at(column + 0.5, row + 0.5))
    uv[:, row, column] = np.where(exact_seen, exact.T, 0.0)
    valid[row, column] = exact_seen
    return np.moveaxis(uv, 0, -1), valid


def _is_flat(lattice: np.ndarray) -> np.ndarray:
    """Where interpolation of the lattice [2, R, C] between neighbours errs by no more than TOLERANCE_PX, [R, C].

    Its error in a square's middle is an eighth of the sum of the second differences in both directions.
    """
    twice = 2 * lattice[:, 1:-1, 1:-1]
    down = lattice[:, 2:, 1:-1] + lattice[:, :-2, 1:-1] - twice
    across = lattice[:, 1:-1, 2:] + lattice[:, 1:-1, :-2] - twice
    flat = np.abs(down + across) <= 8 * TOLERANCE_PX
    return np.pad(flat[0] & flat[1], 1, mode="edge")


def _all_corners(points: np.ndarray) -> np.ndarray:
    """Whether all four corners of the lattice's squares have a property of its points [R, C]: [R - 1, C - 1]."""
    across = points[:, 1:] & points[:, :-1]
    return across[1:] & across[:-1]


def _extent(squares: np.ndarray, axis: int) -> slice:
    """From the first to the last index along `axis` at which any of the squares [R, C] is True; empty for none."""
    some = np.flatnonzero(squares.any(axis=1 - axis))
    return slice(int(some[0]), int(some[-1]) + 1) if len(some) else slice(0, 0)


def _interpolated(lattice: np.ndarray) -> np.ndarray:
    """The lattice [2, R, C] at the pixels of its squares, float32 [2, STEP_PX (R - 1), STEP_PX (C - 1)].

    Matrix products would be slower on a busy robot, because linear algebra libraries wait for all cores.
    """
    columns_first = np.ascontiguousarray(lattice.swapaxes(1, 2), dtype=np.float32)
    return _refined(np.ascontiguousarray(_refined(columns_first).swapaxes(1, 2)))


def _refined(lattice: np.ndarray) -> np.ndarray:
    """Linear interpolation of [2, R, C] along R at STEP_PX pixel centres in each interval: [2, STEP_PX (R - 1), C]."""
    share = ((np.arange(STEP_PX, dtype=np.float32) + 0.5) / STEP_PX)[:, None]
    fine = (lattice[:, 1:] - lattice[:, :-1])[:, :, None] * share
    fine += lattice[:, :-1, None]
    return fine.reshape(2, STEP_PX * fine.shape[1], lattice.shape[2])


def _by_pixel(squares: np.ndarray) -> np.ndarray:
    """A property of the lattice's squares [R, C], for each of their pixels: [STEP_PX R, STEP_PX C]."""
    return squares.repeat(STEP_PX, axis=0).repeat(STEP_PX, axis=1)
