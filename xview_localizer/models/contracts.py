"""The interface of networks of any family: encoders of ground and aerial images, and a depth estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xview_localizer.geometry.depth import DepthPrediction
from xview_localizer.ground_view import LevelView
from xview_localizer.models.spec import ModelSpec


@dataclass(frozen=True)
class GroundCells:
    """The cells of a ground image, as a raster of R rows and C columns."""

    rays_level: np.ndarray  # [R, C, 3] unit viewing rays in the level frame
    valid: np.ndarray  # [R, C] whether the camera sees the cell
    descriptor: np.ndarray  # [R, C, D] unit length
    dustbin: np.ndarray  # [R, C] score of matching nothing, in cosine / τ
    depth: DepthPrediction | None = None  # [R, C] where the same graph predicts it
    features: np.ndarray | None = None  # [1, F, R, C] for the family's own depth graph, where it has one

    @classmethod
    def none(cls) -> GroundCells:
        """No cells, for an image that shows nothing of the view."""
        return cls(
            np.zeros((0, 0, 3)), np.zeros((0, 0), bool), np.zeros((0, 0, 1), np.float32), np.zeros((0, 0))
        )


class GroundEncoder(Protocol):
    """Encodes a ground image as cells with descriptors."""

    def describe(self, view: LevelView) -> GroundCells:
        """Cells with rays and descriptors; none are valid where the image shows nothing usable. Raises EngineError."""
        ...


class AerialEncoder(Protocol):
    """Encodes a square aerial image as descriptors on the metric grid of the package's AerialSpec."""

    def describe(self, image: np.ndarray) -> np.ndarray:
        """RGB uint8 [image_px, image_px, 3] to unit descriptors [block_cells, block_cells, D]. Raises EngineError."""
        ...


class DepthEstimator(Protocol):
    """Predicts the depth of a ground image's cells."""

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        """The prediction [R, C] at the rays of `cells`; None where there is none. Raises EngineError."""
        ...


class OwnDepth:
    """A DepthEstimator that returns the ground encoder's own prediction, if any."""

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        """See DepthEstimator."""
        return cells.depth


@dataclass(frozen=True)
class Networks:
    """A package's networks, ready to run."""

    spec: ModelSpec
    ground: GroundEncoder
    aerial: AerialEncoder
    depth: DepthEstimator
