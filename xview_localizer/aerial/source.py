"""What every map source gives: north-up RGB crops in the local frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xview_localizer.geometry.grid import Bounds, RasterGrid


class MapSourceError(RuntimeError):
    """A map could not be read; the message names the source, the place and what to do."""


@dataclass(frozen=True)
class AerialImage:
    """North-up aerial image in the local frame."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    valid: np.ndarray  # [H, W] bool, False where the map has no data
    grid: RasterGrid

    @property
    def valid_ratio(self) -> float:
        return float(self.valid.mean())


class MapSource(Protocol):
    """A north-up aerial map that can be cropped in the local frame."""

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """Crop `bounds` at `metres_per_pixel`.

        The crop's grid starts at the north-west corner of `bounds` and covers it. Pixels without
        data are False in `valid` (never silently black). Raises MapSourceError when nothing at all
        can be read.
        """
        ...
