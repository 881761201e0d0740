"""Depth estimators to compare with a package's own: the simulator, flat ground, another unit, random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xview_localizer.geometry.depth import DepthKind, DepthPrediction
from xview_localizer.ground_view import LevelView
from xview_localizer.models.contracts import DepthEstimator, GroundCells
from xview_localizer.models.depth_package import DepthInput, DepthPackage, DepthSpec
from xview_localizer.recordings.pairs import PairRecord


class TrueDepth:
    """A DepthEstimator that gives the simulator's range at each cell's ray."""

    def __init__(self, record: PairRecord) -> None:
        self._range_m = record.load_range_m()

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction:
        rays_camera = cells.rays_level.reshape(-1, 3) @ view.R_level_camera
        uv, seen = view.camera.project(rays_camera)
        column, row = np.where(seen[:, None], uv, 0).astype(int).T
        range_m = np.where(seen, self._range_m[row, column], 0).astype(np.float64)
        range_m[range_m == 0] = np.nan  # sky
        return DepthPrediction(range_m.reshape(cells.valid.shape), DepthKind.METRIC)


class FlatGround:
    """A DepthEstimator without depth."""

    def estimate(self, view: LevelView, cells: GroundCells) -> None:
        return None


@dataclass(frozen=True)
class Scaled:
    """Another estimator's depth in another unit, declared as relative, so that poses must not depend on the unit."""

    depth: DepthEstimator
    factor: float

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        prediction = self.depth.estimate(view, cells)
        return prediction and replace(
            prediction, values=self.factor * prediction.values, kind=DepthKind.RELATIVE
        )


def random_depth_package(folder: Path) -> DepthPackage:
    """A small network of Depth Anything V2's architecture with random weights; its depth must be rejected."""
    import torch
    from safetensors.torch import save_file

    from xview_localizer.models.depth_import import DepthAnything, depth_anything, import_depth_anything

    torch.manual_seed(0)
    small = DepthAnything(64, 4, (1, 2, 3, 4), (8, 16, 24, 32), 8)
    weights = folder / "random.safetensors"
    state = depth_anything(small).model.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, str(weights))
    spec = DepthSpec("random weights", DepthKind.AFFINE_INVERSE, True, 80.0, DepthInput(126, 168))
    return import_depth_anything(weights, small, spec, "none", folder / "depth")
