"""A map moved by a constant offset: the remedy for misregistered photos and for a datum whose shift grid is missing."""

from __future__ import annotations

from dataclasses import replace

from xview_localizer.aerial.source import AerialImage, MapSource, SourceLevel
from xview_localizer.geometry.grid import Bounds


class ShiftedMap:
    """Another map source, everything in it moved by (east, north) metres."""

    def __init__(self, source: MapSource, east_m: float, north_m: float) -> None:
        self._source, self._east_m, self._north_m = source, east_m, north_m

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        east_m, north_m = self._east_m, self._north_m
        unmoved = Bounds(
            bounds.west_m - east_m,
            bounds.south_m - north_m,
            bounds.east_m - east_m,
            bounds.north_m - north_m,
        )
        crop = self._source.read(unmoved, metres_per_pixel)
        grid = replace(crop.grid, west_m=crop.grid.west_m + east_m, north_m=crop.grid.north_m + north_m)
        return replace(crop, grid=grid)

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        return self._source.level(x_m - self._east_m, y_m - self._north_m, metres_per_pixel)
