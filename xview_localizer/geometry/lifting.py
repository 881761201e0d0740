"""Step 3 of the paper: a range for every cell, from the network's depth where it agrees with the ground plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.depth import DepthKind, DepthPrediction, calibrate_depth, flat_ground_range_m

NETWORK_DEPTH = "network"


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
        if calibrated.agrees:
            known = metric or camera_height_m is not None
            return LiftedCells(calibrated.range_m.reshape(shape), known, NETWORK_DEPTH)
        reason = calibrated.reason
    flat_m = flat_ground_range_m(rays_level, height_m, max_range_m)
    return LiftedCells(flat_m.reshape(shape), camera_height_m is not None, f"flat ground: {reason}")
