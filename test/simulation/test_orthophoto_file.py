"""Windows of a georeferenced orthophoto: where they lie, what is held out, and what is refused."""

import cv2
import numpy as np
import pytest
import rasterio

from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.simulation.geotiff import write_utm_geotiff
from xview_localizer.simulation.orthophoto_file import OrthophotoFile
from xview_localizer.simulation.photo import OrthophotoError

PIXEL_M = 0.5


def written(path, image, valid=None):
    """A GeoTIFF of `image` at 0.5 m/px."""
    grid = RasterGrid.centred(0.0, 0.0, PIXEL_M, *image.shape[:2])
    aerial = AerialImage(image, np.ones(image.shape[:2], bool), grid)
    write_utm_geotiff(path, aerial, LocalFrame(48.1, 11.5, 0.0))
    if valid is not None:
        with rasterio.open(path, "r+") as raster:
            mask = cv2.resize(valid.astype(np.uint8), (raster.width, raster.height)) > 0
            raster.write_mask(mask & (raster.dataset_mask() > 0))
    return path


def stripes(rows, columns):
    """Red grows by 1 each 4 m to the east; green is noise."""
    image = np.zeros((rows, columns, 3), np.uint8)
    image[..., 0] = np.arange(columns) // 8
    image[..., 1] = np.random.default_rng(0).integers(60, 200, (rows, columns))
    return image


def test_held_out_windows_lie_elsewhere(tmp_path):
    path = written(tmp_path / "wide.tif", stripes(300, 1600))
    middles_m = []
    for held_out in (False, True):
        source = OrthophotoFile(path, held_out)
        photos = [source.photo(np.random.default_rng(seed)) for seed in range(12)]
        assert all(photo.metres_per_pixel == pytest.approx(PIXEL_M, rel=0.01) for photo in photos)
        middles_m.append([4 * float(np.median(photo.image[..., 0])) for photo in photos])
    learned, held = middles_m
    assert max(learned) < min(held) - 25
    assert min(learned) < 250 and max(held) > 650  # of 800 m


def test_windows_are_drawn_by_the_seed(tmp_path):
    path = written(tmp_path / "site.tif", stripes(400, 400))
    first, again, other = (
        OrthophotoFile(path).photo(np.random.default_rng(seed)).image for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_holes_are_filled_and_windows_without_imagery_passed_over(tmp_path):
    image = stripes(300, 1000)
    valid = np.ones((300, 1000), bool)
    valid[:, :300] = False
    valid[140:150, 700:710] = False
    path = written(tmp_path / "half.tif", image, valid)
    for seed in range(6):
        photo = OrthophotoFile(path).photo(np.random.default_rng(seed))
        assert (photo.image.max(axis=-1) > 20).all()


def test_unfit_files_are_named(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(OrthophotoError, match=r"small\.tif shows 3\d × 10\d m"):
        OrthophotoFile(written(tmp_path / "small.tif", stripes(200, 60))).photo(rng)
    with pytest.raises(OrthophotoError, match=r"grey\.tif shows no texture"):
        OrthophotoFile(written(tmp_path / "grey.tif", np.full((300, 300, 3), 90, np.uint8))).photo(rng)
    with pytest.raises(OrthophotoError, match=r"empty\.tif has no window with imagery"):
        empty = written(tmp_path / "empty.tif", stripes(300, 300), np.zeros((300, 300), bool))
        OrthophotoFile(empty).photo(rng)
    cv2.imwrite(str(tmp_path / "plain.jpg"), stripes(300, 300))
    with pytest.raises(MapSourceError, match=r"plain\.jpg has no coordinate reference system"):
        OrthophotoFile(tmp_path / "plain.jpg").photo(rng)
