"""GeoTIFF and COG maps in any CRS, warped into the local frame."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from xview_localizer.aerial.source import AerialImage, MapSourceError, SourceLevel, crop_grid
from xview_localizer.aerial.warp import lookup_geodetic, resample, source_step
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame


def open_raster(path: Path) -> rasterio.DatasetReader:
    """Open a georeferenced raster of 8-bit colours. Raises MapSourceError naming what is wrong with it."""
    try:
        raster = rasterio.open(path)
    except RasterioError as error:
        raise MapSourceError(f"cannot open the map {path}: {error}") from error
    if problem := _problem(raster):
        raster.close()
        raise MapSourceError(f"{path} {problem}")
    return raster


def _problem(raster: rasterio.DatasetReader) -> str | None:
    """What keeps a raster from being a map, and the remedy."""
    if raster.crs is None:
        return "has no coordinate reference system; assign one with gdal_edit.py -a_srs"
    if raster.transform.is_degenerate:
        return (
            "has a singular geotransform, which puts all its pixels on one line or point; georeference it, "
            "or export it again in a projected CRS or WGS84"
        )
    if raster.dtypes[0] != "uint8":
        return f"holds {raster.dtypes[0]}, not 8-bit colours; convert it with gdal_translate -ot Byte -scale"
    if raster.colorinterp[0] == ColorInterp.palette:
        return "holds palette colours; convert it with gdal_translate -expand rgb"
    try:
        _transformer(raster)
    except ProjError:  # photogrammetry without GNSS or control points writes such
        return (
            f"has coordinates without a place on Earth ({raster.crs.to_string():.60}…); georeference it, "
            "or export it in a projected CRS or WGS84"
        )
    return None


def _transformer(raster: rasterio.DatasetReader) -> Transformer:
    """From longitude and latitude in degrees to the raster's CRS."""
    return Transformer.from_crs(4326, raster.crs, always_xy=True)


def colour_bands(raster: rasterio.DatasetReader) -> list[int]:
    """Numbers of the red, green and blue bands; grey is all three."""
    return [1, 2, 3] if raster.count >= 3 else [1, 1, 1]


class RasterMap:
    """A georeferenced raster file (8-bit RGB or grey), read window by window with its overviews. Thread-safe.

    Raises MapSourceError where the file cannot be opened, has no place on Earth or no 8-bit colours.
    """

    def __init__(self, path: Path | str, frame: LocalFrame) -> None:
        self._path, self._frame = Path(path), frame
        self._lock = threading.Lock()
        self._raster = open_raster(self._path)
        self._from_geodetic = _transformer(self._raster)

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = crop_grid(bounds, metres_per_pixel)
        uv = self._lookup(grid)
        window = _window(uv, self._raster.width, self._raster.height)
        if window is None:
            blank = np.zeros((grid.rows, grid.columns), bool)
            return AerialImage(np.zeros((*blank.shape, 3), np.uint8), blank, grid)
        # A coarser crop is averaged while it is read, from overviews where the file has them.
        reduction = max(1.0, source_step(uv))
        shape = max(1, round(window.height / reduction)), max(1, round(window.width / reduction))
        resampling = Resampling.average if reduction > 1 else Resampling.nearest
        try:
            with self._lock:
                image = self._raster.read(
                    colour_bands(self._raster), window=window, out_shape=(3, *shape), resampling=resampling
                )
                mask = self._raster.dataset_mask(window=window, out_shape=shape)
        except RasterioError as error:
            raise MapSourceError(f"cannot read the map {self._path}: {error}") from error
        scale = shape[1] / window.width, shape[0] / window.height
        uv = (uv - (window.col_off, window.row_off)) * scale
        return AerialImage(*resample(np.ascontiguousarray(image.transpose(1, 2, 0)), mask > 0, uv), grid)

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        step = source_step(self._lookup(RasterGrid.centred(x_m, y_m, metres_per_pixel, 2, 2)))
        raster = self._raster
        size = f"{raster.width} × {raster.height} px"
        return SourceLevel(metres_per_pixel / step, f"{raster.driver} of {size} in {_crs_name(raster.crs)}")

    def _lookup(self, grid: RasterGrid) -> np.ndarray:
        """Source pixels [rows, columns, 2] (centres at +0.5) of every output pixel."""
        inverse = ~self._raster.transform

        def to_pixel(latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> np.ndarray:
            x, y = self._from_geodetic.transform(longitude_deg, latitude_deg)
            column = inverse.a * x + inverse.b * y + inverse.c
            row = inverse.d * x + inverse.e * y + inverse.f
            return np.stack([column, row], axis=-1)

        return lookup_geodetic(grid, self._frame, to_pixel)


def _crs_name(crs: rasterio.crs.CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else "a CRS of its own"


def _window(uv: np.ndarray, width: int, height: int, margin_px: int = 2) -> Window | None:
    """The part of the raster that the crop needs, or None where they do not overlap."""
    if not np.isfinite(uv).all():
        return None
    (least_u, least_v), (most_u, most_v) = uv.min(axis=(0, 1)), uv.max(axis=(0, 1))
    left, right = max(0, int(least_u) - margin_px), min(width, int(most_u) + 1 + margin_px)
    top, bottom = max(0, int(least_v) - margin_px), min(height, int(most_v) + 1 + margin_px)
    if left >= right or top >= bottom:
        return None
    return Window(left, top, right - left, bottom - top)
