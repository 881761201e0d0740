"""Colours and opacity are found by the bands' interpretation, in whatever order."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from aerial_world import write_raster
from rasterio.enums import ColorInterp as C
from rasterio.enums import Resampling
from rasterio.windows import Window

from xview_localizer.aerial.bands import Bands, read_colours
from xview_localizer.aerial.raster import RasterMap
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

FRAME = LocalFrame(48.1, 11.6, 520.0)
VALUES = {C.red: 200, C.green: 150, C.blue: 100, C.undefined: 7, C.gray: 77}


def crop_of(path: Path, colours, descriptions=None, metres_per_pixel=0.25, **profile) -> AerialImage:
    """A raster whose west half is hidden where it has alpha, with the colours' values elsewhere."""
    bands = np.stack([np.full((400, 400), VALUES.get(colour, 255), np.uint8) for colour in colours])
    if C.alpha in colours:
        bands[:, :, :200] = 0
    options = {"photometric": "MINISBLACK"} | profile
    write_raster(path, bands, FRAME, **options)
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = colours
        if descriptions:
            raster.descriptions = descriptions
    return RasterMap(path, FRAME).read(Bounds.around(0, 0, 20), metres_per_pixel)


@pytest.mark.parametrize("order", list(itertools.permutations([C.red, C.green, C.blue])), ids=str)
def test_colours_in_any_order(tmp_path, order) -> None:
    crop = crop_of(tmp_path / "map.tif", order)
    assert crop.valid.all() and (crop.image == (200, 150, 100)).all()


@pytest.mark.parametrize(
    "colours",
    [
        (C.red, C.green, C.blue, C.undefined, C.alpha),
        (C.red, C.green, C.blue, C.alpha, C.undefined),
        (C.alpha, C.red, C.green, C.blue),
        (C.undefined, C.blue, C.alpha, C.green, C.red),
        (C.red, C.green, C.blue, C.undefined, C.undefined, C.undefined, C.alpha),
    ],
    ids=["rgbia", "rgbai", "argb", "ibagr", "seven bands"],
)
@pytest.mark.parametrize("metres_per_pixel", [0.25, 1.0])
def test_alpha_in_any_place(tmp_path, colours, metres_per_pixel) -> None:
    crop = crop_of(tmp_path / "map.tif", colours, metres_per_pixel=metres_per_pixel)
    assert crop.valid_ratio == pytest.approx(0.5, abs=0.06)
    assert np.abs(crop.image[crop.valid].astype(int) - (200, 150, 100)).max() <= 1


def test_a_negative_is_refused(tmp_path) -> None:
    grey = np.full((1, 400, 400), 90, np.uint8)
    write_raster(tmp_path / "map.tif", grey, FRAME, photometric="MINISWHITE")
    with pytest.raises(MapSourceError, match="is a negative, in which 0 is white"):
        RasterMap(tmp_path / "map.tif", FRAME)


def test_grey_with_alpha(tmp_path) -> None:
    crop = crop_of(tmp_path / "map.tif", (C.gray, C.alpha))
    assert crop.valid_ratio == pytest.approx(0.5, abs=0.03)
    assert (crop.image[crop.valid] == 77).all()


def test_opacity_may_be_a_mask_of_0_and_1(tmp_path) -> None:
    bands = np.full((4, 400, 400), 150, np.uint8)
    bands[3] = np.arange(400) >= 200
    write_raster(tmp_path / "map.tif", bands, FRAME, photometric="RGB", alpha="yes")
    crop = RasterMap(tmp_path / "map.tif", FRAME).read(Bounds.around(0, 0, 20), 0.25)
    assert crop.valid[:, 90:].all() and not crop.valid[:, :70].any()


def test_half_transparent_pixels_are_no_ground(tmp_path) -> None:
    bands = np.full((4, 400, 400), 90, np.uint8)
    bands[3, :, :200], bands[3, :, 200:] = 128, 255
    write_raster(tmp_path / "map.tif", bands, FRAME, photometric="RGB", alpha="yes")
    crop = RasterMap(tmp_path / "map.tif", FRAME).read(Bounds.around(0, 0, 20), 0.25)
    assert crop.valid_ratio == pytest.approx(0.5, abs=0.03)


def test_descriptions_name_the_colours_of_a_multispectral_camera(tmp_path) -> None:
    crop = crop_of(
        tmp_path / "map.tif",
        (C.gray, C.undefined, C.undefined, C.undefined),
        ("Blue", "Green", "Red", "NIR"),
    )
    assert (crop.image == (7, 7, 77)).all()


@pytest.mark.parametrize(
    "descriptions",
    [("Blue", "Green", "Red"), ("blue band", "green band", "red band"), ("b1: blue", "b2: green", "b3: red")]
    + [
        ("B", "G", "R"),
        ("Blau", "Grün", "Rot"),
        ("bande bleue: bleu", "vert", "rouge"),
        ("azul", "verde", "rojo"),
    ],
    ids=lambda names: names[0],
)
@pytest.mark.parametrize("colours", [(C.red, C.green, C.blue), (C.gray, C.undefined, C.undefined)], ids=str)
def test_descriptions_overrule_the_order_that_writers_assume(tmp_path, colours, descriptions) -> None:
    crop = crop_of(tmp_path / "map.tif", colours, descriptions)
    values = [VALUES[colour] for colour in colours]
    assert (crop.image == values[::-1]).all()


@pytest.mark.parametrize(
    "descriptions", [("NIR", "Red", "Green"), ("near infrared", "red", "green"), ("N", "R", "G")]
)
def test_without_blue_green_stands_in_and_the_map_is_doubtful(tmp_path, descriptions) -> None:
    crop = crop_of(tmp_path / "map.tif", (C.red, C.green, C.blue), descriptions)
    assert (crop.image == (150, 100, 100)).all()
    assert "infrared but no blue band" in crop.warnings[0]
    crop = crop_of(tmp_path / "map.tif", (C.red, C.green, C.blue, C.undefined), (*descriptions, "Blue"))
    assert (crop.image == (150, 100, 7)).all() and not crop.warnings


def test_infrared_that_is_declared_as_opacity_hides_nothing(tmp_path) -> None:
    """As GDAL writes a fourth band without ALPHA=NO."""
    bands = np.full((4, 400, 400), 90, np.uint8)
    bands[3] = np.random.default_rng(0).integers(0, 250, (400, 400))
    write_raster(tmp_path / "map.tif", bands, FRAME, photometric="RGB", alpha="yes")
    crop = RasterMap(tmp_path / "map.tif", FRAME).read(Bounds.around(0, 0, 20), 0.25)
    assert crop.valid.all() and (crop.image == 90).all()


def test_nodata_of_the_colours_counts_and_of_other_bands_does_not(tmp_path) -> None:
    bands = np.full((4, 400, 400), 90, np.uint8)
    bands[:3, :, :200] = 0  # infrared still has values there
    bands[3, :, 200:] = 0
    write_raster(tmp_path / "map.tif", bands, FRAME, photometric="RGB", alpha="unspecified", nodata=0)
    crop = RasterMap(tmp_path / "map.tif", FRAME).read(Bounds.around(0, 0, 20), 0.25)
    assert crop.valid_ratio == pytest.approx(0.5, abs=0.03)
    assert (crop.image[crop.valid] == 90).all()


@pytest.mark.parametrize(
    ("colours", "complaint"),
    [
        ((C.cyan, C.magenta, C.yellow, C.black), "holds cyan, magenta, yellow, black.*convert it to RGB"),
        ((C.hue, C.saturation, C.lightness), "holds hue"),
        ((C.alpha,), "opacity only"),
    ],
)
def test_other_colours_are_refused(tmp_path, colours, complaint) -> None:
    with pytest.raises(MapSourceError, match=complaint):
        crop_of(tmp_path / "map.tif", colours)


class CountedReads:
    """A raster, and how often its colours were read."""

    def __init__(self, raster) -> None:
        self._raster, self.reads = raster, 0

    def __getattr__(self, name: str):
        return getattr(self._raster, name)

    def read(self, *args, **options):
        self.reads += 1
        return self._raster.read(*args, **options)


@pytest.mark.parametrize(("side_px", "reads"), [(400, 1), (100, 2)])
def test_colours_are_read_once_where_they_are_not_averaged(tmp_path, side_px, reads) -> None:
    """With a nodata value beside a mask band, which GDAL ignores then."""
    write_raster(tmp_path / "map.tif", np.full((3, 400, 400), 90, np.uint8), FRAME, nodata=90)
    with rasterio.open(tmp_path / "map.tif", "r+") as raster:
        raster.write_mask(np.full((400, 400), 255, np.uint8))
    with rasterio.open(tmp_path / "map.tif") as raster:
        counted, bands = CountedReads(raster), Bands((1, 2, 3), None)
        resampling = Resampling.nearest if side_px == 400 else Resampling.average
        _, seen = read_colours(counted, bands, Window(0, 0, 400, 400), (side_px, side_px), resampling)
    assert counted.reads == reads and not seen.any()
