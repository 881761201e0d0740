"""Steps 1 and 3 of the paper: the cells of one ground image, described and lifted with depth."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.levelling import R_level_base
from xview_localizer.geometry.lifting import covered_area, lift_cells
from xview_localizer.ground_view import GroundView, LevelView, unusable_reason
from xview_localizer.models.contracts import Networks
from xview_localizer.observation import Observation, empty_observation
from xview_localizer.stages import recorded_stages, stage

MIN_RANGE_M = 0.5  # cells that are nearer show the robot itself


def described_and_lifted(
    view: GroundView, networks: Networks, assumed_height_m: float, max_range_m: float
) -> Observation:
    """The cells of a view up to `max_range_m`, on ground that is level against the view's gravity.

    Where the camera's height is unknown, the cells have the scale of `assumed_height_m`. A view that cannot be used
    gives an observation without cells and the reason.
    """
    reason = unusable_reason(view)
    if reason:
        return empty_observation(view.stamp_sec, reason)
    try:
        R_level = R_level_base(view.gravity_base)
    except ValueError as error:
        return empty_observation(view.stamp_sec, str(error))
    with recorded_stages() as timings:
        height_m = view.camera_height_m or assumed_height_m
        level_view = LevelView(view.image, view.camera, R_level @ view.R_base_camera, height_m)
        cells = networks.ground.describe(level_view)
        if not cells.valid.any():
            return empty_observation(
                view.stamp_sec, "the camera sees nothing between the horizon and its feet; check its mounting"
            )
        depth = networks.depth.estimate(level_view, cells)
        with stage("lift"):
            lifted = lift_cells(depth, cells.rays_level, view.camera_height_m, assumed_height_m, max_range_m)
    usable = cells.valid & (lifted.range_m > MIN_RANGE_M) & (lifted.range_m < max_range_m)
    area_m2 = covered_area(cells.rays_level, np.where(usable, lifted.range_m, 0.0), height_m)
    xy_m = cells.rays_level[usable][:, :2] * lifted.range_m[usable][:, None]
    return Observation(
        ground_xy_m=xy_m.astype(np.float64),
        camera_xy_m=(R_level @ view.camera_in_base_m)[:2],
        descriptor=cells.descriptor[usable],
        dustbin=cells.dustbin[usable],
        covered_area=area_m2[usable],
        scale_known=lifted.metric,
        depth_source=lifted.source,
        stamp_sec=view.stamp_sec,
        timings_ms=timings,
        rays_level=cells.rays_level[usable],
        height=height_m,
    )
