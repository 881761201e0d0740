"""GeoTIFF and COG maps in any CRS, warped into the local frame."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.windows import Window

from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.warp import lookup_geodetic, resample
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame


class RasterMap:
    """A georeferenced raster file (8-bit RGB or grey), read window by window with its overviews. Thread-safe.

    Raises MapSourceError where the file cannot be opened, has no CRS or is not 8-bit.
    """

    def __init__(self, path: Path | str, frame: LocalFrame) -> None:
        self._path, self._frame = Path(path), frame
        self._lock = threading.Lock()
        try:
            self._raster = rasterio.open(self._path)
        except rasterio.errors.RasterioIOError as error:
            raise MapSourceError(f"cannot open the map {self._path}: {error}") from error
        if self._raster.crs is None:
            raise MapSourceError(f"{self._path} has no coordinate reference system; assign one with gdal_edit.py -a_srs")
        if self._raster.dtypes[0] != "uint8":
            raise MapSourceError(f"{self._path} holds {self._raster.dtypes[0]}, 8-bit colours are needed; convert it with gdal_translate -ot Byte -scale")
        self._from_geodetic = Transformer.from_crs(4326, self._raster.crs, always_xy=True)

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = RasterGrid.covering(bounds, metres_per_pixel)
        column, row = self._pixels(grid)
        window = _window(column, row, self._raster.width, self._raster.height)
        if window is None:
            blank = np.zeros((grid.rows, grid.columns), bool)
            return AerialImage(np.zeros((*blank.shape, 3), np.uint8), blank, grid)
        # Source pixels per output pixel; a coarser crop is read from overviews, averaged.
        step = float(np.median(np.hypot(np.diff(column, axis=1), np.diff(row, axis=1))))
        reduction = max(1.0, step)
        shape = (max(1, round(window.height / reduction)), max(1, round(window.width / reduction)))
        bands = [1, 2, 3] if self._raster.count >= 3 else [1, 1, 1]
        try:
            with self._lock:
                resampling = rasterio.enums.Resampling.average if reduction > 1 else rasterio.enums.Resampling.nearest
                image = self._raster.read(bands, window=window, out_shape=(3, *shape), resampling=resampling)
                mask = self._raster.dataset_mask(window=window, out_shape=shape)
        except rasterio.errors.RasterioError as error:
            raise MapSourceError(f"cannot read the map {self._path}: {error}") from error
        scale = np.array([shape[1] / window.width, shape[0] / window.height])
        uv = (np.stack([column - window.col_off, row - window.row_off], axis=-1)) * scale
        return resample(np.ascontiguousarray(image.transpose(1, 2, 0)), mask > 0, uv, grid)

    def _pixels(self, grid: RasterGrid) -> tuple[np.ndarray, np.ndarray]:
        """Source column and row (pixel centres at +0.5) of every output pixel [rows, columns]."""

        def to_pixel(latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> np.ndarray:
            x, y = self._from_geodetic.transform(longitude_deg, latitude_deg)
            inverse = ~self._raster.transform
            return np.stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f], axis=-1)

        uv = lookup_geodetic(grid, self._frame, to_pixel)
        return uv[..., 0], uv[..., 1]


def _window(column: np.ndarray, row: np.ndarray, width: int, height: int, margin_px: int = 2) -> Window | None:
    """The part of the raster that the crop needs, or None where they do not overlap."""
    if not (np.all(np.isfinite(column)) and np.all(np.isfinite(row))):
        return None
    left, right = max(0, int(column.min()) - margin_px), min(width, int(column.max()) + 1 + margin_px)
    top, bottom = max(0, int(row.min()) - margin_px), min(height, int(row.max()) + 1 + margin_px)
    if left >= right or top >= bottom:
        return None
    return Window(left, top, right - left, bottom - top)
