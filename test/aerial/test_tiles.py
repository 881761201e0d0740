"""Tiled maps: templates, tile sizes and formats give the same ground; holes and failures are distinguished."""

from __future__ import annotations

import itertools
import re
import socket
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from aerial_world import PATIENT, ZOOM, Reply, TileServer, centre_tile, encoded, world_tile, write_mbtiles

from xview_localizer.aerial.fetch import FetchConfig, TileMissing
from xview_localizer.aerial.mercator import metres_per_pixel, pixel_from_geodetic
from xview_localizer.aerial.open import open_map_source, probe_map
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.tiles import TiledMap, TileMatrix
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

BOUNDS = Bounds(-40.0, -35.0, 45.0, 50.0)
QUICK = FetchConfig(timeout_sec=0.3, retries=1)


def publish(
    server: TileServer,
    frame: LocalFrame,
    path: Callable[[int, int, int], str] = lambda zoom, x, y: f"/{zoom}/{x}/{y}.png",
    zoom: int = ZOOM,
    tile_px: int = 256,
    encode: Callable[[np.ndarray], bytes] = encoded,
) -> None:
    """Put the tiles around the datum on the server."""
    x0, y0 = centre_tile(frame, zoom, tile_px)
    for x in range(x0 - 2, x0 + 3):
        for y in range(y0 - 2, y0 + 3):
            server.replies[path(zoom, x, y)] = Reply(encode(world_tile(zoom, x, y, tile_px)))


def read(template: str, frame: LocalFrame, **options) -> AerialImage:
    matrix = options.pop("matrix", TileMatrix(max_zoom=ZOOM))
    return open_map_source(template, frame, matrix, options.pop("fetch", PATIENT), **options).read(
        BOUNDS, 0.2
    )


@pytest.fixture
def reference(server: TileServer, frame: LocalFrame) -> AerialImage:
    publish(server, frame)
    return read(server.url + "/{z}/{x}/{y}.png", frame)


def test_crop_shows_the_pattern_where_mercator_puts_it(reference: AerialImage, frame: LocalFrame) -> None:
    assert reference.valid.all() and reference.problems == ()
    xy_m = reference.grid.cell_centres_xy_m
    latitude, longitude, _ = frame.geodetic_from_enu(np.column_stack([xy_m, np.zeros(len(xy_m))]))
    u, v = pixel_from_geodetic(latitude, longitude, ZOOM, 256).T
    expected = 128 + 110 * np.sin(u / 31) * np.cos(v / 23)
    assert np.abs(reference.image[..., 0].ravel() - expected).max() < 2.5  # rounding and bilinear curvature


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/tms/{z}/{x}/{-y}.png", lambda z, x, y: f"/tms/{z}/{x}/{2**z - 1 - y}.png"),
        ("/rest/{TileMatrix}/{TileRow}/{TileCol}.png", lambda z, x, y: f"/rest/{z}/{y}/{x}.png"),
        (
            "/kvp?REQUEST=GetTile&TILEMATRIX=EPSG:3857:{TileMatrix}&TILEROW={TileRow}&TILECOL={TileCol}",
            lambda z, x, y: f"/kvp?REQUEST=GetTile&TILEMATRIX=EPSG:3857:{z}&TILEROW={y}&TILECOL={x}",
        ),
    ],
    ids=["tms", "wmts-rest", "wmts-kvp"],
)
def test_tms_and_wmts_equal_xyz(server, frame, reference, template, path) -> None:
    server.replies.clear()
    publish(server, frame, path)
    crop = read(server.url + template, frame)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image, reference.image)


def test_tiles_of_512_px_are_taken_one_zoom_lower_and_equal(server, frame, reference) -> None:
    server.replies.clear()
    publish(server, frame, zoom=ZOOM - 1, tile_px=512)
    crop = read(server.url + "/{z}/{x}/{y}.png", frame, matrix=TileMatrix(tile_px=512, max_zoom=ZOOM))
    assert crop.valid.all()
    assert np.abs(crop.image.astype(int) - reference.image).max() <= 1  # other origin, other rounding


@pytest.mark.parametrize(
    "encode",
    [
        lambda rgb: encoded(rgb, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98),
        lambda rgb: encoded(rgb, ".webp", cv2.IMWRITE_WEBP_QUALITY, 98),
    ],
    ids=["jpeg", "webp"],
)
def test_jpeg_and_webp(server, frame, reference, encode) -> None:
    publish(server, frame, encode=encode)
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert crop.valid.all()
    assert np.abs(crop.image.astype(int) - reference.image).mean() < 3


def test_file_template(tmp_path: Path, frame, reference) -> None:
    folder = tmp_path / "a folder"
    x0, y0 = centre_tile(frame)
    for x in range(x0 - 2, x0 + 3):
        for y in range(y0 - 2, y0 + 3):
            (folder / str(ZOOM) / str(x)).mkdir(parents=True, exist_ok=True)
            (folder / str(ZOOM) / str(x) / f"{y}.png").write_bytes(encoded(world_tile(ZOOM, x, y)))
    crop = read(f"file://{folder}/{{z}}/{{x}}/{{y}}.png", frame)
    np.testing.assert_array_equal(crop.image, reference.image)
    assert crop.valid.all()


def test_mbtiles_equals_xyz(tmp_path: Path, frame, reference) -> None:
    crop = read(str(write_mbtiles(tmp_path / "odd #name?.mbtiles", frame)), frame)
    assert crop.valid.all()
    np.testing.assert_array_equal(crop.image, reference.image)


@pytest.mark.parametrize("blank", [b"", None], ids=["empty", "null"])
def test_empty_tiles_of_mbtiles_are_holes_and_no_problem(tmp_path: Path, frame, reference, blank) -> None:
    path = write_mbtiles(tmp_path / "map.mbtiles", frame)
    x, y = centre_tile(frame)
    with closing(sqlite3.connect(path)) as database, database:
        row = (blank, x, 2**ZOOM - 1 - y)
        database.execute("UPDATE tiles SET tile_data = ? WHERE tile_column = ? AND tile_row = ?", row)
        first = "INSERT INTO tiles (rowid, zoom_level, tile_column, tile_row, tile_data)"
        database.execute(f"{first} VALUES (-1, ?, 0, 0, ?)", (ZOOM, blank))
    crop = read(str(path), frame)
    assert 0.2 < crop.valid_ratio < 0.9 and crop.problems == ()
    np.testing.assert_array_equal(crop.image[crop.valid], reference.image[crop.valid])


def test_a_blob_that_would_fill_the_memory_is_not_read(tmp_path: Path, frame) -> None:
    path = write_mbtiles(tmp_path / "map.mbtiles", frame)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE tiles SET tile_data = zeroblob(9000000)")
    with pytest.raises(MapSourceError, match="holds no tiles"):
        open_map_source(str(path), frame)


def test_missing_tile_is_a_hole_and_no_problem(server, frame, reference) -> None:
    x, y = centre_tile(frame)
    del server.replies[f"/{ZOOM}/{x}/{y}.png"]
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert 0.2 < crop.valid_ratio < 0.9 and crop.problems == ()
    # Nothing of the hole's black shows in the pixels that count.
    np.testing.assert_array_equal(crop.image[crop.valid], reference.image[crop.valid])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_cut_tile_is_invalid_and_reported(server, frame, reference, suffix, caplog) -> None:
    x, y = centre_tile(frame)
    whole = encoded(world_tile(ZOOM, x, y), suffix)
    server.replies[f"/{ZOOM}/{x}/{y}.png"] = Reply(whole[: len(whole) // 2])
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert 0.2 < crop.valid_ratio < 0.9
    (problem,) = crop.problems
    assert "cut short" in problem and f"{ZOOM}/{x}/{y}" in problem and problem in caplog.text


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(b"<html>sorry</html>", content_type="text/html"), "no PNG, JPEG or WebP"),
        (Reply(encoded(world_tile(ZOOM, 0, 0, 128))), "128 × 128 px, not 256"),
        (Reply(bytes(9_000_000)), "more than 8000000 bytes"),
        (Reply(status=403), "HTTP 403; check the access rights"),
        (Reply(status=503), "HTTP 503; the server is overloaded"),
        (Reply(b"\x89PNG", headers={"Content-Length": "4000"}), "the download of .* failed"),
    ],
    ids=["html", "size", "oversized", "forbidden", "overloaded", "broken-off"],
)
def test_failing_tile_is_invalid_and_reported(server, frame, reference, reply, message) -> None:
    x, y = centre_tile(frame)
    server.replies[f"/{ZOOM}/{x}/{y}.png"] = reply
    crop = read(server.url + "/{z}/{x}/{y}.png", frame, fetch=FetchConfig(timeout_sec=30.0, retries=0))
    assert 0.2 < crop.valid_ratio < 0.9
    (problem,) = crop.problems
    assert re.search(message, problem)


def test_slow_tile_is_invalid_and_reported(server, frame, reference) -> None:
    """On a busy machine others may be late, too."""
    x, y = centre_tile(frame)
    server.replies[f"/{ZOOM}/{x}/{y}.png"] = Reply(encoded(world_tile(ZOOM, x, y)), delay_sec=60.0)
    crop = read(server.url + "/{z}/{x}/{y}.png", frame, fetch=FetchConfig(timeout_sec=2.0, retries=0))
    assert crop.valid_ratio < 0.9
    assert all("does not answer within 2 s" in problem for problem in crop.problems) and crop.problems


def test_failed_request_is_tried_again(server, frame, reference) -> None:
    x, y = centre_tile(frame)
    path = f"/{ZOOM}/{x}/{y}.png"
    server.requests.clear()
    good = server.replies[path]
    server.replies[path] = [Reply(status=503), Reply(status=500), good]
    crop = read(server.url + "/{z}/{x}/{y}.png", frame, fetch=FetchConfig(timeout_sec=30.0, retries=2))
    assert server.requests[path] == 3
    assert crop.valid.all() and crop.problems == ()


def test_transparent_pixels_are_invalid(server, frame, reference) -> None:
    x, y = centre_tile(frame)
    rgba = np.dstack([world_tile(ZOOM, x, y), np.full((256, 256), 255, np.uint8)])
    rgba[:, :128, 3] = 0
    rgba[:, :128, :3] = 0
    server.replies[f"/{ZOOM}/{x}/{y}.png"] = Reply(encoded(rgba))
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert 0.4 < crop.valid_ratio < 0.95
    np.testing.assert_array_equal(crop.image[crop.valid], reference.image[crop.valid])


def test_dead_server_raises_with_what_to_do(frame) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(MapSourceError, match=f"{port} does not answer.*start it or check the address"):
        read(f"http://127.0.0.1:{port}/{{z}}/{{x}}/{{y}}.png", frame)


def test_a_server_that_never_answers_raises_after_one_timeout(server, frame) -> None:
    publish(server, frame, encode=lambda rgb: b"")
    server.replies = {path: Reply(delay_sec=60.0) for path in server.replies}
    start_sec = time.monotonic()
    with pytest.raises(MapSourceError, match="does not answer within 0.3 s"):
        read(server.url + "/{z}/{x}/{y}.png", frame, fetch=QUICK)
    assert time.monotonic() - start_sec < 30.0


def test_dead_map_is_given_up_after_the_first_round(frame) -> None:
    asked = []

    def tile(zoom: int, x: int, y: int) -> bytes:
        asked.append((x, y))
        raise MapSourceError("no answer")

    with pytest.raises(MapSourceError, match="no answer"):
        TiledMap(tile, frame).read(Bounds.around(0, 0, 300), 0.2)
    assert 8 <= len(asked) < 16  # of some 140


def test_every_tile_that_is_not_had_is_a_problem_also_when_a_failing_map_recovers(frame) -> None:
    wanted, calls, most_failed = [], itertools.count(), threading.Event()

    def healthy(zoom: int, x: int, y: int) -> bytes:
        wanted.append((x, y))
        return encoded(world_tile(zoom, x, y))

    def recovering(zoom: int, x: int, y: int) -> bytes:
        call = next(calls)
        if call == 0:
            assert most_failed.wait(5)
            return encoded(world_tile(zoom, x, y))
        if call == 8:
            most_failed.set()
        raise MapSourceError("no answer")

    bounds = Bounds.around(0, 0, 100)
    TiledMap(healthy, frame).read(bounds, 0.2)
    crop = TiledMap(recovering, frame).read(bounds, 0.2)
    assert 0 < crop.valid_ratio < 0.2
    assert len(crop.problems) == len(wanted) - 1


def test_crop_of_holes_only_is_invalid_and_raises_nothing(server, frame) -> None:
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert not crop.valid.any() and not crop.image.any() and crop.problems == ()


def test_coarse_crops_take_lower_zooms_and_average_where_there_is_none(server, frame) -> None:
    asked = set()

    def tile(zoom: int, x: int, y: int) -> bytes:
        asked.add(zoom)
        checkers = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
        return encoded(np.dstack([checkers] * 3))

    TiledMap(tile, frame).read(BOUNDS, 1.6)
    assert asked == {16}
    only_fine = TiledMap(tile, frame, TileMatrix(min_zoom=19)).read(BOUNDS, 1.6)
    assert np.abs(only_fine.image.astype(int) - 127).max() < 12  # grey, no moiré


def test_tiles_join_across_the_antimeridian() -> None:
    datum = LocalFrame(-17.0, 179.99999)
    crop = TiledMap(lambda zoom, x, y: encoded(world_tile(zoom, x, y)), datum).read(BOUNDS, 0.3)
    assert crop.valid.all()


def test_crops_too_large_are_refused(frame) -> None:
    def tile(zoom: int, x: int, y: int) -> bytes:
        raise TileMissing

    fine = TiledMap(tile, frame, TileMatrix(min_zoom=19))
    with pytest.raises(MapSourceError, match="tiles of zoom 19, more than 400; ask for less"):
        fine.read(Bounds.around(0, 0, 1000), 2.0)
    with pytest.raises(MapSourceError, match="megapixels"):
        fine.read(Bounds.around(0, 0, 5000), 0.2)
    with pytest.raises(MapSourceError, match="metres_per_pixel must be positive"):
        fine.read(BOUNDS, 0.0)


@pytest.mark.parametrize(
    ("latitude_deg", "zoom", "expected_m"), [(0, 0, 156543.03392), (60, 19, 0.149291), (-48, 18, 0.399581)]
)
def test_metres_per_pixel_follow_the_latitude(latitude_deg, zoom, expected_m) -> None:
    assert metres_per_pixel(latitude_deg, zoom) == pytest.approx(expected_m, rel=1e-5)
    assert metres_per_pixel(latitude_deg, zoom, 512) == pytest.approx(expected_m / 2, rel=1e-5)


def placeholder() -> np.ndarray:
    grey = np.full((256, 256, 3), 204, np.uint8)
    return cv2.putText(grey, "no imagery", (30, 130), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (120, 120, 120), 2)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_same_grey_picture_everywhere_is_no_imagery(server, frame, suffix) -> None:
    publish(server, frame, encode=lambda _: encoded(placeholder(), suffix))
    source = open_map_source(server.url + "/{z}/{x}/{y}.png", frame, TileMatrix(max_zoom=ZOOM), PATIENT)
    crop = source.read(BOUNDS, 0.2)
    assert not crop.valid.any() and crop.problems == ()
    with pytest.raises(MapSourceError, match="same picture at several places.*lower map.max_zoom"):
        probe_map(source, 0.0, 0.0, 0.2)


def test_coarser_imagery_stands_in_for_placeholders_and_holes(server, frame, reference) -> None:
    publish(server, frame, zoom=ZOOM - 2)
    x, y = centre_tile(frame)
    del server.replies[f"/{ZOOM}/{x}/{y}.png"]
    for column in (x - 1, x + 1):
        server.replies[f"/{ZOOM}/{column}/{y}.png"] = Reply(encoded(placeholder()))
    crop = read(server.url + "/{z}/{x}/{y}.png", frame)
    assert crop.valid.all() and crop.problems == ()
    assert np.abs(crop.image.astype(int) - reference.image).mean() < 4  # a smooth pattern, four times coarser


def test_other_repetitions_are_ground_with_a_warning(frame) -> None:
    noise = encoded(np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8))
    source = TiledMap(lambda zoom, x, y: noise, frame)
    assert "same picture at several places" in str(probe_map(source, 0.0, 0.0, 0.2))
    water = TiledMap(lambda zoom, x, y: encoded(np.full((256, 256, 3), 60, np.uint8)), frame)
    assert str(probe_map(water, 0.0, 0.0, 0.2)) == "100% imagery, 0.199 m/px, PNG tiles of 256 px, zoom 19"


def test_map_of_one_colour_is_warned_of(frame) -> None:
    grey = encoded(np.full((256, 256, 3), 60, np.uint8))
    few, many = Bounds.around(0.0, 0.0, 40.0), Bounds.around(0.0, 0.0, 150.0)
    source = TiledMap(lambda zoom, x, y: grey, frame)
    assert source.read(few, 0.2).warnings == ()
    assert "are of one colour" in source.read(many, 0.2).warnings[0]

    def with_shore(zoom, x, y):
        return grey if x % 4 else encoded(world_tile(zoom, x, y))

    assert TiledMap(with_shore, frame).read(many, 0.2).warnings == ()


def test_a_pyramid_that_is_deeper_elsewhere_is_read_at_its_zoom_here(tmp_path, frame, reference) -> None:
    path = tmp_path / "map.mbtiles"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
        x0, y0 = centre_tile(frame, ZOOM - 1)
        for x, y in itertools.product(range(x0 - 2, x0 + 3), range(y0 - 2, y0 + 3)):
            tile = encoded(world_tile(ZOOM - 1, x, y))
            row = (ZOOM - 1, x, 2 ** (ZOOM - 1) - 1 - y, tile)
            database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)
        far = (ZOOM + 2, 5, 5, encoded(world_tile(ZOOM + 2, 5, 5)))
        database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", far)
    source = open_map_source(str(path), frame, TileMatrix(max_zoom=24))
    crop = source.read(BOUNDS, 0.2)
    assert crop.valid.all()
    assert np.abs(crop.image.astype(int) - reference.image).mean() < 3
    assert "zoom 18 (coarser than" in str(probe_map(source, 0.0, 0.0, 0.2))
    # map.max_zoom counts here, too.
    with pytest.raises(MapSourceError, match="begins at zoom 18, and map.max_zoom is 16; raise it"):
        open_map_source(str(path), frame, TileMatrix(max_zoom=ZOOM - 3))


def test_a_failing_tile_is_not_replaced_by_a_coarser_one(server, frame, reference) -> None:
    publish(server, frame, zoom=ZOOM - 1)
    x, y = centre_tile(frame)
    server.replies[f"/{ZOOM}/{x}/{y}.png"] = Reply(status=500)
    crop = read(server.url + "/{z}/{x}/{y}.png", frame, fetch=FetchConfig(0.3, retries=0))
    assert not crop.valid.all() and len(crop.problems) == 1


def test_decompression_bombs_are_refused_by_their_headers(frame, monkeypatch) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(MapSourceError, match="is a corrupt PNG|is 20000 × 20000 px, not 256"):
        TiledMap(lambda zoom, x, y: bomb + b"\0\0\0\0IEND\xaeB`\x82", frame).read(BOUNDS, 0.2)
