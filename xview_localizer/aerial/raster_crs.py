"""A raster's coordinate reference system: its source, and how accurately PROJ places it on WGS84."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from pyproj.transformer import AreaOfInterest, TransformerGroup
from rasterio import DatasetReader

# Transformations whose stated accuracy is worse than this give a warning: poses have errors of some 0.3 m. EPSG states
# 1 m for ETRS89 and other modern datums on WGS84, 2 m for NAD83(2011) and 3 m for GDA94, which moves by 7 cm a year.
POOR_ACCURACY_M = 1.0
# Side of the area, in degrees, for which PROJ selects the best transformation.
_AREA_DEG = 0.1


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


class Placement:
    """Where points of a CRS lie on WGS84, by the transformation that PROJ holds for the best around a raster's middle.

    A datum has many transformations, each for a region. Without a region PROJ takes one for a whole continent, or none
    where a raster lies beyond the area for which its CRS was made. Thread-safe. Raises ProjError where the CRS has no
    place on Earth.
    """

    def __init__(self, crs: CRS, centre_x: float, centre_y: float) -> None:
        self._crs, self._centre_x, self._turn = crs, centre_x, _turn(crs)
        whole_earth = Transformer.from_crs(4326, crs, always_xy=True)
        self._area = _area_around(*whole_earth.transform(centre_x, centre_y, direction="INVERSE"))
        self._transformer = Transformer.from_crs(4326, crs, always_xy=True, area_of_interest=self._area)

    def plane_from_geodetic(
        self, longitude_deg: np.ndarray, latitude_deg: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """x and y, each [...], of places [...] in the CRS, in its unit; continuous over the arrays.

        Where x wraps around the Earth (degrees, Web Mercator), whole turns are added so that the array's mean comes
        closest to the raster's middle; rasters in 0 ... 360° and rasters across ±180° work alike.
        """
        x, y = (np.asarray(value) for value in self._transformer.transform(longitude_deg, latitude_deg))
        if self._turn and x.size:
            # Unwrapped from the array's first point, so that it has no jump; then shifted by whole turns.
            first, turn = x.flat[0], self._turn
            x = first + (x - first + turn / 2) % turn - turn / 2
            x = x + turn * np.round((self._centre_x - x.mean()) / turn)
        return x, y

    def geodetic_from_plane(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude [N] in degrees of points [N] in the CRS; infinite outside of it."""
        longitude_deg, latitude_deg = self._transformer.transform(x, y, direction="INVERSE")
        return latitude_deg, longitude_deg

    def warning(self) -> str | None:
        """A warning, with the remedy, where the transformation is inaccurate or a better one lacks its grid."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the warning below is more specific
            group = TransformerGroup(4326, self._crs, always_xy=True, area_of_interest=self._area)
        if not group.transformers:
            return None
        name, used_m = _crs_name(self._crs), group.transformers[0].accuracy
        used = f"{used_m:g} m" if used_m >= 0 else "an unknown amount"
        if not group.best_available and group.unavailable_operations:
            best = group.unavailable_operations[0]
            grids = ", ".join(grid.short_name for grid in best.grids if not grid.available)
            if used_m < 0 or used_m > best.accuracy:
                return (
                    f"{name} is placed with a method that may be off by {used}: the better one ({best.accuracy:g} m) "
                    f"needs {grids}, which is not installed; get it with `projsync --file {grids.split(', ')[0]}` or "
                    "the package proj-data"
                )
        if used_m < 0 or used_m > POOR_ACCURACY_M:
            return (
                f"{name} can be off by {used} on WGS84; compare the map with known positions, and shift it by "
                "map.shift_…_m"
            )
        return None


def _area_around(longitude_deg: float, latitude_deg: float) -> AreaOfInterest | None:
    """The area for which PROJ selects the best transformation; None where the place is not on Earth."""
    if not (np.isfinite(longitude_deg) and abs(latitude_deg) <= 90):
        return None
    west_deg = (longitude_deg + 180) % 360 - 180 - _AREA_DEG / 2
    south_deg = max(latitude_deg - _AREA_DEG / 2, -90.0)
    return AreaOfInterest(west_deg, south_deg, west_deg + _AREA_DEG, min(south_deg + _AREA_DEG, 90.0))


def _turn(crs: CRS) -> float | None:
    """Length along x of a full turn around the Earth, in the CRS's unit; None where x does not wrap."""
    if crs.is_geographic:
        return 2 * np.pi / crs.axis_info[0].unit_conversion_factor
    if crs.to_epsg() == 3857:
        return 2 * np.pi * crs.ellipsoid.semi_major_metre
    return None


def _crs_name(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code} ({crs.name})" if code else f"the map's CRS ({crs.name})"
