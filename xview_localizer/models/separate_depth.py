"""A separate depth network, which receives perspective cuts of the view or a panorama."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from xview_localizer.engines.engine import Engine
from xview_localizer.geometry.depth import DepthKind, DepthPrediction, calibrate_depth
from xview_localizer.geometry.stitching import relative_log_scales
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import render_rays
from xview_localizer.models.contracts import GroundCells
from xview_localizer.models.depth_cuts import Cut, cuts_of
from xview_localizer.models.depth_graph import DepthGraph
from xview_localizer.models.depth_package import DepthSpec
from xview_localizer.models.depth_reading import misreading
from xview_localizer.stages import stage


class SeparateDepth:
    """A DepthEstimator over a depth package. Wide views are split into cuts, which are scaled to one unit.

    Cuts of affine-inverse depth also differ by a shift: each is calibrated on the ground plane before they are joined,
    cuts that disagree with it are left out, and the result is relative depth. Raises EngineError where the graph does
    not take the declared image.
    """

    def __init__(self, engine: Engine, spec: DepthSpec) -> None:
        self._graph, self._spec = DepthGraph(engine, spec), spec

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        """The prediction [R, C] at the cells' rays, NaN where the network gives none; None without valid cells."""
        if not cells.valid.any():
            return None
        with stage("depth"):
            cuts = cuts_of(view, cells, self._spec.input, self._spec.kind is DepthKind.METRIC)
            values = [self._predicted(view, cut, cells) for cut in cuts]
            if len(cuts) == 1:
                axis_cosine = cuts[0].axis_cosine(cells.rays_level) if self._spec.planar else None
                prediction = DepthPrediction(values[0], self._spec.kind, axis_cosine)
            else:
                prediction = self._stitched(cuts, values, cells, view.camera_height_m)
            rays, by_cell = cells.rays_level.reshape(-1, 3), [value.ravel() for value in values]
            doubt = misreading(self._spec, cuts, by_cell, rays, view.camera_height_m)
            return replace(prediction, doubt=doubt)

    def _predicted(self, view: LevelView, cut: Cut, cells: GroundCells) -> np.ndarray:
        """The network's values [R, C] at the cells' rays, NaN outside of the cut."""
        rays_camera = cut.rays_level() @ view.R_level_camera  # = R_level_camera.T @ ray
        image, _ = render_rays(view.image, view.camera, rays_camera)
        depth = self._graph.depth(image, cut.camera)
        rays_level = cells.rays_level.reshape(-1, 3)
        uv, seen = cut.camera.project(rays_level @ cut.R_level_cut)
        per_pixel = np.divide(depth.shape[::-1], (cut.camera.width, cut.camera.height))
        at = (uv * per_pixel - 0.5).astype(np.float32)
        at[~seen] = 0
        sampled = cv2.remap(depth, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        usable = seen & cells.valid.ravel() & np.isfinite(sampled)
        if self._spec.kind is DepthKind.METRIC:
            usable &= sampled <= self._spec.maximum_m
        return np.where(usable, sampled, np.nan).astype(np.float64).reshape(cells.valid.shape)

    def _stitched(
        self, cuts: list[Cut], values: list[np.ndarray], cells: GroundCells, camera_height_m: float
    ) -> DepthPrediction:
        shape, kind = cells.valid.shape, self._spec.kind
        rays_level = cells.rays_level.reshape(-1, 3)
        log_range = np.full((len(cuts), len(rays_level)), np.nan)
        for number, (cut, value) in enumerate(zip(cuts, values, strict=True)):
            axis_cosine = cut.axis_cosine(rays_level) if self._spec.planar else np.ones(len(rays_level))
            if kind is DepthKind.AFFINE_INVERSE:
                calibrated = calibrate_depth(
                    value.ravel(), kind, rays_level, axis_cosine=axis_cosine, camera_height_m=camera_height_m
                )
                range_ = calibrated.range_m if calibrated.agrees else np.full(len(rays_level), np.nan)
                range_ = np.where(np.isnan(value.ravel()), np.nan, range_)
            else:
                range_ = value.ravel() / axis_cosine
            known = np.isfinite(range_) & (range_ > 0)
            log_range[number, known] = np.log(range_[known])
        log_scale, joined = relative_log_scales(log_range)
        log_range[~joined] = np.nan
        nearest = np.stack([cut.axis_cosine(rays_level) for cut in cuts])
        nearest[np.isnan(log_range)] = -np.inf
        chosen = (nearest.argmax(axis=0), np.arange(len(rays_level)))
        range_ = np.exp((log_range + log_scale[:, None])[chosen]).reshape(shape)
        return DepthPrediction(range_, DepthKind.RELATIVE if kind is DepthKind.AFFINE_INVERSE else kind)
