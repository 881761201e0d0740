"""A raster's coordinate reference system: its source, and how accurately PROJ places it on WGS84."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from pyproj.transformer import AreaOfInterest, TransformerGroup
from rasterio import DatasetReader

# Transformations whose stated accuracy is worse than this give a warning: it is a large part of the error of a pose.
POOR_ACCURACY_M = 3.0
# Side of the area, in degrees, for which PROJ selects the best transformation.
_AREA_DEG = 0.1

ToPlane = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def raster_crs(raster: DatasetReader, path: Path) -> CRS | None:
    """The CRS in the file, else that of a .prj beside it (WKT or a code such as EPSG:25832). Raises CRSError."""
    if raster.crs is not None:
        return CRS.from_user_input(raster.crs.to_wkt())
    side = _side_file(path)
    if side is None:
        return None
    try:
        text = side.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    try:
        return CRS.from_user_input(text.strip())
    except CRSError as error:
        raise CRSError(f"{side.name} beside it is no coordinate reference system: {error}") from error


def _side_file(path: Path) -> Path | None:
    """The .prj of a raster, as map.prj or map.tif.prj, in whatever case; GDAL finds world files in any case, too."""
    names = f"{path.stem}.prj".lower(), f"{path.name}.prj".lower()
    try:
        return next((file for file in sorted(path.parent.iterdir()) if file.name.lower() in names), None)
    except OSError:
        return None


def plane_from_geodetic(crs: CRS, centre_x: float) -> ToPlane:
    """Function (longitude_deg, latitude_deg) arrays -> x, y in the CRS, continuous over an array.

    Where x wraps around the Earth (degrees, Web Mercator), whole turns are added so that the array's mean comes
    closest to `centre_x`; rasters in 0 ... 360° and rasters across ±180° work alike. Raises ProjError.
    """
    transformer = Transformer.from_crs(4326, crs, always_xy=True)
    turn = _turn(crs)

    def to_plane(longitude_deg: np.ndarray, latitude_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = (np.asarray(value) for value in transformer.transform(longitude_deg, latitude_deg))
        if turn and x.size:
            # Unwrapped from the array's first point, so that it has no jump; then shifted by whole turns.
            first = x.flat[0]
            x = first + (x - first + turn / 2) % turn - turn / 2
            x = x + turn * np.round((centre_x - x.mean()) / turn)
        return x, y

    return to_plane


def geodetic_from_plane(crs: CRS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude [N] in degrees of points [N] in the CRS; infinite outside of it. Raises ProjError."""
    longitude_deg, latitude_deg = Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y)
    return latitude_deg, longitude_deg


def _turn(crs: CRS) -> float | None:
    """Length along x of a full turn around the Earth, in the CRS's unit; None where x does not wrap."""
    if crs.is_geographic:
        return 2 * np.pi / crs.axis_info[0].unit_conversion_factor
    if crs.to_epsg() == 3857:
        return 2 * np.pi * crs.ellipsoid.semi_major_metre
    return None


def place_warning(crs: CRS, latitude_deg: float, longitude_deg: float) -> str | None:
    """A warning, with the remedy, where PROJ places the CRS on WGS84 inaccurately at a place; else None."""
    west_deg = (longitude_deg + 180) % 360 - 180 - _AREA_DEG / 2
    south_deg = max(latitude_deg - _AREA_DEG / 2, -90.0)
    area = AreaOfInterest(west_deg, south_deg, west_deg + _AREA_DEG, min(south_deg + _AREA_DEG, 90.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the warning below is more specific
        group = TransformerGroup(4326, crs, always_xy=True, area_of_interest=area)
    if not group.transformers:
        return None
    used_m = group.transformers[0].accuracy
    used = f"{used_m:g} m" if used_m >= 0 else "an unknown amount"
    if not group.best_available and group.unavailable_operations:
        best = group.unavailable_operations[0]
        grids = ", ".join(grid.short_name for grid in best.grids if not grid.available)
        if used_m < 0 or used_m > best.accuracy:
            return (
                f"{_crs_name(crs)} is placed with a method that may be off by {used}: the better one "
                f"({best.accuracy:g} m) needs {grids}, which is not installed; get it with "
                f"`projsync --file {grids.split(', ')[0]}` or the package proj-data"
            )
    if used_m < 0 or used_m > POOR_ACCURACY_M:
        return f"{_crs_name(crs)} can be off by {used} on WGS84; export the map in WGS84, or shift it by map.shift_…_m"
    return None


def _crs_name(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else "the map's CRS"
