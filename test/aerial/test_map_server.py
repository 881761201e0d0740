"""The local map server: XYZ tiles from a file over HTTP, in a process that starts and stops cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from aerial_world import PATIENT, ZOOM, centre_tile, served, world_tile, write_mbtiles, write_raster

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.http_client import HttpAnswer, HttpClient
from xview_localizer.aerial.map_server import TILE_ROUTE, MapServerProcess, make_app, serve, served_map
from xview_localizer.aerial.open import open_map_source
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.simulation.geotiff import write_utm_geotiff


def answer(url: str) -> HttpAnswer:
    return HttpClient("test").get(url, PATIENT.timeout_sec, 10_000_000)


@pytest.fixture
def geotiff(tmp_path, frame) -> Path:
    v, u = np.mgrid[0:400, 0:400]
    image = np.stack([60 + u // 4, 60 + v // 4, 128 + 0 * u], axis=-1).astype(np.uint8)
    path = tmp_path / "ortho.tif"
    grid = RasterGrid.centred(0.0, 0.0, 0.25, 400, 400)
    write_utm_geotiff(path, AerialImage(image, np.ones((400, 400), bool), grid), frame)
    return path


def test_process_serves_and_stops(geotiff, frame, tmp_path) -> None:
    cache = TileCache(tmp_path / "tiles")
    with MapServerProcess(geotiff) as server:
        source = open_map_source(server.template, frame, TileMatrix(max_zoom=20), PATIENT, cache)
        crop = source.read(Bounds.around(0, 0, 30), 0.25)
        process = server._process
    assert process.returncode in (0, -signal.SIGTERM)
    assert crop.valid.all()
    direct = open_map_source(str(geotiff), frame).read(Bounds.around(0, 0, 30), 0.25)
    assert np.abs(crop.image.astype(int) - direct.image).max() <= 2
    # Another map may be served at this address later, so that tiles must not be cached.
    assert not [path for path in cache.folder.rglob("*") if path.is_file()]
    with pytest.raises(MapSourceError, match="does not answer"):
        source.read(Bounds.around(0, 0, 30), 0.25)


def test_only_files_are_served(geotiff, tmp_path) -> None:
    for source in (
        "http://localhost:8080/{z}/{x}/{y}.png",
        "https://host/wms?SERVICE=WMS&LAYERS=a",
        str(tmp_path),
    ):
        with served_map(source) as served_source:
            assert served_source == source
    with served_map(str(geotiff)) as template:
        assert template.startswith("http://127.0.0.1:") and template.endswith(TILE_ROUTE)
        assert answer(template.format(z=ZOOM, x=5, y=5)).status == 404


def test_command_prints_its_template_and_ends_on_sigterm(geotiff) -> None:
    command = [sys.executable, "-m", "xview_localizer.cli.main", "map-server", str(geotiff), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    assert line.startswith("serving ortho.tif as http://127.0.0.1:") and line.endswith("/{z}/{x}/{y}.png\n")


def test_free_port_is_printed_once_bound_and_a_taken_one_is_refused(geotiff) -> None:
    command = [sys.executable, "-m", "xview_localizer.cli.main", "map-server", str(geotiff), "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process:
        template = process.stdout.readline().split(" as ")[1].strip()
        port = template.split(":")[2].split("/")[0]
        assert answer(template.replace(TILE_ROUTE, "/healthz")).status == 200
        second = subprocess.run([*command, port], capture_output=True, text=True, timeout=60, check=False)
        process.terminate()
    assert second.returncode != 0
    output = second.stdout + second.stderr
    assert f"cannot serve at 127.0.0.1:{port}" in output
    assert "serving" not in output


def test_two_at_once_serve_each_its_own_map(tmp_path, frame) -> None:
    """Two servers that are started at the same time, as by two launches on one host."""
    command = [sys.executable, "-m", "xview_localizer.cli.main", "map-server", "--port", "0"]
    shades = (60, 200)
    maps = [
        write_raster(tmp_path / f"map_{shade}.tif", np.full((3, 400, 400), shade, np.uint8), frame)
        for shade in shades
    ]
    servers = [subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, text=True) for path in maps]
    try:
        templates = [server.stdout.readline().split(" as ")[1].strip() for server in servers]
        crops = [
            open_map_source(template, frame, fetch=PATIENT).read(Bounds.around(0, 0, 10), 0.25)
            for template in templates
        ]
    finally:
        for server in servers:
            server.terminate()
            server.communicate(timeout=20)
    for crop, shade in zip(crops, shades, strict=True):
        assert crop.valid.all() and (crop.image == shade).all()


def test_edges_are_transparent_and_beyond_is_404(tmp_path, frame) -> None:
    path = write_raster(tmp_path / "map.tif", np.full((3, 400, 400), 100, np.uint8), frame)
    with served(path) as template:
        source = open_map_source(template, frame, TileMatrix(max_zoom=20), PATIENT)
        crop = source.read(Bounds.around(0, 0, 80), 0.25)
        far = template.format(z=ZOOM, x=5, y=5)
        assert answer(far).status == 404
    assert crop.valid_ratio == pytest.approx(100**2 / 160**2, rel=0.01)
    assert crop.image[crop.valid].min() >= 99  # no black from beyond the edge


@pytest.mark.parametrize("name", ["map.tif", "map.mbtiles"])
def test_tiles_outside_the_pyramid_are_404(tmp_path, frame, name) -> None:
    path = tmp_path / name
    if name.endswith("tif"):
        write_raster(path, np.full((3, 40, 40), 9, np.uint8), frame)
    else:
        write_mbtiles(path, frame)
    with served(path) as template:
        for z, x, y in ((-1, 0, 0), (2, 9, 9), (19, -1, 0), (19, 0, 2**19), (31, 1, 1), (90, 1, 1)):
            assert answer(template.format(z=z, x=x, y=y)).status == 404


@pytest.mark.parametrize("count", [1, 4])
def test_grey_and_infrared_rasters_are_served(tmp_path, frame, count) -> None:
    bands = np.full((count, 400, 400), 77, np.uint8)
    bands[3:] = 3
    options = {"photometric": "RGB", "alpha": "unspecified"} if count == 4 else {}
    with served(write_raster(tmp_path / "map.tif", bands, frame, **options)) as template:
        crop = open_map_source(template, frame, fetch=PATIENT).read(Bounds.around(0, 0, 10), 0.25)
    assert crop.valid.all() and (crop.image == 77).all()


def test_the_server_warns_of_a_raster_that_its_readers_cannot_doubt(tmp_path, frame, caplog) -> None:
    make_app(write_raster(tmp_path / "map.tif", np.full((3, 400, 400), 90, np.uint8), frame, 23032))
    assert "map.tif: EPSG:23032 (ED50 / UTM zone 32N) can be off by" in caplog.text


def test_mbtiles_are_served_as_they_are(tmp_path, frame) -> None:
    x, y = centre_tile(frame)
    with served(write_mbtiles(tmp_path / "m.mbtiles", frame, ".jpg")) as template:
        served_tile = answer(template.format(z=ZOOM, x=x, y=y))
        assert answer(template.format(z=ZOOM, x=x + 90, y=y)).status == 404
    assert served_tile.headers["content-type"] == "image/jpeg"
    tile = cv2.imdecode(np.frombuffer(served_tile.body, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(tile.astype(int) - world_tile(ZOOM, x, y)).mean() < 4


def test_proxies_of_the_environment_are_not_asked(geotiff, frame, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with served(geotiff) as template:
        source = open_map_source(template, frame, TileMatrix(max_zoom=20), PATIENT)
        assert source.read(Bounds.around(0, 0, 10), 0.25).valid.all()


@pytest.mark.parametrize("name", ["map.tif", "map.mbtiles"])
def test_a_file_that_is_no_map_is_not_served(tmp_path, name) -> None:
    path = tmp_path / name
    with pytest.raises(MapSourceError, match=f"the map file .*{name} is not there"):
        serve(path)
    path.write_bytes(b"rubbish" * 100)
    with pytest.raises(MapSourceError, match=name):
        make_app(path)


def test_a_server_that_cannot_start_gives_the_reason(tmp_path) -> None:
    path = tmp_path / "map.tif"
    path.write_bytes(b"rubbish")
    with (
        pytest.raises(MapSourceError, match="did not start: .*cannot open the map"),
        MapServerProcess(path),
    ):
        pass
