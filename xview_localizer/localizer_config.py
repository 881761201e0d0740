"""What a user may tune of the localizer, and the configurations of its steps, which also depend on the network.

What the network fixes stands in the model.yaml of its package (models/spec.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xview_localizer.belief.gate import SINGLE_IMAGE_GATE, GateConfig
from xview_localizer.geometry.dense import DenseSolverConfig
from xview_localizer.geometry.pose import Prior
from xview_localizer.matching import MatchConfig
from xview_localizer.models.spec import ModelSpec

# The map is read at least this far around the prior's middle. Ground cells beyond it add little, and every metre of
# map costs time.
MIN_MAP_HALF_EXTENT_M = 28.8


@dataclass(frozen=True)
class LocalizerConfig:
    """The gates, which cells of an image take part, and the bounds of scale and map."""

    gate: GateConfig = field(default_factory=GateConfig)  # in a drive, where the next image can still decide
    single_image_gate: GateConfig = SINGLE_IMAGE_GATE
    max_range_m: float = 45.0  # of the ground cells that are matched
    max_cells: int = 600  # ground cells that are matched, of all joined images together
    assumed_camera_height_m: float = 2.0  # where the height is unknown; the solved scale corrects it
    unknown_height_scale_bounds: tuple[float, float] = (0.6, 1.6)
    known_height_scale_bounds: tuple[float, float] = (0.9, 1.1)
    map_reach_m: float = 20.0  # how far the map is read beyond the search disc
    map_sigma_m: float = 0.0  # standard deviation of the imagery's own position, per axis

    def scale_bounds(self, scale_known: bool) -> tuple[float, float]:
        """Least and greatest scale that the solver may find."""
        return self.known_height_scale_bounds if scale_known else self.unknown_height_scale_bounds

    def map_half_extent_m(self, search: Prior) -> float:
        """Half the side of the square of map around a search."""
        return max(MIN_MAP_HALF_EXTENT_M, search.radius_m + self.map_reach_m)

    def matching(self, spec: ModelSpec) -> MatchConfig:
        """The configuration of matching for a network."""
        return MatchConfig(
            inverse_temperature=spec.inverse_temperature,
            trained_cells=spec.aerial.block_cells**2,
            max_cells=self.max_cells,
            independence_m=spec.calibration.independence_m,
        )

    def solver(self, spec: ModelSpec, scale_known: bool) -> DenseSolverConfig:
        """The configuration of the pose solver for a network."""
        return DenseSolverConfig(
            scale_bounds=self.scale_bounds(scale_known),
            evidence_temperature=spec.calibration.evidence_temperature,
        )
