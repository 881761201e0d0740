"""A separate depth network, which receives perspective cuts of the view or a panorama."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from xview_localizer.engines.engine import Engine, EngineError, TensorSpec
from xview_localizer.geometry.camera import CameraModel, EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.depth import DepthKind, DepthPrediction, calibrate_depth
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.stitching import relative_log_scales
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import render_rays
from xview_localizer.models.contracts import GroundCells
from xview_localizer.models.depth_package import PANORAMA, DepthInput, DepthSpec
from xview_localizer.stages import stage

# Least overlap of neighbouring cuts, by which their scales are compared; half of a cut where that is less.
OVERLAP_RAD = float(np.radians(15.0))
# A remainder of the view's width up to this is not worth another run of the network.
UNSEEN_RAD = float(np.radians(10.0))


@dataclass(frozen=True)
class Cut:
    """One image for the network: a virtual camera and its rotation in the level frame."""

    camera: CameraModel
    R_level_cut: np.ndarray  # [3, 3]

    def rays_level(self) -> np.ndarray:
        """Rays [rows, columns, 3] through its pixels, in the level frame."""
        column, row = np.meshgrid(np.arange(self.camera.width) + 0.5, np.arange(self.camera.height) + 0.5)
        rays = self.camera.rays(np.column_stack([column.ravel(), row.ravel()]))
        return (rays @ self.R_level_cut.T).reshape(self.camera.height, self.camera.width, 3)

    def axis_cosine(self, rays_level: np.ndarray) -> np.ndarray:
        """Cosine between rays [..., 3] and the optical axis."""
        return rays_level @ self.R_level_cut[:, 2]


class SeparateDepth:
    """A DepthEstimator over a depth package. Wide views are split into cuts, which are scaled to one unit.

    Cuts of affine-inverse depth also differ by a shift: each is calibrated on the ground plane before they are joined,
    cuts that disagree with it are left out, and the result is relative depth. Raises EngineError where the graph does
    not take the declared image.
    """

    def __init__(self, engine: Engine, spec: DepthSpec) -> None:
        self._engine, self._spec = engine, spec
        self._input, self._output = _image_input(engine, spec.input), _depth_output(engine, spec.output)

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        """The prediction [R, C] at the cells' rays, NaN where the network gives none; None without valid cells."""
        if not cells.valid.any():
            return None
        with stage("depth"):
            cuts = cuts_of(view, cells, self._spec.input, self._spec.kind is DepthKind.METRIC)
            values = [self._predicted(view, cut, cells) for cut in cuts]
            if len(cuts) == 1:
                axis_cosine = cuts[0].axis_cosine(cells.rays_level) if self._spec.planar else None
                return DepthPrediction(values[0], self._spec.kind, axis_cosine)
            return self._stitched(cuts, values, cells, view.camera_height_m)

    def _predicted(self, view: LevelView, cut: Cut, cells: GroundCells) -> np.ndarray:
        """The network's values [R, C] at the cells' rays, NaN outside of the cut."""
        rays_camera = cut.rays_level() @ view.R_level_camera  # = R_level_camera.T @ ray
        image, _ = render_rays(view.image, view.camera, rays_camera)
        pixels = (image.astype(np.float32) / 255 - self._spec.input.mean) / self._spec.input.std
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=self._input.dtype)
        output = self._engine.run({self._input.name: pixels})[self._output.name]
        depth = np.asarray(output, dtype=np.float32).reshape(output.shape[-2:])
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


def cuts_of(view: LevelView, cells: GroundCells, image: DepthInput, metric: bool) -> list[Cut]:
    """The cuts that show the valid cells: a panorama, or as many perspective ones as the view's width needs.

    Perspective cuts have no roll and are pitched to the middle of the cells' elevations.
    """
    if image.projection == PANORAMA:
        per_rad_h, per_rad_v = image.columns_px / (2 * np.pi), image.rows_px / np.pi
        panorama = EquirectangularCamera(
            image.columns_px, image.rows_px, per_rad_h, per_rad_v, image.columns_px / 2, image.rows_px / 2
        )
        return [Cut(panorama, R_base_optical_from_rpy(0.0, 0.0, 0.0))]
    span_rad = view.camera.horizontal_fov_rad
    # A metric network was trained for one field of view; for other kinds the cut is no wider than the view.
    fov_rad = image.horizontal_fov_rad if metric else min(image.horizontal_fov_rad, span_rad)
    focal_px = image.columns_px / 2 / np.tan(fov_rad / 2)
    camera = PinholeCamera(
        image.columns_px, image.rows_px, focal_px, focal_px, image.columns_px / 2, image.rows_px / 2
    )
    elevation_rad = np.arcsin(np.clip(cells.rays_level[cells.valid][:, 2], -1, 1))
    down_rad = -float(elevation_rad.min() + elevation_rad.max()) / 2
    axis = view.R_level_camera @ (0.0, 0.0, 1.0)
    ahead_rad = float(np.arctan2(axis[1], axis[0]))
    step_rad = fov_rad - min(OVERLAP_RAD, fov_rad / 2)
    if span_rad > 2 * np.pi - OVERLAP_RAD:
        count = int(np.ceil(2 * np.pi / step_rad))
        azimuths_rad = ahead_rad + np.arange(count) * 2 * np.pi / count
    else:
        beside_rad = max(span_rad - fov_rad, 0.0)  # the width that a single cut does not show
        count = 1 + int(np.ceil(max(beside_rad - UNSEEN_RAD, 0.0) / step_rad))
        azimuths_rad = ahead_rad + np.linspace(0.5, -0.5, count) * beside_rad if count > 1 else [ahead_rad]
    return [Cut(camera, R_base_optical_from_rpy(0.0, down_rad, float(azimuth))) for azimuth in azimuths_rad]


def _image_input(engine: Engine, image: DepthInput) -> TensorSpec:
    """The engine's image input. Raises EngineError where the graph does not take `image`."""
    if len(engine.inputs) != 1:
        raise EngineError(
            f"a depth graph must have one input, this one has {[spec.name for spec in engine.inputs]}"
        )
    spec = engine.inputs[0]
    fits = len(spec.shape) == 4 and all(
        size is None or size == wanted for size, wanted in zip(spec.shape, image.shape, strict=True)
    )
    if not fits:
        raise EngineError(
            f"depth.yaml declares an image {image.shape}, the graph takes {spec.name!r} of shape {spec.shape}"
        )
    if not np.issubdtype(spec.dtype, np.floating):
        raise EngineError(f"a depth graph must take colours as floating point, {spec.name!r} is {spec.dtype}")
    return spec


def _depth_output(engine: Engine, name: str) -> TensorSpec:
    """The engine's output of that name, or its only one. Raises EngineError where that is no depth map."""
    named = {spec.name: spec for spec in engine.outputs}
    if not name and len(named) > 1:
        raise EngineError(f"the graph has the outputs {', '.join(named)}; name the one that is the depth")
    if name and name not in named:
        raise EngineError(f"the graph has no output {name!r}; it has {', '.join(named)}")
    output = named[name] if name else engine.outputs[0]
    if any(size not in (1, None) for size in output.shape[:-2]):
        raise EngineError(
            f"a depth graph must give one number a pixel, [1, 1, rows, columns], and {output.name!r} has the shape "
            f"{output.shape}"
        )
    return output
