"""Georeferenced rasters (GeoTIFF, COG, VRT, JPEG 2000, images with a world file) in any CRS, warped into `map`."""

from __future__ import annotations

import inspect
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS, Geod
from pyproj.exceptions import CRSError, ProjError
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import FilePath
from rasterio.windows import Window

from xview_localizer.aerial.bands import band_problem, find_bands, read_colours
from xview_localizer.aerial.raster_crs import Placement, raster_crs
from xview_localizer.aerial.raster_problems import georeference_problem, storage_problem
from xview_localizer.aerial.remote_file import PATH, RemoteFile, RemoteReader
from xview_localizer.aerial.source import AerialImage, MapSourceError, SourceLevel, crop_grid
from xview_localizer.aerial.warp import lookup_geodetic, resample, source_step
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame

# Errors of GDAL and its drivers; versions of rasterio wrap them differently.
_READ_ERRORS = (RasterioError, CPLE_BaseError, OSError, ValueError, SystemError)

MARGIN_PX = 2  # around the pixels of a window, for interpolation


class Raster:
    """An open raster file of 8-bit colours with a place on Earth. Thread-safe.

    Raises MapSourceError where the file cannot be opened, has no place on Earth or no 8-bit colours.
    """

    def __init__(self, place: Path | str | RemoteFile) -> None:
        self._remote = place if isinstance(place, RemoteFile) else None
        self.name = place.name if self._remote else str(place)
        self._lock = threading.Lock()
        self._raster, self._must_reopen = _opened(place), False
        try:
            self.crs = _checked(self._raster, Path(self.name))
            self.bands = find_bands(self._raster)
            middle = self._raster.width / 2, self._raster.height / 2
            self._placement = Placement(self.crs, *self._plane_from_pixels(*middle))
        except MapSourceError:
            self._raster.close()
            raise
        except CRSError as error:
            self._raster.close()
            raise MapSourceError(f"{self.name}: {error}") from error
        except ProjError as error:  # written by photogrammetry without GNSS or control points
            self._raster.close()
            raise MapSourceError(
                f"{self.name} has coordinates without a place on Earth ({self._raster.crs.to_string():.60}…); "
                "georeference it, or export it in a projected CRS or WGS84"
            ) from error

    @property
    def detail(self) -> str:
        """Driver, size and CRS."""
        code = self.crs.to_epsg()
        size = f"{self._raster.width} × {self._raster.height} px"
        return f"{self._raster.driver} of {size} in {f'EPSG:{code}' if code else 'a CRS of its own'}"

    def warnings(self) -> tuple[str, ...]:
        """What makes poses found in the raster doubtful, each with a remedy: its CRS on WGS84, its colours."""
        return tuple(filter(None, (self._placement.warning(), self.bands.warning)))

    def outline(self, points: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Latitudes and longitudes [4 points] in degrees along the edges, and metres per pixel.

        `points` are sampled on each edge; a point without a place on Earth is infinite.
        """
        width, height = self._raster.width, self._raster.height
        along, first, last = np.linspace(0, 1, points), np.zeros(points), np.ones(points)
        # The last two are a pixel's height apart, in the middle.
        u = width * np.concatenate([along, along, first, last, [0.5, 0.5]])
        v = height * np.concatenate([first, last, along, along, [0.5, 0.5 + 1 / height]])
        latitude_deg, longitude_deg = self._placement.geodetic_from_plane(*self._plane_from_pixels(u, v))
        *_, length_m = Geod(ellps="WGS84").inv(
            longitude_deg[-2], latitude_deg[-2], longitude_deg[-1], latitude_deg[-1]
        )
        return latitude_deg[:-2], longitude_deg[:-2], float(length_m)

    def pixels(self, latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] (centres at +0.5) of places [...]; the longitudes must not jump by 360°."""
        inverse = ~self._raster.transform
        x, y = self._placement.plane_from_geodetic(longitude_deg, latitude_deg)
        column = inverse.a * x + inverse.b * y + inverse.c
        row = inverse.d * x + inverse.e * y + inverse.f
        return np.stack([column, row], axis=-1)

    def _plane_from_pixels(self, u: Any, v: Any) -> tuple[Any, Any]:
        """x and y in the CRS, numbers or arrays as the pixels' columns `u` and rows `v` (centres at +0.5)."""
        affine = self._raster.transform
        return affine.a * u + affine.b * v + affine.c, affine.d * u + affine.e * v + affine.f

    def covers(self, uv: np.ndarray) -> bool:
        """Whether any of the pixels `uv` [rows, columns, 2] lies in the raster."""
        return _window(uv, self._raster.width, self._raster.height) is not None

    def sample(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """RGB [rows, columns, 3] at pixels `uv` [rows, columns, 2] and the mask [rows, columns] of imagery.

        Raises MapSourceError where the file cannot be read.
        """
        window = _window(uv, self._raster.width, self._raster.height)
        if window is None:
            return np.zeros((*uv.shape[:2], 3), np.uint8), np.zeros(uv.shape[:2], bool)
        # A coarser crop is averaged while it is read, from overviews where the file has them.
        reduction = max(1.0, source_step(uv))
        shape = max(1, round(window.height / reduction)), max(1, round(window.width / reduction))
        resampling = Resampling.average if reduction > 1 else Resampling.nearest
        image, seen = self._read(window, shape, resampling)
        scale = shape[1] / window.width, shape[0] / window.height
        return resample(image, seen, (uv - (window.col_off, window.row_off)) * scale)

    def _read(
        self, window: Window, shape: tuple[int, int], resampling: Resampling
    ) -> tuple[np.ndarray, np.ndarray]:
        remote = self._remote
        with self._lock:
            failures = remote.failures if remote else 0
            try:
                if self._must_reopen:
                    self._raster, self._must_reopen = _opened(remote), False
                image, seen = read_colours(self._raster, self.bands, window, shape, resampling)
            except _READ_ERRORS as error:
                if not (remote and remote.failures > failures):
                    cause = error.__cause__ or error  # rasterio's own says "see previous exception"
                    raise MapSourceError(
                        f"cannot read the map {self.name}: {cause}; is it, or a file that it refers to, missing, "
                        "damaged or cut short? Copy it again"
                    ) from error
            # After a failed request GDAL raises an error or reads zeros, and never requests those bytes again.
            if remote and remote.failures > failures:
                self._must_reopen = True
                raise remote.failure
        return image, seen


class RasterMap:
    """A raster file as a map source, read window by window with its overviews. Thread-safe; see Raster."""

    def __init__(self, place: Path | str | RemoteFile, frame: LocalFrame) -> None:
        self.raster, self._frame = Raster(place), frame
        self._warnings = self.raster.warnings()

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = crop_grid(bounds, metres_per_pixel)
        return AerialImage(*self.raster.sample(self._lookup(grid)), grid, warnings=self._warnings)

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        uv = self._lookup(RasterGrid.centred(x_m, y_m, metres_per_pixel, 2, 2))
        detail = self.raster.detail if self.raster.covers(uv) else f"{self.raster.detail}, {self._where()}"
        return SourceLevel(metres_per_pixel / source_step(uv), detail, self._warnings)

    def _where(self) -> str:
        """How far the raster is from the datum: by that, wrong CRSs and swapped coordinates are recognized."""
        latitude_deg, longitude_deg, _ = self.raster.outline(2)
        if not (np.isfinite(latitude_deg).all() and np.abs(latitude_deg).max() <= 90):
            return "whose coordinates lie outside of its CRS: it has another one, or x and y are swapped"
        corner_km = [
            1e-3 * self._frame.distance_m(*at) for at in zip(latitude_deg, longitude_deg, strict=True)
        ]
        nearest = np.argmin(corner_km)
        return (
            f"whose nearest corner, at latitude {latitude_deg[nearest]:.4f} and longitude "
            f"{longitude_deg[nearest]:.4f}, is {corner_km[nearest]:.1f} km away"
        )

    def _lookup(self, grid: RasterGrid) -> np.ndarray:
        """Source pixels [rows, columns, 2] (centres at +0.5) of every output pixel."""
        return lookup_geodetic(grid, self._frame, self.raster.pixels)


def _opened(place: Path | str | RemoteFile) -> rasterio.DatasetReader:
    remote = place if isinstance(place, RemoteFile) else None
    path = remote.name if remote else Path(place)
    if not remote and not path.exists():
        raise MapSourceError(
            f"cannot open the map {path}: there is no such file on this machine (No such file)"
        )
    try:
        with warnings.catch_warnings():
            # _checked raises an error with the remedy instead.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return _opened_remote(remote) if remote else rasterio.open(path)
    except _READ_ERRORS as error:
        if remote and remote.failure:
            raise remote.failure from error
        advice = "is it a whole GeoTIFF, or a web page that was saved instead?"
        raise MapSourceError(f"cannot open the map {path}: {error} ({advice})") from error


def _opened_remote(remote: RemoteFile) -> rasterio.DatasetReader:
    """A dataset whose bytes are read by RemoteFile: GDAL's own HTTP client has no deadline for a whole request.

    Only as a TIFF: other formats, such as a VRT, may name further files.
    """
    if "opener" in inspect.signature(rasterio.open).parameters:
        return rasterio.open(PATH, opener=remote.open, driver="GTiff")
    return FilePath(RemoteReader(remote)).open(driver="GTiff")  # rasterio 1.3


def _checked(raster: rasterio.DatasetReader, path: Path) -> CRS:
    """The CRS of a usable map raster. Raises MapSourceError with the remedy where it is not usable, and CRSError."""
    crs = None
    problem = georeference_problem(raster) or storage_problem(raster) or band_problem(raster)
    if not problem:
        crs = raster_crs(raster, path)
        if crs is None:
            problem = (
                "has no coordinate reference system; assign one with gdal_edit.py -a_srs, or write it (such as "
                f"EPSG:25832) into {path.with_suffix('.prj').name} beside it"
            )
    if problem:
        raise MapSourceError(f"{path} {problem}")
    return crs


def _window(uv: np.ndarray, width: int, height: int) -> Window | None:
    """The part of the raster that the pixels `uv` [rows, columns, 2] need; None where they do not overlap."""
    if not np.isfinite(uv).all():
        return None
    (least_u, least_v), (most_u, most_v) = uv.min(axis=(0, 1)), uv.max(axis=(0, 1))
    left, right = max(0, int(least_u) - MARGIN_PX), min(width, int(most_u) + 1 + MARGIN_PX)
    top, bottom = max(0, int(least_v) - MARGIN_PX), min(height, int(most_v) + 1 + MARGIN_PX)
    if left >= right or top >= bottom:
        return None
    return Window(left, top, right - left, bottom - top)
