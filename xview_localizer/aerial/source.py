"""The interface of all map sources: north-up RGB crops in the local frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xview_localizer.geometry.grid import Bounds, RasterGrid

MAX_CROP_PIXELS = 64_000_000  # 192 MB of RGB; no search needs more


class MapSourceError(RuntimeError):
    """A map could not be read; the message names the source, the place and what to do."""


class MapReadInterrupted(MapSourceError):
    """Reading was broken off (see Interruption): there is nothing wrong with the map."""


@dataclass(frozen=True)
class AerialImage:
    """North-up aerial image in the local frame."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    valid: np.ndarray  # [H, W] bool, False where the map has no data
    grid: RasterGrid
    # Errors of parts that may exist but could not be read (broken tiles, timeouts).
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # causes that make poses found in it doubtful, each with a remedy

    @property
    def valid_ratio(self) -> float:
        return float(self.valid.mean())


@dataclass(frozen=True)
class SourceLevel:
    """The stored imagery from which a map source makes a crop."""

    metres_per_pixel: float
    detail: str
    warnings: tuple[str, ...] = ()  # as in AerialImage


class MapSource(Protocol):
    """A north-up aerial map that can be cropped in the local frame."""

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """Crop `bounds` at `metres_per_pixel`.

        The crop's grid starts at the north-west corner of `bounds` and covers it. Pixels without
        data are False in `valid` (never silently black). Raises MapSourceError when nothing at all
        can be read.
        """
        ...

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """The imagery from which a crop around (x, y) at `metres_per_pixel` is made. Raises MapSourceError."""
        ...


def crop_grid(bounds: Bounds, metres_per_pixel: float) -> RasterGrid:
    """The grid of a crop. Raises MapSourceError for an invalid resolution or more than MAX_CROP_PIXELS."""
    if not 0 < metres_per_pixel < np.inf:
        raise MapSourceError(f"metres_per_pixel must be positive and finite, got {metres_per_pixel}")
    pixels = bounds.width_m * bounds.height_m / metres_per_pixel**2
    if pixels > MAX_CROP_PIXELS:
        raise MapSourceError(
            f"a crop of {bounds.width_m:.0f} × {bounds.height_m:.0f} m at {metres_per_pixel:g} m/px has "
            f"{pixels / 1e6:.0f} megapixels, more than {MAX_CROP_PIXELS / 1e6:.0f}; ask for less"
        )
    return RasterGrid.covering(bounds, metres_per_pixel)
