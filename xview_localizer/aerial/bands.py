"""The colour and opacity bands of a raster, and the mask of its pixels that hold imagery."""

from __future__ import annotations

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

from xview_localizer.aerial.tile_image import OPAQUE_FROM

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_OTHER_COLOURS = (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black) + (
    ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness,
)  # fmt: skip


def colour_bands(raster: DatasetReader) -> list[int]:
    """Numbers of the red, green and blue bands; grey is all three.

    By the file's colour interpretation, else by the bands' descriptions, else the first three that are not alpha.
    """
    by_name = dict(zip(raster.colorinterp, raster.indexes, strict=True))
    if all(colour in by_name for colour in _COLOURS):
        return [by_name[colour] for colour in _COLOURS]
    described = {
        (text or "").strip().lower(): band
        for text, band in zip(raster.descriptions, raster.indexes, strict=True)
    }
    if all(colour.name in described for colour in _COLOURS):
        return [described[colour.name] for colour in _COLOURS]
    ground = [band for band in raster.indexes if band != alpha_band(raster)]
    return ground[:3] if len(ground) >= 3 else ground[:1] * 3


def alpha_band(raster: DatasetReader) -> int | None:
    """Number of the band that holds opacity, wherever it stands (GDAL looks for it at 2 and 4 only)."""
    named = [
        band
        for colour, band in zip(raster.colorinterp, raster.indexes, strict=True)
        if colour is ColorInterp.alpha
    ]
    return named[-1] if named else None


def band_problem(raster: DatasetReader) -> str | None:
    """The reason why the bands are not 8-bit colours, with the remedy; None where they are."""
    if any(colour is ColorInterp.palette for colour in raster.colorinterp):
        return "holds palette colours; convert it with gdal_translate -expand rgb"
    if other := [colour.name for colour in raster.colorinterp if colour in _OTHER_COLOURS]:
        return f"holds {', '.join(other)}, not red, green and blue; convert it to RGB"
    if len(raster.indexes) == 1 and alpha_band(raster):
        return "holds opacity only, no colours"
    used = {*colour_bands(raster), alpha_band(raster) or 1}
    for band in sorted(used):
        if (kind := raster.dtypes[band - 1]) != "uint8":
            return f"holds {kind}, not 8-bit colours; convert it with gdal_translate -ot Byte -scale"
    return None


def read_colours(
    raster: DatasetReader, window: Window, shape: tuple[int, int], resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """RGB [*shape, 3] of a window and the mask [*shape] of pixels with imagery. Passes on rasterio's errors."""
    bands, alpha = colour_bands(raster), alpha_band(raster)
    image = raster.read(bands, window=window, out_shape=(3, *shape), resampling=resampling)
    # A pixel is nodata where all its colours are; other bands, such as infrared, do not count.
    masks = raster.read_masks(bands, window=window, out_shape=(3, *shape))
    seen = masks.any(axis=0)
    if alpha:
        # Resampled like the colours: a partly transparent pixel is a mixture of imagery and nothing.
        seen &= raster.read(alpha, window=window, out_shape=shape, resampling=resampling) >= OPAQUE_FROM
    return np.ascontiguousarray(image.transpose(1, 2, 0)), seen
