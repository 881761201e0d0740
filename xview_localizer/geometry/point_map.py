"""Point maps: a point in the camera for each pixel, as some depth networks predict them."""

from __future__ import annotations

import numpy as np


def recovered_shift(points: np.ndarray, rays: np.ndarray) -> float:
    """How far an affine point map has to be moved along z to lie on the camera's rays; NaN if no pixel determines it.

    An affine point map gives points p [N, 3], z forward, of which p + (0, 0, s) is right up to one factor. Points on
    their rays r [N, 3] have (p_x, p_y) = (p_z + s) (r_x, r_y) / r_z, so that each pixel gives an s of its own. The
    error of that grows with the depth and falls with the distance from the optical axis: s is the median with these
    weights. Pixels that are not finite, or not in front of the camera, are left out.
    """
    x, y, z = points.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
        off_axis_squared = u**2 + v**2
        shift = (u * x + v * y) / off_axis_squared - z
        weight = np.sqrt(off_axis_squared) / (z + shift)
    usable = np.isfinite(shift) & (weight > 0) & (rays[:, 2] > 0)
    if not usable.any():
        return float("nan")
    order = np.argsort(shift[usable])
    heavier = np.cumsum(weight[usable][order])
    return float(shift[usable][order][np.searchsorted(heavier, heavier[-1] / 2)])
