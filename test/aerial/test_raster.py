"""GeoTIFF maps: colours, masks, projections, and files that are no maps."""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from aerial_world import write_raster
from pyproj import Transformer
from pyproj.transformer import AreaOfInterest, TransformerGroup
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from xview_localizer.aerial.open import open_map_source, probe_map
from xview_localizer.aerial.raster import RasterMap
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

FRAME = LocalFrame(48.1, 11.6, 520.0)
# As photogrammetry writes it without GNSS and control points.
LOCAL_WKT = (
    'LOCAL_CS["Local Coordinates (m)",LOCAL_DATUM["Local Datum",0],UNIT["metre",1],'
    'AXIS["X",EAST],AXIS["Y",NORTH]]'
)


def write(path: Path, bands: np.ndarray, *args, **profile) -> Path:
    return write_raster(path, bands, FRAME, *args, **profile)


def halves(count: int = 3, side: int = 400) -> np.ndarray:
    """West half red, east half blue (bands beyond the third: 255)."""
    bands = np.full((count, side, side), 255, np.uint8)
    bands[:3] = 0
    bands[0, :, : side // 2] = 200
    bands[2, :, side // 2 :] = 100
    return bands


@pytest.mark.parametrize(
    ("epsg", "pixel"),
    [(32632, 0.25), (25832, 0.25), (31468, 0.25), (3857, 0.4), (4326, 3e-6), (3035, 0.25)],
    ids=["utm", "etrs89-utm", "gauss-krueger", "web-mercator", "geographic", "laea-europe"],
)
def test_any_crs_gives_north_up_colours(tmp_path, epsg, pixel) -> None:
    source = RasterMap(write(tmp_path / "map.tif", halves(), epsg, pixel), FRAME)
    crop = source.read(Bounds.around(0, 0, 15), 0.25)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image[60, 30], (200, 0, 0))
    np.testing.assert_array_equal(crop.image[60, 90], (0, 0, 100))


def test_a_turned_raster_is_made_north_up(tmp_path) -> None:
    east, north = Transformer.from_crs(4326, 32632, always_xy=True).transform(11.6, 48.1)
    turned = Affine(0, 0.25, east - 50, 0.25, 0, north - 50)  # columns run north, rows run east
    source = RasterMap(write(tmp_path / "map.tif", halves(), transform=turned), FRAME)
    crop = source.read(Bounds.around(0, 0, 15), 0.25)
    np.testing.assert_array_equal(crop.image[90, 60], (200, 0, 0))  # the raster's left is the south
    np.testing.assert_array_equal(crop.image[30, 60], (0, 0, 100))


def test_grey_and_four_bands(tmp_path) -> None:
    grey = RasterMap(write(tmp_path / "grey.tif", np.full((1, 400, 400), 77, np.uint8)), FRAME)
    assert (grey.read(Bounds.around(0, 0, 5), 0.5).image == 77).all()
    infrared = RasterMap(
        write(tmp_path / "rgbi.tif", halves(4), photometric="RGB", alpha="unspecified"), FRAME
    )
    crop = infrared.read(Bounds.around(0, 0, 5), 0.5)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image[5, 2], (200, 0, 0))


@pytest.mark.parametrize("kind", ["alpha", "nodata", "nodata beside a mask"])
@pytest.mark.parametrize("metres_per_pixel", [0.2, 1.0])
def test_masked_pixels_are_invalid_and_do_not_shine_through(tmp_path, kind, metres_per_pixel) -> None:
    bands = np.full((4 if kind == "alpha" else 3, 400, 400), 255, np.uint8)
    bands[:3] = 90
    bands[:, :, :201] = 0  # averaged pixels of 4 lie on both sides of this edge
    options = {"photometric": "RGB", "alpha": "yes"} if kind == "alpha" else {"nodata": 0}
    path = write(tmp_path / "map.tif", bands, **options)
    if "mask" in kind:
        with rasterio.open(path, "r+") as raster:
            raster.write_mask(np.full((400, 400), 255, np.uint8))
    crop = RasterMap(path, FRAME).read(Bounds.around(0, 0, 20), metres_per_pixel)
    assert crop.valid_ratio == pytest.approx(0.5, abs=0.06)
    x_m = crop.grid.cell_centres_xy_m[:, 0].reshape(crop.valid.shape)
    assert not crop.valid[x_m < -1.0].any() and crop.valid[x_m > 2.5].all()
    assert np.abs(crop.image[crop.valid].astype(int) - 90).max() <= 1


def test_coarse_crops_are_averaged(tmp_path) -> None:
    checkers = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    source = RasterMap(write(tmp_path / "map.tif", np.stack([checkers] * 3)), FRAME)
    crop = source.read(Bounds.around(0, 0, 20), 1.0)
    assert np.abs(crop.image.astype(int) - 127).max() < 12


def test_crops_beyond_the_raster_are_invalid(tmp_path) -> None:
    source = RasterMap(write(tmp_path / "map.tif", halves()), FRAME)
    assert source.read(Bounds.around(48, 0, 10), 0.5).valid_ratio == pytest.approx(0.6, abs=0.1)
    for x_m in (500.0, 2_000_000.0):
        beyond = source.read(Bounds.around(x_m, 0, 10), 0.5)
        assert not beyond.valid.any() and not beyond.image.any()


def test_threads_read_at_once(tmp_path) -> None:
    source = RasterMap(write(tmp_path / "map.tif", halves()), FRAME)
    alone = [source.read(Bounds.around(x, x, 12), 0.3) for x in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: source.read(Bounds.around(x, x, 12), 0.3), range(8)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def palette(path: Path) -> Path:
    write(path, np.zeros((1, 8, 8), np.uint8))
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {0: (9, 9, 9)})
        raster.colorinterp = [ColorInterp.palette]
    return path


def with_gcps(path: Path) -> None:
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=3, dtype="uint8") as raster:
        raster.gcps = ([GroundControlPoint(row, 2, 11.6, 48.1) for row in range(4)], CRS.from_epsg(4326))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write(path, np.zeros((3, 8, 8), np.uint16)), "holds uint16.*gdal_translate -ot Byte"),
        (
            lambda path: write(path, np.zeros((3, 8, 8), np.uint8), None),
            "no coordinate reference system.*a_srs",
        ),
        (
            lambda path: write(path, np.zeros((3, 8, 8), np.uint8), None, crs=CRS.from_wkt(LOCAL_WKT)),
            "without a place on Earth .*Local Coordinates.*georeference it, or export it in a projected CRS",
        ),
        (
            lambda path: write(path, np.zeros((3, 8, 8), np.uint8), transform=Affine(0.5, 0, 9, 0, 0, 9)),
            "singular geotransform.*georeference it, or export it again",
        ),
        (
            lambda path: write(path, np.zeros((3, 8, 8), np.uint8), transform=Affine.identity()),
            "no geotransform.*gdalwarp.*world file",
        ),
        (with_gcps, "ground control points but no geotransform; warp it with gdalwarp"),
        (
            lambda path: write(
                path,
                np.zeros((1, 16, 16), np.uint8),
                tiled=True,
                blockxsize=8192,
                blockysize=8192,
                compress="deflate",
            ),
            "stored in blocks of 8192 × 8192 px.*TILED=YES",
        ),
        (palette, "palette colours.*-expand rgb"),
        (lambda path: path.write_bytes(b"II*\0 rubbish"), "cannot open the map"),
        (lambda path: None, "cannot open the map .*No such file"),
    ],
    ids=[
        "16-bit",
        "no-crs",
        "local",
        "singular",
        "no-place",
        "gcps",
        "blocks",
        "palette",
        "rubbish",
        "absent",
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_that_is_no_map_is_refused_with_advice(tmp_path, make, message) -> None:
    path = tmp_path / "map.tif"
    make(path)
    with pytest.raises(MapSourceError, match=message):
        RasterMap(path, FRAME)


def test_a_damaged_file_is_named(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 400, 400), dtype=np.uint8)
    path = write(tmp_path / "map.tif", noise, compress="deflate", tiled=True, blockxsize=128, blockysize=128)
    data = bytearray(path.read_bytes())
    data[20_000:] = bytes(len(data) - 20_000)
    path.write_bytes(data)
    with pytest.raises(MapSourceError, match="cannot (read|open) the map .*map.tif"):
        RasterMap(path, FRAME).read(Bounds.around(0, 0, 40), 0.25)


SERVICE = (
    '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}</ServerUrl></Service><DataWindow>'
    "<UpperLeftX>0</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9</LowerRightX><LowerRightY>0</LowerRightY>"
    "<SizeX>400</SizeX><SizeY>400</SizeY></DataWindow><Projection>EPSG:4326</Projection></GDAL_WMS>"
)


@pytest.mark.parametrize(
    "source",
    [
        "/vsicurl/http://127.0.0.1:9/map.tif",
        "http://127.0.0.1:9/map.tif",
        "/vsis3/bucket/map.tif",
        "/vsizip//vsicurl/http://127.0.0.1:9/map.zip/map.tif",
        SERVICE,
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_vrt_that_names_another_machine_is_refused(tmp_path, source, nested) -> None:
    path = write(tmp_path / "map.tif", halves())
    vrt, around = tmp_path / "map.vrt", tmp_path / "around.vrt"
    rasterio.shutil.copy(path, vrt, driver="VRT")
    rasterio.shutil.copy(vrt, around, driver="VRT")
    assert RasterMap(around, FRAME).read(Bounds.around(0, 0, 10), 0.25).valid.all()
    around.write_text(around.read_text().replace(">map.tif<", ">map.vrt<"))
    remote = vrt.read_text().replace('relativeToVRT="1"', 'relativeToVRT="0"')
    vrt.write_text(remote.replace(">map.tif<", f">{escape(source)}<"))
    with pytest.raises(
        MapSourceError, match=f"refers to {re.escape(source[:40])}.*another machine; download it"
    ):
        RasterMap(around if nested else vrt, FRAME)


def test_a_vrt_of_itself_is_refused(tmp_path) -> None:
    rasterio.shutil.copy(write(tmp_path / "map.tif", halves()), tmp_path / "map.vrt", driver="VRT")
    text = (tmp_path / "map.vrt").read_text()
    (tmp_path / "map.vrt").write_text(text.replace(">map.tif<", ">map.vrt<"))
    with pytest.raises(MapSourceError, match="cannot read the map"):
        RasterMap(tmp_path / "map.vrt", FRAME).read(Bounds.around(0, 0, 10), 0.25)


def test_the_description_of_a_service_is_no_raster(tmp_path) -> None:
    (tmp_path / "map.tif").write_text(SERVICE)
    with pytest.raises(MapSourceError, match=r"refers to a service \(WMS\), which is on another machine"):
        RasterMap(tmp_path / "map.tif", FRAME)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("crs", ["EPSG:32632", CRS.from_epsg(32632).to_wkt()], ids=["code", "wkt"])
def test_an_image_with_a_world_file(tmp_path, suffix, crs) -> None:
    reference = write(tmp_path / "reference.tif", halves())
    with rasterio.open(reference) as raster:
        bands, place = raster.read(), raster.transform
    path = tmp_path / f"map{suffix}"
    driver = {".png": "PNG", ".jpg": "JPEG", ".tif": "GTiff"}[suffix]
    with rasterio.open(path, "w", driver=driver, width=400, height=400, count=3, dtype="uint8") as raster:
        raster.write(bands)
    world = tmp_path / {".png": "map.pgw", ".jpg": "map.jgw", ".tif": "map.tfw"}[suffix]
    centre = place * (0.5, 0.5)
    world.write_text("\n".join(map(str, (place.a, place.d, place.b, place.e, *centre))))
    with pytest.raises(MapSourceError, match="no coordinate reference system.*into map.prj beside it"):
        RasterMap(path, FRAME)
    (tmp_path / "map.prj").write_text(crs)
    crop = open_map_source(str(path), FRAME).read(Bounds.around(0, 0, 15), 0.25)
    expected = RasterMap(reference, FRAME).read(Bounds.around(0, 0, 15), 0.25)
    assert crop.valid.all()
    assert np.abs(crop.image.astype(int) - expected.image).mean() < 4  # JPEG
    for name in ("MAP.PRJ", f"map{suffix}.prj"):  # of an older system, of GDAL
        next(tmp_path.glob("[mM]*.[pP][rR][jJ]")).rename(tmp_path / name)
        assert RasterMap(path, FRAME).read(Bounds.around(0, 0, 15), 0.25).valid.all()
    (tmp_path / name).unlink()
    (tmp_path / "map.prj").write_text(f"\ufeff{crs}", encoding="utf-8")  # of an editor that marks UTF-8
    assert RasterMap(path, FRAME).read(Bounds.around(0, 0, 15), 0.25).valid.all()
    (tmp_path / "map.prj").write_text("somewhere")
    with pytest.raises(MapSourceError, match="map.prj beside it is no coordinate reference system"):
        RasterMap(path, FRAME)


@pytest.mark.parametrize("datum_deg", [179.9999, -179.9999, 180.0])
@pytest.mark.parametrize(
    ("epsg", "west", "pixel"),
    [(4326, 180.0, 2e-6), (4326, -180.0, 2e-6), (4326, 540.0, 2e-6), (3857, 20037508.342789244, 0.25),
     (3857, -20037508.342789244, 0.25), (32660, None, 0.25)],
    ids=["0..360", "-180", "360 more", "mercator east", "mercator west", "utm"],
)  # fmt: skip
def test_maps_across_the_antimeridian(tmp_path, datum_deg, epsg, west, pixel) -> None:
    frame = LocalFrame(-16.5, datum_deg)
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(180.0, -16.5)
    x = x if west is None else west
    place = Affine(pixel, 0, x - 200 * pixel, 0, -pixel, y + 200 * pixel)
    path = write(tmp_path / "map.tif", halves(), epsg, pixel, transform=place)
    crop = RasterMap(path, frame).read(Bounds.around(0, 0, 15), 0.25)
    assert crop.valid.all()
    # The colours meet at 180°, 11 m east or west of the datum.
    edge_m = (180.0 - datum_deg) % 360
    edge_m = (edge_m - 360 if edge_m > 180 else edge_m) * 106_770
    x_m = crop.grid.cell_centres_xy_m[:, 0].reshape(crop.valid.shape)
    assert (crop.image[x_m < edge_m - 1] == (200, 0, 0)).all()
    assert (crop.image[x_m > edge_m + 1] == (0, 0, 100)).all()


@pytest.mark.parametrize("longitude_deg", [-75.0, 285.0])
@pytest.mark.parametrize("west_deg", [-75.0, 285.0])
def test_longitudes_of_either_kind(tmp_path, longitude_deg, west_deg) -> None:
    place = Affine(2e-6, 0, west_deg - 400e-6, 0, -2e-6, 45.0 + 400e-6)
    path = write(tmp_path / "map.tif", halves(), 4326, 2e-6, transform=place)
    crop = RasterMap(path, LocalFrame(45.0, longitude_deg)).read(Bounds.around(0, 0, 15), 0.25)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image[60, 30], (200, 0, 0))


def test_a_global_raster_ends_at_its_edge(tmp_path) -> None:
    """Both sides of the seam are there, but no crop may be smeared across the whole Earth."""
    side = 2000
    place = Affine(360 / side, 0, -180, 0, -180 / side, 90)
    path = write(tmp_path / "map.tif", halves(side=side), 4326, transform=place)
    crop = RasterMap(path, LocalFrame(0.0, 180.0)).read(Bounds.around(0, 0, 100_000), 2_000)
    colours = np.unique(crop.image[crop.valid].reshape(-1, 3), axis=0)
    assert 0 < crop.valid_ratio < 1 and len(colours) == 1


@pytest.mark.parametrize(
    ("epsg", "place", "warning"),
    [
        (27700, (52.6, 1.3), r"off by 2 m: the better one \(1 m\) needs uk_os_OSTN15\w+.tif.*projsync --file"),
        (31468, (48.1, 11.6), r"off by 3 m: the better one \(1 m\) needs de_adv_BETA2007.tif"),
        (23032, (46.0, 11.0), r"can be off by 6 m on WGS84.*map.shift"),
        (28355, (-33.9, 148.0), r"EPSG:28355 \(GDA94 / MGA zone 55\) can be off by 3 m"),
        (32632, (48.1, 11.6), ""), (25832, (48.1, 11.6), ""), (3857, (48.1, 11.6), ""), (4326, (48.1, 180.0), ""),
    ],
    ids=str,
)  # fmt: skip
def test_probe_warns_of_an_inaccurate_crs(tmp_path, epsg, place, warning) -> None:
    if warning and "needs" in warning and _has_grids(epsg, place):
        pytest.skip("the shift grid is installed here")
    frame = LocalFrame(*place)
    path = write_raster(tmp_path / "map.tif", halves(), frame, epsg, 0.25 if epsg != 4326 else 3e-6)
    probe = str(probe_map(RasterMap(path, frame), 0.0, 0.0, 0.2))
    assert re.search(warning, probe) if warning else ";" not in probe, probe


@pytest.mark.parametrize(
    ("epsg", "place"), [(23031, (52.0, 4.5)), (22275, (-33.9, 18.5))], ids=["regional", "beyond its zone"]
)
def test_a_raster_is_placed_as_the_accuracy_in_the_warning_says(tmp_path, epsg, place) -> None:
    """By the transformation of the region: 0.6 and 60 m from the one that PROJ takes without a region."""
    latitude_deg, longitude_deg = place
    area = AreaOfInterest(longitude_deg - 0.1, latitude_deg - 0.1, longitude_deg + 0.1, latitude_deg + 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = TransformerGroup(4326, epsg, always_xy=True, area_of_interest=area).transformers[0]
    x, y = best.transform(longitude_deg, latitude_deg)
    path = write(
        tmp_path / "map.tif", halves(), epsg, 0.25, transform=from_origin(x - 50, y + 50, 0.25, 0.25)
    )
    raster = RasterMap(path, LocalFrame(*place)).raster
    np.testing.assert_allclose(raster.pixels(np.array(latitude_deg), np.array(longitude_deg)), 200, atol=0.01)
    north_west = best.transform(x - 50, y + 50, direction="INVERSE")
    corner_deg = np.array(raster.outline(2)[:2])[:, 0]
    np.testing.assert_allclose(corner_deg, north_west[::-1], atol=1e-8)


@pytest.mark.parametrize(
    ("profile", "where"),
    [
        (
            {"epsg": 32633, "transform": from_origin(500_000, 5_330_000, 0.25, 0.25)},
            r"is 253\.\d km away",
        ),
        (
            {"crs": "EPSG:4326", "transform": from_origin(690_000, 5_330_000, 0.25, 0.25)},
            "outside of its CRS",
        ),
    ],
    ids=["another zone", "metres as degrees"],
)
def test_a_raster_somewhere_else_is_named_with_its_place(tmp_path, profile, where) -> None:
    source = RasterMap(write(tmp_path / "map.tif", halves(), **profile), FRAME)
    with pytest.raises(MapSourceError, match=where):
        probe_map(source, 0, 0, 0.25)


def test_a_geopackage_of_several_rasters_is_named_as_such(tmp_path) -> None:
    path = tmp_path / "maps.gpkg"
    for number in range(2):
        options = {"APPEND_SUBDATASET": "YES"} if number else {}
        profile = {"width": 64, "height": 64, "count": 3, "dtype": "uint8", "crs": "EPSG:3857"}
        profile |= {"transform": from_origin(0, 0, 1, 1), "RASTER_TABLE": f"map{number}"} | options
        with rasterio.open(path, "w", driver="GPKG", **profile) as file:
            file.write(np.full((3, 64, 64), 90, np.uint8))
    with pytest.raises(MapSourceError, match=r"holds 2 rasters; .*gdal_translate GPKG:.*:map0 map.tif"):
        RasterMap(path, FRAME)


def test_a_vrt_names_the_file_that_it_lacks(tmp_path) -> None:
    rasterio.shutil.copy(write(tmp_path / "part.tif", halves()), tmp_path / "map.vrt", driver="VRT")
    source = RasterMap(tmp_path / "map.vrt", FRAME)
    (tmp_path / "part.tif").unlink()
    with pytest.raises(
        MapSourceError, match=r"cannot read the map .*map\.vrt: .*part\.tif.*file that it refers to"
    ):
        source.read(Bounds.around(0, 0, 10), 0.25)


def _has_grids(epsg: int, place: tuple[float, float]) -> bool:
    area = AreaOfInterest(place[1] - 0.1, place[0] - 0.1, place[1] + 0.1, place[0] + 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TransformerGroup(4326, epsg, always_xy=True, area_of_interest=area).best_available
