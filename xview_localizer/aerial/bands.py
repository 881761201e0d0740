"""The colour and opacity bands of a raster, and the mask of its pixels that hold imagery."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.windows import Window

from xview_localizer.aerial.tile_image import OPAQUE_FROM

_COLOURS = ("red", "green", "blue")
_OTHER_COLOURS = (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black) + (
    ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness,
)  # fmt: skip
# Words that name a band in descriptions; the first that fits counts.
_WORDS = {
    "nir": ("nir", "infrared", "infrarot", "infrarouge", "infrarrojo"),
    "red edge": ("rededge", "edge"),
    # English, German, French, Spanish, Italian, Portuguese and Dutch.
    "red": ("red", "rot", "rouge", "rojo", "rosso", "vermelho", "rood"),
    "green": ("green", "grün", "gruen", "vert", "verde", "groen"),
    "blue": ("blue", "blau", "bleu", "azul", "blu", "blauw"),
}
# Letters name a band where they are all of its description.
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir", "ir": "nir"}
# Whether an alpha band holds opacity is judged in this many windows across and down, each this many pixels wide.
_WINDOWS, _WINDOW_PX = 3, 64

NO_BLUE = (
    "the map has infrared but no blue band (a CIR photo); green stands in for blue, and poses come seldom and are less "
    "sure; take the photo in true colours"
)


@dataclass(frozen=True)
class Bands:
    """Numbers of a raster's bands: those of red, green and blue, and of opacity where it has one."""

    colours: tuple[int, int, int]
    alpha: int | None
    opaque_from: int = OPAQUE_FROM  # least opacity of a pixel with imagery
    warning: str = ""  # what makes poses found in these colours doubtful, with a remedy


def find_bands(raster: DatasetReader) -> Bands:
    """The bands by their descriptions, else by the file's colour interpretation, else the first three but for alpha.

    Writers declare the first three bands as red, green and blue of their own accord; descriptions are deliberate. Grey
    is all three colours. Where infrared, red and green are named and blue is not, green stands in for blue.
    """
    alpha = _alpha_band(raster)
    counts = _sampled_counts(raster, alpha) if alpha else None
    if counts is not None and not _are_of_opacity(counts):
        alpha = None  # GDAL declares a fourth band as alpha by default, also where it holds infrared
    is_flag = counts is not None and counts[1] and not counts[2:].any()  # a mask written as 0 and 1
    opaque_from = 1 if is_flag else OPAQUE_FROM
    described = _described_bands(raster)
    named = {
        colour.name: band
        for colour, band in zip(raster.colorinterp, raster.indexes, strict=True)
        if band not in described.values()
    } | described
    if all(colour in named for colour in _COLOURS):
        return Bands((named["red"], named["green"], named["blue"]), alpha, opaque_from)
    if {"nir", "red", "green"} <= named.keys():
        return Bands((named["red"], named["green"], named["green"]), alpha, opaque_from, NO_BLUE)
    ground = [band for band in raster.indexes if band != alpha]
    first = ground if len(ground) >= 3 else ground[:1] * 3
    return Bands((first[0], first[1], first[2]), alpha, opaque_from)


def _described_bands(raster: DatasetReader) -> dict[str, int]:
    """Bands by what their descriptions name: a colour, "nir" or "red edge"."""
    found: dict[str, int] = {}
    for text, band in zip(raster.descriptions, raster.indexes, strict=True):
        text = (text or "").strip().lower()
        words = set(re.split(r"[\W_\d]+", text))
        name = next((name for name, known in _WORDS.items() if words & set(known)), _LETTERS.get(text))
        if name:
            found.setdefault(name, band)
    return found


def _alpha_band(raster: DatasetReader) -> int | None:
    """Number of the band that is declared as opacity, wherever it stands (GDAL looks for it at 2 and 4 only)."""
    named = [
        band
        for colour, band in zip(raster.colorinterp, raster.indexes, strict=True)
        if colour is ColorInterp.alpha
    ]
    return named[-1] if named else None


def _sampled_counts(raster: DatasetReader, band: int) -> np.ndarray | None:
    """How often each value [256] occurs in windows all over an 8-bit band; None for others and damaged ones."""
    if raster.dtypes[band - 1] != "uint8":
        return None
    shares = (np.arange(_WINDOWS) + 0.5) / _WINDOWS
    samples = []
    for row in shares * raster.height - _WINDOW_PX / 2:
        for column in shares * raster.width - _WINDOW_PX / 2:
            window = Window(max(0, int(column)), max(0, int(row)), _WINDOW_PX, _WINDOW_PX)
            try:
                samples.append(raster.read(band, window=window).ravel())
            except Exception:  # a damaged file is reported where it is read
                return None
    return np.bincount(np.concatenate(samples), minlength=256)


def _are_of_opacity(counts: np.ndarray) -> bool:
    """Whether a band of values so frequent is a mask: opaque, transparent, or half transparent by one value."""
    between = counts[1:OPAQUE_FROM]
    return bool(between.sum() - between.max() <= 0.5 * counts[1:].sum())


def band_problem(raster: DatasetReader) -> str | None:
    """The reason why the bands are not 8-bit colours, with the remedy; None where they are."""
    if any(colour is ColorInterp.palette for colour in raster.colorinterp):
        return "holds palette colours; convert it with gdal_translate -expand rgb"
    if other := [colour.name for colour in raster.colorinterp if colour in _OTHER_COLOURS]:
        return f"holds {', '.join(other)}, not red, green and blue; convert it to RGB"
    if raster.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        return (
            "is a negative, in which 0 is white; convert it with gdal_translate -scale 0 255 255 0 "
            "-co PHOTOMETRIC=MINISBLACK"
        )
    if len(raster.indexes) == 1 and _alpha_band(raster):
        return "holds opacity only, no colours"
    bands = find_bands(raster)
    for band in sorted({*bands.colours, bands.alpha or 1}):
        if (kind := raster.dtypes[band - 1]) != "uint8":
            return f"holds {kind}, not 8-bit colours; convert it with gdal_translate -ot Byte -scale"
    return None


def _colour_masks(raster: DatasetReader, colours: list[int], window: Window, image: np.ndarray) -> np.ndarray:
    """Masks [3, H, W] by nodata values and mask bands; opacity is not among them (see Bands.alpha).

    `image` [3, H, W] is what was read of the window; where it is smaller than that, its colours may be averages.
    """
    shape = image.shape[1:]
    flags = raster.mask_flag_enums[colours[0] - 1]
    if MaskFlags.alpha in flags:
        return np.ones((3, *shape), np.uint8)
    masks = raster.read_masks(colours, window=window, out_shape=(3, *shape))
    # GDAL ignores nodata values where there is a mask band. A band without a nodata value has NaN here.
    nodata = np.array([raster.nodatavals[band - 1] for band in colours], dtype=float)
    if MaskFlags.per_dataset in flags and np.isfinite(nodata).any():
        reduced = shape != (window.height, window.width)
        values = raster.read(colours, window=window, out_shape=image.shape) if reduced else image
        hole = (values == nodata[:, None, None]).all(axis=0).astype(np.uint8)
        if reduced:  # pixels beside a hole are a mixture of imagery and nodata
            hole = cv2.dilate(hole, np.ones((3, 3), np.uint8))
        masks[:, hole > 0] = 0
    return masks


def read_colours(
    raster: DatasetReader, bands: Bands, window: Window, shape: tuple[int, int], resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """RGB [*shape, 3] of a window and the mask [*shape] of pixels with imagery. Passes on rasterio's errors."""
    colours = list(bands.colours)
    image = raster.read(colours, window=window, out_shape=(3, *shape), resampling=resampling)
    # A pixel is nodata where all its colours are; other bands, such as infrared, do not count.
    seen = _colour_masks(raster, colours, window, image).any(axis=0)
    if bands.alpha:
        # Resampled like the colours: a partly transparent pixel is a mixture of imagery and nothing.
        opacity = raster.read(bands.alpha, window=window, out_shape=shape, resampling=resampling)
        seen &= opacity >= bands.opaque_from
    return np.ascontiguousarray(image.transpose(1, 2, 0)), seen
