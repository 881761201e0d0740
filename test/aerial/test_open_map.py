"""From what a user writes to a map: what is accepted, and what the start-up probe reports."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from aerial_world import (
    PATIENT,
    ZOOM,
    Reply,
    centre_tile,
    encoded,
    served,
    world_tile,
    write_mbtiles,
    write_raster,
)

from xview_localizer.aerial.fetch import FetchConfig
from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.open import open_map_source, probe_map
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.simulation.geotiff import write_utm_geotiff

# The servers here answer or refuse at once, but a busy machine may take its time.
ONCE = FetchConfig(timeout_sec=30.0, retries=0)


@pytest.fixture
def geotiff(tmp_path, frame):
    image = np.full((300, 300, 3), 120, np.uint8)
    grid = RasterGrid.centred(0.0, 0.0, 0.25, 300, 300)
    path = tmp_path / "an ortho.tif"
    write_utm_geotiff(path, AerialImage(image, np.ones((300, 300), bool), grid), frame)
    return path


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("map.bmp", "cannot tell what map 'map.bmp' is .*: give a tile template.*mbtiles.*tif"),
        ("", "cannot tell what map"),
        (
            "http://host/ortho.vrt",
            "ends with .tif .COG. or .pmtiles; other rasters have to be on this machine",
        ),
        ("http://host/{z}/{x}.png", "must hold {z}, {x} and one of {y}"),
        ("http://host/{z}/{x}/{y}/{-y}.png", "one of {y}"),
        ("https://{s}.host/{z}/{x}/{y}.png?key={key}", "holds {key}; write its value in its place"),
        ("tiles/{z}/{x}/{y}.png", "must begin with http://, https:// or file://"),
        ("ftp://host/{z}/{x}/{y}.png", "must begin with http"),
        ("http://[::1/{z}/{x}/{y}", "'http://.*' is not a valid address: Invalid IPv6 URL"),
        ("http://[::1/ortho.tif", "'http://.*' is not a valid address: Invalid IPv6 URL"),
        ("~no such user/ortho.tif", "cannot open the map ~no such user"),
        ("absent.mbtiles", "there is no MBTiles file absent.mbtiles"),
        (
            "/absent/folder",
            "cannot tell what map '/absent/folder' is .there is no such file or folder.: give",
        ),
    ],
)
def test_an_address_that_is_no_map_is_refused(uri, message, frame) -> None:
    with pytest.raises(MapSourceError, match=message):
        open_map_source(uri, frame)


@pytest.mark.parametrize("name", ["ortho.ecw", "ortho.img"])
def test_rasters_of_other_kinds_can_be_converted(name, tmp_path, frame) -> None:
    (tmp_path / name).write_bytes(b"raster")
    with pytest.raises(
        MapSourceError, match=f"cannot tell what map .*{name}' is .*gdal_translate FILE map.tif"
    ):
        open_map_source(str(tmp_path / name), frame)


def test_broken_mbtiles_are_refused(tmp_path, frame) -> None:
    rubbish, empty, blank, vector = (
        tmp_path / f"{name}.mbtiles" for name in ("rubbish", "empty", "blank", "vector")
    )
    rubbish.write_bytes(b"no database" * 100)
    contents = {
        empty: [],
        blank: [(3, 1, 1, b""), (3, 1, 2, None)],
        vector: [(3, 1, 1, b"\x1f\x8bvector")],
    }
    for path, rows in contents.items():
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
            database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    for path, message in (
        (rubbish, "is no MBTiles file"),
        (empty, "holds no tiles"),
        (blank, "holds no tiles"),
        (vector, "vector tiles"),
    ):
        with pytest.raises(MapSourceError, match=message):
            open_map_source(str(path), frame)


def test_mbtiles_in_wal_mode_are_read_where_nothing_can_be_written_beside_them(tmp_path, frame) -> None:
    """As on a read-only volume; for root, only a folder of the journal's name is in the way."""
    path = write_mbtiles(tmp_path / "m.mbtiles", frame)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    (tmp_path / "m.mbtiles-wal").mkdir()
    assert probe_map(open_map_source(str(path), frame), 0.0, 0.0, 0.25).valid_ratio == 1.0


def test_mbtiles_of_texts_are_refused(tmp_path, frame) -> None:
    """Scripts take the numbers from the names of files."""
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as database, database:
        database.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
        database.execute("INSERT INTO tiles VALUES ('9', '1', '2', x'00'), ('10', '1', '2', x'00')")
    with pytest.raises(MapSourceError, match="stores zoom levels and rows as texts; write it again"):
        open_map_source(str(tmp_path / "a.mbtiles"), frame)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_files_are_opened_with_and_without_scheme(geotiff, tmp_path, frame, scheme) -> None:
    mbtiles = write_mbtiles(tmp_path / "m.mbtiles", frame)
    for path in (geotiff, mbtiles):
        quoted = path.as_uri() if scheme else str(path)
        assert open_map_source(quoted, frame).read(Bounds.around(0, 0, 10), 0.3).valid.all()


def test_probe_reports_the_sources_own_resolution(geotiff, tmp_path, frame) -> None:
    assert str(probe_map(open_map_source(str(geotiff), frame), 0, 0, 0.2)) == (
        "100% imagery, 0.25 m/px, GTiff of 310 × 310 px in EPSG:32632"
    )
    source = open_map_source(str(write_mbtiles(tmp_path / "m.mbtiles", frame, ".webp")), frame)
    assert str(probe_map(source, 0, 0, 0.2)) == "100% imagery, 0.199 m/px, WebP tiles of 256 px, zoom 19"
    assert str(probe_map(source, 0, 0, 0.1)) == (
        "100% imagery, 0.199 m/px, WebP tiles of 256 px, zoom 19 (coarser than the wanted 0.1 m/px)"
    )


def test_probe_of_an_image_in_memory(frame) -> None:
    grid = RasterGrid.centred(0.0, 0.0, 0.5, 200, 200)
    source = InMemoryMap(AerialImage(np.zeros((200, 200, 3), np.uint8), np.ones((200, 200), bool), grid))
    assert probe_map(source, 0, 0, 0.5).level.metres_per_pixel == 0.5


def test_probe_reports_broken_tiles(server, frame) -> None:
    x0, y0 = centre_tile(frame)
    for x in range(x0 - 1, x0 + 2):
        for y in range(y0 - 1, y0 + 2):
            server.replies[f"/{ZOOM}/{x}/{y}"] = Reply(encoded(world_tile(ZOOM, x, y)))
    server.replies[f"/{ZOOM}/{x0}/{y0}"] = Reply(b"<html>")
    source = open_map_source(server.url + "/{z}/{x}/{y}", frame, TileMatrix(max_zoom=ZOOM), ONCE)
    probe = probe_map(source, 30.0, 30.0, 0.2)
    assert 0 < probe.valid_ratio <= 1
    probe = probe_map(source, 0.0, 0.0, 0.2)
    assert probe.valid_ratio < 1 and "is no PNG, JPEG or WebP image" in str(probe)


def test_probe_off_the_map_advises_what_to_check(server, geotiff, frame) -> None:
    empty = open_map_source(server.url + "/{z}/{x}/{y}", frame, fetch=ONCE)
    with pytest.raises(
        MapSourceError, match=r"no imagery within 20 m .*no tiles of 256 px, zoom 19.*pyramid has this zoom"
    ):
        probe_map(empty, 0, 0, 0.2)
    with pytest.raises(MapSourceError, match="check that the datum lies on the map"):
        probe_map(open_map_source(str(geotiff), frame), 4000, 0, 0.2)


def test_the_served_map_equals_the_file(tmp_path, frame) -> None:
    v, u = np.mgrid[0:400, 0:400]
    waves = (128 + 100 * np.sin(u / 2) * np.sin(v / 2)).astype(np.uint8)  # 3 m long
    path = write_raster(tmp_path / "map.tif", np.stack([waves] * 3), frame)
    direct = open_map_source(str(path), frame).read(Bounds.around(0, 0, 25), 0.25)
    with served(path) as template:
        tiled = open_map_source(template, frame, TileMatrix(max_zoom=21), PATIENT).read(
            Bounds.around(0, 0, 25), 0.25
        )
    assert direct.valid.all() and tiled.valid.all()
    assert np.abs(tiled.image.astype(int) - direct.image).mean() < 4  # both interpolate


def test_reading_maps_needs_no_server_packages() -> None:
    code = (
        "import sys; import xview_localizer.aerial.open, xview_localizer.aerial.map_server; "
        "print(sorted({'fastapi', 'uvicorn', 'torch', 'rclpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
