"""Step 3 of the paper: a range for every cell, from the network's depth where it agrees with the ground plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.depth import DepthKind, DepthPrediction, calibrate_depth, flat_ground_range_m

NETWORK_DEPTH = "network"
# The network's ranges of the ground are off by 2 %. A cell that it sees as near the ground as three times that is taken
# to be of the ground, whose plane is known better.
GROUND_TOLERANCE = 0.06


@dataclass(frozen=True)
class LiftedCells:
    """`range_m` [R, C] along the ray, inf where unknown; in metres if `metric`, else correct up to one factor."""

    range_m: np.ndarray
    metric: bool
    source: str  # "network", or "flat ground" with the reason


def lift_cells(
    prediction: DepthPrediction | None,
    rays_level: np.ndarray,
    camera_height_m: float | None,
    assumed_height_m: float,
    max_range_m: float,
) -> LiftedCells:
    """Ranges of the unit rays [R, C, 3], calibrated on the ground plane; flat ground where the depth disagrees with it.

    Cells that are seen within GROUND_TOLERANCE of the plane are put on it.
    Without a camera height, metric depth keeps its unit, and other kinds are scaled by `assumed_height_m`.
    """
    shape, rays_level = rays_level.shape[:-1], rays_level.reshape(-1, 3)
    height_m = camera_height_m or assumed_height_m
    if prediction is None:
        reason = "the model has no depth network"
    else:
        metric = prediction.kind is DepthKind.METRIC
        calibrated = calibrate_depth(
            prediction.values.ravel().astype(np.float64),
            prediction.kind,
            rays_level,
            axis_cosine=None if prediction.axis_cosine is None else prediction.axis_cosine.ravel(),
            camera_height_m=camera_height_m if metric else height_m,
        )
        if calibrated.agrees and not prediction.doubt:
            known = metric or camera_height_m is not None
            range_m = calibrated.range_m
            if camera_height_m is not None or not metric:  # else the ground's depth is not known in metres
                range_m = _on_the_ground(range_m, rays_level, height_m, max_range_m)
            return LiftedCells(range_m.reshape(shape), known, NETWORK_DEPTH)
        reason = prediction.doubt or calibrated.reason
    flat_m = flat_ground_range_m(rays_level, height_m, max_range_m)
    return LiftedCells(flat_m.reshape(shape), camera_height_m is not None, f"flat ground: {reason}")


def covered_area(rays_level: np.ndarray, range_m: np.ndarray, height_m: float) -> np.ndarray:
    """Area [R, C] of level ground that each cell of a raster of unit rays [R, C, 3] covers at its range [R, C].

    A cell of the solid angle omega, seen at the range r from the height h, covers omega r^3 / h. A single row or column
    spans no solid angle, and covers no area.
    """
    if min(range_m.shape) < 2:
        return np.zeros(range_m.shape)
    along_rows, along_columns = np.gradient(rays_level, axis=(0, 1))
    solid_angle = np.linalg.norm(np.cross(along_rows, along_columns), axis=-1)
    return solid_angle * range_m**3 / height_m


def _on_the_ground(
    range_m: np.ndarray, rays_level: np.ndarray, height_m: float, max_range_m: float
) -> np.ndarray:
    """The ranges [N], those that hardly differ from the ground plane's replaced by the plane's."""
    ground_m = flat_ground_range_m(rays_level, height_m, max_range_m)
    with np.errstate(invalid="ignore"):  # inf - inf, of the sky
        is_ground = np.abs(range_m - ground_m) < GROUND_TOLERANCE * ground_m
    return np.where(is_ground, ground_m, range_m)
