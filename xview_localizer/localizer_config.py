"""What a user may tune of the localizer; what the network fixes stands in its package's model.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

from xview_localizer.belief.gate import SINGLE_IMAGE_GATE, GateConfig
from xview_localizer.geometry.pose import Prior

# The map is read at least this far around the prior's middle. Cells of the image further out add little, and every
# metre of map costs time.
MIN_MAP_HALF_EXTENT_M = 28.8


@dataclass(frozen=True)
class LocalizerConfig:
    """The gates, what of an image takes part, and how far scale and map may reach."""

    gate: GateConfig = field(default_factory=GateConfig)  # in a drive, where the next image can still decide
    single_image_gate: GateConfig = SINGLE_IMAGE_GATE
    max_range_m: float = 45.0
    max_cells: int = 600
    assumed_camera_height_m: float = 2.0
    unknown_height_scale_bounds: tuple[float, float] = (0.6, 1.6)
    known_height_scale_bounds: tuple[float, float] = (0.9, 1.1)
    map_reach_m: float = 20.0
    map_sigma_m: float = 0.0  # standard deviation of the imagery's own position, per axis

    def scale_bounds(self, scale_known: bool) -> tuple[float, float]:
        """Least and greatest scale that the solver may find."""
        return self.known_height_scale_bounds if scale_known else self.unknown_height_scale_bounds

    def map_half_extent_m(self, search: Prior) -> float:
        """Half the side of the square of map around a search."""
        return max(MIN_MAP_HALF_EXTENT_M, search.radius_m + self.map_reach_m)
