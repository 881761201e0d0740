"""A folder of raster files as one map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from xview_localizer.aerial.raster import Raster, RasterMap
from xview_localizer.aerial.source import AerialImage, MapSourceError, SourceLevel, crop_grid
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

# Files held open at once; more would use up the process's file descriptors.
OPEN_SHEETS = 32
# Edge points further from the datum are left out: east and north have no meaning there.
MAX_DISTANCE_M = 5e6
_EDGE_POINTS = 9  # sampled along each edge of a file to find its bounds
_EDGE_BEND = 1e-3  # of a file's extent: how far a projected edge may bend between two sampled points


@dataclass(frozen=True)
class _Sheet:
    """One file of the folder: its bounds in `map` and its resolution."""

    path: Path
    bounds: Bounds
    metres_per_pixel: float

    def overlaps(self, box: Bounds) -> bool:
        own = self.bounds
        return (
            own.west_m < box.east_m
            and box.west_m < own.east_m
            and own.south_m < box.north_m
            and box.south_m < own.north_m
        )


class FolderMap:
    """The raster files of a folder, each in any CRS; where several cover a place, the finest is read. Thread-safe.

    Files that cannot be read any more are listed in `AerialImage.problems`; `read` raises MapSourceError where the
    others show nothing. Raises MapSourceError where the folder holds no raster file, or one that is not a map.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...], frame: LocalFrame) -> None:
        visible = folder.glob("[!.]*")  # macOS adds hidden files to copies
        paths = sorted(path for path in visible if path.suffix.lower() in suffixes)
        if not paths:
            raise MapSourceError(
                f"the folder {folder} holds no map files ({', '.join(suffixes)}); for a folder of tiles give the "
                "template, such as file:///tiles/{z}/{x}/{y}.png"
            )
        found = [sheet for path in paths if (sheet := _sheet(path, frame))]
        self._sheets = sorted(found, key=lambda sheet: sheet.metres_per_pixel)
        self._folder, self._count = folder, len(paths)
        self._opened = lru_cache(OPEN_SHEETS)(lambda path: RasterMap(path, frame))

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = crop_grid(bounds, metres_per_pixel)
        image = np.zeros((grid.rows, grid.columns, 3), np.uint8)
        valid = np.zeros(image.shape[:2], bool)
        warnings: list[str] = []
        failures: list[MapSourceError] = []
        for sheet in self._sheets:
            if not sheet.overlaps(grid.bounds) or valid.all():
                continue
            try:
                crop = self._opened(sheet.path).read(bounds, metres_per_pixel)
            except MapSourceError as failure:
                failures.append(failure)
                continue
            fresh = crop.valid & ~valid
            image[fresh] = crop.image[fresh]
            valid |= fresh
            warnings += crop.warnings
        if failures and not valid.any():
            raise failures[0]
        problems = tuple(map(str, failures))
        return AerialImage(image, valid, grid, problems, tuple(dict.fromkeys(warnings)))

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        pixel = Bounds.around(x_m, y_m, metres_per_pixel)
        for sheet in self._sheets:
            if sheet.overlaps(pixel):
                level = self._opened(sheet.path).level(x_m, y_m, metres_per_pixel)
                detail = f"{sheet.path.name}, one of {self._count} files: {level.detail}"
                return SourceLevel(level.metres_per_pixel, detail, level.warnings)
        detail = f"none of {self._count} files in {self._folder.name} covers this place"
        return SourceLevel(metres_per_pixel, detail)


def _sheet(path: Path, frame: LocalFrame) -> _Sheet | None:
    """A file with its bounds in the local frame; None where all its edges are beyond MAX_DISTANCE_M."""
    try:
        raster = Raster(path)
    except MapSourceError as error:
        raise MapSourceError(
            f"{error}; or take it out of the folder, where it is no part of the map"
        ) from error
    latitude_deg, longitude_deg, metres_per_pixel = raster.outline(_EDGE_POINTS)
    near = [
        frame.enu_from_geodetic(*place)[:2]
        for place in zip(latitude_deg, longitude_deg, strict=True)
        if np.all(np.isfinite(place)) and frame.distance_m(*place) < MAX_DISTANCE_M
    ]
    if not near:
        return None
    west_m, south_m = np.min(near, axis=0)
    east_m, north_m = np.max(near, axis=0)
    margin_m = metres_per_pixel + _EDGE_BEND * max(east_m - west_m, north_m - south_m)
    box = Bounds(west_m - margin_m, south_m - margin_m, east_m + margin_m, north_m + margin_m)
    return _Sheet(path, box, metres_per_pixel)
