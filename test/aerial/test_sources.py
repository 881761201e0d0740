"""Other places that maps come from: each shows the same ground as its plain twin, and names what is wrong."""

from __future__ import annotations

import gzip
import itertools
import re
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from aerial_world import ZOOM, Reply, centre_tile, encoded, world_tile, write_mbtiles, write_raster
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import write as write_pmtiles

from xview_localizer.aerial import remote_file
from xview_localizer.aerial.fetch import FetchConfig, Fetcher
from xview_localizer.aerial.open import open_map_source, probe_map
from xview_localizer.aerial.raster import RasterMap
from xview_localizer.aerial.shifted import ShiftedMap
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.template import quadkey, template_tiles
from xview_localizer.aerial.tiles import TiledMap, TileMatrix
from xview_localizer.aerial.wms import wms_tiles
from xview_localizer.assembly import open_map
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.parameters.settings import Settings

# Bounds of MBTiles around the datum.
AROUND = "11.5,48.0,11.7,48.2"

BOUNDS = Bounds(-40.0, -35.0, 45.0, 50.0)
# The servers here answer or refuse at once, but a busy machine may take its time.
ONCE = FetchConfig(timeout_sec=30.0, retries=0)


def world(zoom: int, x: int, y: int) -> bytes:
    return encoded(world_tile(zoom, x, y))


def around(frame: LocalFrame, zoom: int = ZOOM) -> list[tuple[int, int]]:
    x0, y0 = centre_tile(frame, zoom)
    return list(itertools.product(range(x0 - 2, x0 + 3), range(y0 - 2, y0 + 3)))


def read(uri: str, frame: LocalFrame, **options) -> AerialImage:
    matrix = options.pop("matrix", TileMatrix(max_zoom=ZOOM))
    return open_map_source(uri, frame, matrix, ONCE).read(BOUNDS, 0.2)


@pytest.fixture(scope="module")
def reference(frame: LocalFrame) -> AerialImage:
    return TiledMap(world, frame, TileMatrix(max_zoom=ZOOM)).read(BOUNDS, 0.2)


def test_quadkeys_are_bings(server, frame, reference) -> None:
    assert quadkey(3, 3, 5) == "213"  # the example of Bing's documentation
    for x, y in around(frame):
        server.replies[f"/a{quadkey(ZOOM, x, y)}.png"] = Reply(world(ZOOM, x, y))
    for name in ("{q}", "{quadkey}"):
        np.testing.assert_array_equal(read(f"{server.url}/a{name}.png", frame).image, reference.image)


class RecordingFetcher(Fetcher):
    """A fetcher that keeps the addresses requested from it."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.urls.append(url)
        return b""


@pytest.mark.parametrize(
    ("template", "tile_px", "urls"),
    [
        ("http://{s}.h/{z}/{x}/{y}", 256, ["http://a.h/9/2/1", "http://b.h/9/3/1", "http://c.h/9/4/1"]),
        (
            "http://t{switch:0,1}.h/{z}/{x}/{y}{r}.png",
            512,
            ["http://t1.h/9/2/1@2x.png", "http://t0.h/9/3/1@2x.png", "http://t1.h/9/4/1@2x.png"],
        ),
        ("http://h/{z}/{x}/{y}{r}.png", 256, [f"http://h/9/{x}/1.png" for x in (2, 3, 4)]),
        ("http://{a-c}.h/{z}/{x}/{y}", 256, ["http://a.h/9/2/1", "http://b.h/9/3/1", "http://c.h/9/4/1"]),
        ("http://t{2-3}.h/{z}/{x}/{y}", 256, ["http://t3.h/9/2/1", "http://t2.h/9/3/1", "http://t3.h/9/4/1"]),
    ],
)
def test_sub_domains_and_retina(template, tile_px, urls) -> None:
    fetcher = RecordingFetcher()
    tile = template_tiles(template, fetcher, tile_px)
    for x in (2, 3, 4):
        tile(9, x, 1)
    assert fetcher.urls == urls
    tile(9, 2, 1)
    assert fetcher.urls[-1] == urls[0]


@pytest.mark.parametrize(
    "template",
    [
        "http://h/{zoom}/{x}/{y}",
        "http://h/${z}/${x}/${y}",
        "http://h/{Z}/{X}/{Y}",
        "http://h/{tilematrix}/{TILECOL}/{tileRow}",
        " http://h/%7Bz%7D/%7bx%7d/%7By%7D ",
    ],
)
def test_placeholders_as_other_software_writes_them(template, frame, monkeypatch) -> None:
    urls = []
    monkeypatch.setattr(Fetcher, "fetch", lambda self, url: urls.append(url) or b"")
    open_map_source(template, frame).level(0.0, 0.0, 0.25)
    assert re.fullmatch(r"http://h/\d+/\d+/\d+", urls[0])


def test_quadkeys_in_any_case() -> None:
    fetcher = RecordingFetcher()
    template_tiles("http://h/{quadKey}", fetcher)(3, 3, 5)
    assert fetcher.urls == ["http://h/213"]


def test_wms_with_placeholders_of_other_software() -> None:
    own, other = RecordingFetcher(), RecordingFetcher()
    start = "http://h/wms?SERVICE=WMS&VERSION=1.1.1&LAYERS=a"
    wms_tiles(start, own, 256)(9, 2, 1)
    wms_tiles(f"{start}&SRS={{proj}}&BBOX={{bbox-epsg-3857}}&WIDTH={{width}}&HEIGHT=256", other, 256)(9, 2, 1)
    assert own.urls == other.urls


def test_wms_by_the_address_of_its_capabilities() -> None:
    own, other = RecordingFetcher(), RecordingFetcher()
    wms_tiles("http://h/wms?service=WMS&layers=a", own, 256)(9, 2, 1)
    wms_tiles("http://h/wms?service=WMS&layers=a&request=GetCapabilities", other, 256)(9, 2, 1)
    assert own.urls == other.urls


@pytest.mark.parametrize(
    "metadata",
    [{"scheme": "xyz"}, {"bounds": AROUND}, {"scheme": "tms", "bounds": AROUND}]
    + [{"scheme": "xyz", "bounds": "-180,-85,180,85"}],
    ids=str,
)  # fmt: skip
def test_mbtiles_whose_rows_are_counted_from_the_north(tmp_path, frame, reference, metadata) -> None:
    path = write_mbtiles(tmp_path / "map.mbtiles", frame)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE metadata (name, value)")
        database.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
        if metadata.get("bounds") == AROUND:  # which agree with the standard
            assert (read(str(path), frame).image == reference.image).all()
        database.execute("UPDATE tiles SET tile_row = (1 << zoom_level) - 1 - tile_row")
    assert (read(str(path), frame).image == reference.image).all()


def test_mbtiles_whose_images_are_packed_with_gzip(tmp_path, frame, reference) -> None:
    path = write_mbtiles(tmp_path / "map.mbtiles", frame)
    with closing(sqlite3.connect(path)) as database, database:
        database.create_function("gzip", 1, gzip.compress)
        database.execute("UPDATE tiles SET tile_data = gzip(tile_data)")
    assert (read(str(path), frame).image == reference.image).all()
    with closing(sqlite3.connect(path)) as database, database:
        database.create_function("gzip", 1, gzip.compress)
        database.execute("UPDATE tiles SET tile_data = gzip(zeroblob(9000000))")
    with pytest.raises(MapSourceError, match="holds no PNG, JPEG or WebP tiles"):
        read(str(path), frame)


@pytest.mark.parametrize("template", ["http://h/{{z}}/{{x}}/{{y}}.png", "http://h/{z}/{x}/{y}/{.png"])
def test_doubled_and_open_braces_are_named(template, frame) -> None:
    with pytest.raises(MapSourceError, match="braces that are doubled or not closed"):
        open_map_source(template, frame)


TILE = "&tilematrix={z}&tilerow={y}&tilecol={x}"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("http://h/wmts?TileMatrixSet=EPSG:4326" + TILE, "EPSG:4326"),
        ("http://h/wmts?tilematrixset=EPSG%3A28992" + TILE.replace("={z}", "=EPSG:28992:{z}"), "EPSG:28992"),
        ("http://h/wmts?tilematrixset=21781" + TILE, "21781"),
        ("http://h/wmts?tilematrixset=WorldCRS84Quad" + TILE, "WorldCRS84Quad"),
        ("http://h/wmts?tilematrixset=DE_EPSG_25832_ADV" + TILE, "EPSG:25832"),
        ("http://h/wmts/ortho/EPSG:3006/{TileMatrix}/{TileRow}/{TileCol}.png", "EPSG:3006"),
        ("http://h/tms/1.0.0/ortho@EPSG:4326@png/{z}/{x}/{-y}.png", "EPSG:4326"),
        ("http://h/v1/tiles/aerial/NZTM2000Quad/{z}/{x}/{y}.webp?api=key", "NZTM2000Quad"),
        ("http://h/cog/tiles/WorldCRS84Quad/{z}/{x}/{y}.png?url=a.tif", "WorldCRS84Quad"),
        ("http://h/1.0.0/swissimage/default/current/2056/{z}/{x}/{y}.jpeg", "2056"),
        ("http://h/v1/wmts/1.0.0/topo/default/utm33n/{TileMatrix}/{TileRow}/{TileCol}.png", "utm33n"),
    ],
)
def test_tiles_in_another_crs_are_refused(template, name, frame) -> None:
    with pytest.raises(MapSourceError, match=f"of the tile matrix set {name}, .*GoogleMapsCompatible"):
        open_map_source(template, frame)


@pytest.mark.parametrize(
    "name",
    ["EPSG:3857", "EPSG%3A900913", "GoogleMapsCompatible_Level19", "PM", "default028mm", "WEBMERCATOR_512"],
)
def test_tiles_in_web_mercator_by_any_name(name, frame) -> None:
    open_map_source(f"http://h/wmts?tilematrixset={name}{TILE.replace('={z}', f'={name}:{{z}}')}", frame)


@pytest.mark.parametrize("folder", ["3857", "900913", "WebMercatorQuad", "2021", "1998", "autumn"])
def test_a_folder_before_the_zoom_may_be_a_year_or_web_mercator(folder, frame) -> None:
    open_map_source(f"http://h/ortho/{folder}/{{z}}/{{x}}/{{y}}.png", frame)


@pytest.mark.parametrize(
    "template", ["http://h/{q}/{z}/{x}/{y}", "http://h/{z}/{x}", "http://h/{q}/{y}", "http://h/{s}.png"]
)
def test_incomplete_templates(template, frame) -> None:
    with pytest.raises(MapSourceError, match="must hold {z}, {x}.*quadkey"):
        open_map_source(template, frame)


@pytest.mark.parametrize(("version", "name"), [("1.1.1", "SRS"), ("1.3.0", "CRS")])
def test_wms_shows_the_world(frame, reference, version, name) -> None:
    half_width_m, fetcher = 20037508.342789244, RecordingFetcher()

    def fetch(url: str) -> bytes:
        query = {
            key: values[0] for key, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()
        }
        assert query.pop(name) == "EPSG:3857" and query["VERSION"] == version
        assert (query["LAYERS"], query["STYLES"], query["key"]) == ("ortho", "", "SECRET")
        assert (query["REQUEST"], query["TRANSPARENT"], query["FORMAT"]) == ("GetMap", "TRUE", "image/png")
        west, south, east, north = map(float, query["BBOX"].split(","))
        zoom = round(np.log2(2 * half_width_m / (east - west)))
        side_m = 2 * half_width_m / 2**zoom
        assert (north - south) == pytest.approx(east - west, abs=1e-3) and zoom == ZOOM
        x, y = (west + half_width_m) / side_m, (half_width_m - north) / side_m
        assert abs(x - round(x)) < 1e-4 and abs(y - round(y)) < 1e-4
        return world(zoom, round(x), round(y))

    fetcher.fetch = fetch
    url = f"https://h/wms?SERVICE=WMS&VERSION={version}&layers=ortho&key=SECRET"
    crop = TiledMap(wms_tiles(url, fetcher, 256), frame, TileMatrix(max_zoom=ZOOM)).read(BOUNDS, 0.2)
    np.testing.assert_array_equal(crop.image, reference.image)


def test_a_wms_server_error_is_reported_with_its_text(server, frame) -> None:
    with pytest.raises(MapSourceError, match=r"wms\?service=WMS&key=… needs LAYERS"):
        open_map_source(server.url + "/wms?service=WMS&key=SECRET", frame)
    with pytest.raises(MapSourceError, match="asked for EPSG:25832; leave it out"):
        open_map_source(server.url + "/wms?service=WMS&layers=a&crs=EPSG:25832", frame)
    source = open_map_source(server.url + "/wms?request=GetMap&layers=a&key=SECRET", frame, fetch=ONCE)
    exception_report = (
        b"<ServiceExceptionReport><ServiceException>Layer a is not there, key=SECRET</ServiceException>"
    )
    server.default = Reply(exception_report, content_type="text/xml")
    with pytest.raises(MapSourceError, match="Layer a is not there") as raised:
        probe_map(source, 0.0, 0.0, 0.2)
    assert "SECRET" not in str(raised.value)


def pmtiles_file(
    path: Path, frame: LocalFrame, kind=TileType.PNG, data=world, compression=Compression.NONE
) -> Path:
    with write_pmtiles(path) as writer:
        for tile_id, x, y in sorted((zxy_to_tileid(ZOOM, x, y), x, y) for x, y in around(frame)):
            writer.write_tile(tile_id, data(ZOOM, x, y))
        header = {
            "tile_type": kind, "tile_compression": compression, "min_zoom": ZOOM, "max_zoom": ZOOM,
            "min_lon_e7": 0, "min_lat_e7": 0, "max_lon_e7": 0, "max_lat_e7": 0,
            "center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0,
        }  # fmt: skip
        writer.finalize(header, {})
    return path


@pytest.mark.parametrize("where", ["file", "http"])
def test_pmtiles_equal_xyz(server, tmp_path, frame, reference, where) -> None:
    path = pmtiles_file(tmp_path / "map.pmtiles", frame)
    if where == "http":
        server.replies["/map.pmtiles?key=SECRET"] = Reply(path.read_bytes(), in_parts=True)
    uri = str(path) if where == "file" else server.url + "/map.pmtiles?key=SECRET"
    crop = read(uri, frame)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image, reference.image)
    assert not open_map_source(uri, frame).read(Bounds.around(900, 0, 20), 0.2).valid.any()


def test_unusable_pmtiles_files_are_refused(tmp_path, frame, monkeypatch) -> None:
    path = tmp_path / "map.pmtiles"
    with pytest.raises(MapSourceError, match="there is no PMTiles file"):
        open_map_source(str(path), frame)
    for content, message in ((b"", "cannot open"), (b"rubbish" * 50, "is no PMTiles file of version 3")):
        path.write_bytes(content)
        with pytest.raises(MapSourceError, match=message):
            open_map_source(str(path), frame)
    pmtiles_file(path, frame, TileType.MVT)
    with pytest.raises(MapSourceError, match="holds MVT tiles"):
        open_map_source(str(path), frame)
    pmtiles_file(path, frame, TileType.UNKNOWN, lambda *_: b"\x1f\x8bvector")
    with pytest.raises(MapSourceError, match="vector tiles are not imagery"):
        open_map_source(str(path), frame)
    pmtiles_file(path, frame, compression=Compression.GZIP)
    with pytest.raises(MapSourceError, match="packs its images with GZIP once more"):
        open_map_source(str(path), frame)
    whole = pmtiles_file(path, frame).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MapSourceError, match=r"map.pmtiles was cut short: it has \d+ of \d+ bytes"):
        open_map_source(str(path), frame)
    for start in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:start] + b"\xff" * 60 + whole[start + 60 :])
        try:
            read(str(path), frame)
        except MapSourceError as error:
            assert "map.pmtiles" in str(error) or "tile 19/" in str(error)
    monkeypatch.setitem(sys.modules, "pmtiles.reader", None)
    with pytest.raises(MapSourceError, match="pip install pmtiles"):
        open_map_source(str(path), frame)


@pytest.fixture
def cog(tmp_path, frame) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (3, 700, 700), dtype=np.uint8)
    options = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    return write_raster(tmp_path / "map.tif", noise, frame, **options)


def test_a_cog_over_http_equals_the_file(server, frame, cog) -> None:
    server.replies["/map.tif?key=SECRET"] = Reply(cog.read_bytes(), in_parts=True)
    source = open_map_source(server.url + "/map.tif?key=SECRET", frame, fetch=ONCE)
    crop, expected = (s.read(BOUNDS, 0.2) for s in (source, RasterMap(cog, frame)))
    np.testing.assert_array_equal(crop.image, expected.image)
    assert crop.valid.all()
    asked = server.requests.total()
    source.read(BOUNDS, 0.2)
    assert server.requests.total() == asked  # parts are kept
    assert "700 × 700 px in EPSG:32632" in str(probe_map(source, 0.0, 0.0, 0.2))


# It would show a file of the robot.
VRT = (
    b'<VRTDataset rasterXSize="9" rasterYSize="9"><SRS>EPSG:4326</SRS><GeoTransform>11,1,0,48,0,-1</GeoTransform>'
    b'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>/home/robot/map.tif</SourceFilename>'
    b"</SimpleSource></VRTRasterBand></VRTDataset>"
)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=404), "answered HTTP 404"),
        (Reply(b"x" * 3 * remote_file.BLOCK_BYTES), "sends no parts of files"),
        (Reply(b"x" * 100), "sends no parts of files"),
        (Reply(b"x" * 100, status=206, headers={"Content-Range": "bytes 0-99/*"}), "does not tell its size"),
        (Reply(b"rubbish" * 100, in_parts=True), "cannot open the map"),
        (Reply(VRT, in_parts=True), "cannot open the map"),
    ],
    ids=["absent", "whole", "whole and small", "without a size", "rubbish", "vrt"],
)
def test_a_cog_that_cannot_be_read(server, frame, reply, message) -> None:
    server.replies["/map.tif?key=SECRET"] = reply
    with pytest.raises(MapSourceError, match=message) as raised:
        open_map_source(server.url + "/map.tif?key=SECRET", frame, fetch=ONCE)
    assert "SECRET" not in str(raised.value)


def test_a_cog_that_trickles_is_given_up(server, frame) -> None:
    server.replies["/map.tif"] = Reply(b"x" * 100, pause_per_byte_sec=0.2, in_parts=True)
    with pytest.raises(MapSourceError, match="no answer within 1 s"):
        open_map_source(server.url + "/map.tif", frame, fetch=FetchConfig(timeout_sec=1.0, retries=0))


def test_no_more_parts_are_kept_than_said_and_a_read_may_be_longer(server, monkeypatch) -> None:
    monkeypatch.setattr(remote_file, "KEPT_BLOCKS", 2)
    whole = np.random.default_rng(0).bytes(5 * remote_file.BLOCK_BYTES)
    server.replies["/map"] = Reply(whole, in_parts=True)
    file = remote_file.RemoteFile(server.url + "/map", ONCE)
    assert file.read_at(0, len(whole)) == whole
    asked = server.requests.total()
    for number, is_kept in ((4, True), (3, True), (0, False)):
        file.read_at(number * remote_file.BLOCK_BYTES, 10)
        assert (server.requests.total() == asked) is is_kept


def test_a_cog_whose_server_fails_later_raises_instead_of_black_ground(server, frame, cog) -> None:
    server.replies["/map.tif"] = Reply(cog.read_bytes(), in_parts=True)
    source = open_map_source(server.url + "/map.tif", frame, fetch=ONCE)
    before = server.requests.total()
    server.replies["/map.tif"] = Reply(status=500)
    with pytest.raises(MapSourceError, match=r"cannot read http://\S+/map.tif: it answered HTTP 500"):
        source.read(Bounds.around(60, -60, 20), 0.2)
    assert server.requests.total() == before + 1  # a decoder that asks on is not let wait again
    server.replies["/map.tif"] = Reply(cog.read_bytes(), in_parts=True)
    source.raster._remote._failed_at_sec = -10.0
    assert source.read(Bounds.around(60, -60, 20), 0.2).valid.all()


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(server, frame, cog) -> None:
    server.replies["/map.tif"] = Reply(cog.read_bytes(), in_parts=True, headers={"ETag": '"1"'})
    source = open_map_source(server.url + "/map.tif", frame, fetch=ONCE)
    # What a server answers to If-Range with another tag.
    server.replies["/map.tif"] = Reply(cog.read_bytes(), headers={"ETag": '"2"'})
    with pytest.raises(MapSourceError, match="map.tif"):
        source.read(Bounds.around(60, -60, 20), 0.2)


def test_a_folder_of_rasters_shows_the_finest(tmp_path, frame) -> None:
    folder = tmp_path / "sheets"
    folder.mkdir()
    (folder / "readme.txt").write_text("not a map")
    write_raster(folder / "a coarse.tif", np.full((3, 200, 200), 50, np.uint8), frame, 25832, 1.0)
    fine = write_raster(folder / "fine.tif", np.full((3, 200, 200), 90, np.uint8), frame, 32632, 0.2)
    far = LocalFrame(-10.0, 100.0)
    write_raster(folder / "far.tif", np.full((3, 20, 20), 9, np.uint8), far, 32747, 0.2)
    source = open_map_source(str(folder), frame)
    crop = source.read(Bounds.around(0, 0, 40), 0.5)
    assert crop.valid.all()
    assert (crop.image[80, 80] == 90).all() and (crop.image[5, 5] == 50).all()
    assert "fine.tif, one of 3 files" in str(probe_map(source, 0.0, 0.0, 0.2))
    assert not source.read(Bounds.around(500, 0, 40), 0.5).valid.any()
    with pytest.raises(MapSourceError, match="none of 3 files in sheets covers this place"):
        probe_map(source, 500.0, 0.0, 0.2)
    fine.write_bytes(b"rubbish")
    with pytest.raises(MapSourceError, match="cannot open the map .*fine.tif"):
        open_map_source(str(folder), frame)


def test_a_sheet_that_is_damaged_later_does_not_hide_the_others(tmp_path, frame) -> None:
    for name, east_m in (("west.tif", -20.0), ("east.tif", 20.0)):
        latitude_deg, longitude_deg, _ = frame.geodetic_from_enu([east_m, 0.0, 0.0])
        middle = LocalFrame(float(latitude_deg), float(longitude_deg))
        write_raster(tmp_path / name, np.full((3, 200, 200), 90, np.uint8), middle, 32632, 0.2)
    source = open_map_source(str(tmp_path), frame)
    (tmp_path / "west.tif").write_bytes(b"rubbish")
    crop = source.read(Bounds.around(0, 0, 10), 0.5)
    assert not crop.valid[:, :18].any() and crop.valid[:, 22:].all()
    assert len(crop.problems) == 1 and "west.tif" in crop.problems[0]
    with pytest.raises(MapSourceError, match="cannot open the map .*west.tif"):
        source.read(Bounds.around(-20, 0, 10), 0.5)


def test_other_files_in_a_folder(tmp_path, frame) -> None:
    write_raster(tmp_path / "map.tif", np.full((3, 64, 64), 90, np.uint8), frame)
    (tmp_path / "._map.tif").write_bytes(b"resource fork of macOS")
    assert open_map_source(str(tmp_path), frame).read(Bounds.around(0, 0, 2), 0.5).valid.all()
    (tmp_path / "preview.jpg").write_bytes(encoded(np.full((9, 9, 3), 90, np.uint8), ".jpg"))
    with pytest.raises(MapSourceError, match="preview.jpg has no coordinate .*or take it out of the folder"):
        open_map_source(str(tmp_path), frame)


def test_a_folder_without_rasters(tmp_path, frame) -> None:
    with pytest.raises(MapSourceError, match="holds no map files.*for a folder of tiles give the template"):
        open_map_source(str(tmp_path), frame)


def test_shifted_imagery_is_moved(frame) -> None:
    source = TiledMap(world, frame, TileMatrix(max_zoom=ZOOM))
    plain = source.read(Bounds.around(0, 0, 20), 0.2)
    shifted = ShiftedMap(source, 3.0, -5.0).read(Bounds.around(3.0, -5.0, 20), 0.2)
    np.testing.assert_array_equal(shifted.image, plain.image)
    assert shifted.grid.bounds == Bounds.around(3.0, -5.0, 20)
    assert probe_map(ShiftedMap(source, 3.0, -5.0), 0.0, 0.0, 0.2).valid_ratio == 1


def test_the_settings_shift_the_map(tmp_path, frame) -> None:
    path = write_raster(tmp_path / "map.tif", np.full((3, 40, 40), 9, np.uint8), frame)  # 10 m wide
    values = {
        "datum.latitude_deg": frame.latitude_deg, "datum.longitude_deg": frame.longitude_deg,
        "map.source": str(path), "map.shift_east_m": 20.0, "map.shift_north_m": -30.0,
    }  # fmt: skip
    source = open_map(Settings.from_values(values))
    assert source.read(Bounds.around(20.0, -30.0, 3), 0.25).valid.all()
    assert not source.read(Bounds.around(0.0, 0.0, 3), 0.25).valid.any()


def test_an_address_without_a_server(frame) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("map.tif", "map.pmtiles"):
        with pytest.raises(MapSourceError, match=f"127.0.0.1:{port}/{name}"):
            open_map_source(f"http://127.0.0.1:{port}/{name}", frame, fetch=ONCE)
