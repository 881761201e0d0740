"""The part of a model package's specification that all families share."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.models.manifest import Entries, number, positive


@dataclass(frozen=True)
class AerialSpec:
    """The aerial encoder's metric grid: `block_cells`² cells of `cell_m` metres, centred in a square image of
    `image_px` pixels and `image_m` metres."""

    cell_m: float = 1.2
    block_cells: int = 60
    image_px: int = 420
    image_m: float = 72.0

    @classmethod
    def of_cells(cls, cell_m: float, block_cells: int, cell_px: int) -> AerialSpec:
        """The grid whose cells are the image's blocks of `cell_px`² pixels."""
        return cls(cell_m, block_cells, block_cells * cell_px, block_cells * cell_m)

    @property
    def cell_px(self) -> int:
        """Pixels of a cell's side, rounded down."""
        return self.image_px // self.block_cells

    @property
    def metres_per_pixel(self) -> float:
        return self.image_m / self.image_px

    @property
    def block_m(self) -> float:
        """Side of the square of cells, which may be smaller or larger than the image."""
        return self.cell_m * self.block_cells


# The localizer divides by these.
_DIVISORS = ("evidence_temperature", "independence_m")


def calibration_from(entry: Entries) -> CalibrationSpec:
    """The `calibration` entry of a spec, with defaults for numbers that an earlier package lacks.

    Raises ValueError naming the entry.
    """
    given = entry("calibration", _mapping, {})
    names = [item.name for item in fields(CalibrationSpec) if item.name in given]
    return CalibrationSpec(
        **{name: entry(f"calibration.{name}", positive if name in _DIVISORS else number) for name in names}
    )


def calibration_to_dict(calibration: CalibrationSpec) -> dict[str, float]:
    """Inverse of `calibration_from`."""
    return {key: round(float(value), 4) for key, value in vars(calibration).items()}


def _mapping(value: object) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, got {type(value).__name__}")
    return value


@dataclass(frozen=True)
class ModelSpec:
    """The specification that the localizer uses; each family adds its own entries."""

    name: str
    inverse_temperature: float = 10.0  # 1 / τ
    aerial: AerialSpec = field(default_factory=AerialSpec)
    calibration: CalibrationSpec = field(default_factory=CalibrationSpec)
