"""Fetching: one tile never takes longer than its timeout, whatever the server or the network does."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aerial_world import Reply, TileServer, encoded, world_tile

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.fetch import FetchConfig, Fetcher, TileMissing
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError

TILE = encoded(world_tile(19, 7, 9))
TIMEOUT_SEC = 0.4


@contextmanager
def within_the_timeout() -> Iterator[None]:
    start_sec = time.monotonic()
    yield
    assert time.monotonic() - start_sec < 3 * TIMEOUT_SEC  # a busy machine takes its share


@pytest.mark.parametrize(
    "reply",
    [Reply(TILE, delay_sec=1.5), Reply(TILE[:12], pause_per_byte_sec=0.15)],
    ids=["mute", "dripping"],
)
def test_a_slow_server_blocks_no_caller_beyond_the_timeout(server: TileServer, reply) -> None:
    server.replies["/1"] = reply
    fetcher = Fetcher(FetchConfig(TIMEOUT_SEC, retries=2))
    with within_the_timeout(), pytest.raises(MapSourceError, match="does not answer within 0.4 s; start it"):
        fetcher.fetch(server.url + "/1")
    assert server.requests["/1"] == 1  # a server that does not answer is not queried again


def test_a_slow_name_look_up_blocks_no_caller_beyond_the_timeout(monkeypatch) -> None:
    def look_up(*_args, **_options):
        time.sleep(1.5)
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with within_the_timeout(), pytest.raises(MapSourceError, match="map.example does not answer within"):
        Fetcher(FetchConfig(TIMEOUT_SEC)).fetch("http://map.example/1")


def test_retries_end_with_the_timeout(server: TileServer) -> None:
    server.replies["/1"] = Reply(status=503, headers={"Retry-After": "60"})
    fetcher = Fetcher(FetchConfig(TIMEOUT_SEC, retries=9))
    with within_the_timeout(), pytest.raises(MapSourceError, match="HTTP 503; the server is overloaded"):
        fetcher.fetch(server.url + "/1")
    assert server.requests["/1"] == 2


@pytest.mark.parametrize("address", ["http://a..b/1", "http://localhost:80a/1", "http://[::1/1"])
def test_a_malformed_address_is_named(address) -> None:
    with pytest.raises(MapSourceError, match="download of .* failed|is not a valid address"):
        Fetcher().fetch(address)


def test_a_server_that_trickles_headers_leaves_no_thread_behind() -> None:
    """Each byte comes within any socket's timeout, and the headers never end."""
    listener = socket.create_server(("127.0.0.1", 0))
    closed = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
                while True:
                    connection.sendall(b"a")
                    time.sleep(0.05)
            except OSError:  # the client has hung up
                closed.set()

    threading.Thread(target=trickle, daemon=True).start()
    before = threading.active_count()
    fetcher = Fetcher(FetchConfig(TIMEOUT_SEC))
    with within_the_timeout(), pytest.raises(MapSourceError, match="does not answer within 0.4 s"):
        fetcher.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/1")
    assert closed.wait(5.0)
    assert threading.active_count() <= before + 1  # the loop, which serves all requests
    listener.close()


def test_the_clients_thread_ends_with_it(server: TileServer) -> None:
    server.replies["/1"] = Reply(TILE)
    before = set(threading.enumerate())
    fetcher = Fetcher()
    fetcher.fetch(server.url + "/1")
    (thread,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "http")
    del fetcher
    thread.join(5.0)
    assert not thread.is_alive()


def test_redirects_stay_on_the_configured_host(server: TileServer) -> None:
    server.replies["/2"] = Reply(TILE)
    server.replies["/1"] = Reply(status=302, headers={"Location": "/2"})
    server.replies["/circle"] = Reply(status=302, headers={"Location": "/circle"})
    assert Fetcher().fetch(server.url + "/1") == TILE
    with pytest.raises(MapSourceError, match="redirects more than 3 times"):
        Fetcher().fetch(server.url + "/circle")
    other = TileServer()
    try:
        server.replies["/1"] = Reply(status=302, headers={"Location": other.url + "/2?key=SECRET"})
        with pytest.raises(MapSourceError, match=f"redirects to {other.url}, another host") as raised:
            Fetcher().fetch(server.url + "/1")
        assert not other.requests and "SECRET" not in str(raised.value)
    finally:
        other.stop()


@pytest.mark.parametrize("header", ["X-Tile-Info", "X-VE-Tile-Info"])
def test_tiles_marked_as_none_are_holes(server: TileServer, header) -> None:
    server.replies["/1"] = Reply(TILE, headers={header: "no-tile"})
    with pytest.raises(TileMissing):
        Fetcher().fetch(server.url + "/1")


def test_tiles_beyond_the_range_of_a_wmts_are_holes(server: TileServer) -> None:
    """As GeoWebCache and MapCache answer at the border of a layer; other exceptions are failures."""
    exception = (
        '<ows:Exception exceptionCode="%s" locator="TILEROW"><ows:ExceptionText>Row 90</ows:ExceptionText>'
    )
    server.replies["/1"] = Reply((exception % "TileOutOfRange").encode(), status=400)
    with pytest.raises(TileMissing):
        Fetcher().fetch(server.url + "/1")
    server.replies["/2"] = Reply((exception % "InvalidParameterValue").encode(), status=400)
    with pytest.raises(MapSourceError, match="answered HTTP 400; check the template") as error:
        Fetcher().fetch(server.url + "/2")
    assert not isinstance(error.value, TileMissing)


def test_a_body_that_the_server_packs_against_the_request_is_unpacked(server: TileServer) -> None:
    server.replies["/1"] = Reply(gzip.compress(TILE), headers={"Content-Encoding": "gzip"})
    assert Fetcher().fetch(server.url + "/1") == TILE


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (gzip.compress(bytes(10_000_000)), "has more than 8000000 bytes"),
        (gzip.compress(TILE)[:-20], "cut short"),
        (TILE, "packed and damaged"),
    ],
    ids=["bomb", "cut", "not packed"],
)
def test_a_packed_body_that_cannot_be_unpacked_is_named(server: TileServer, body, message) -> None:
    server.replies["/1"] = Reply(body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(MapSourceError, match=message):
        Fetcher().fetch(server.url + "/1")


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><title>Log in</title>",
        b'{"error": "key SECRET"}',
        b'[{"error": "key SECRET"}]',
        b"Invalid key SECRET",
    ],
)
def test_a_page_in_place_of_a_tile_is_named(server: TileServer, body) -> None:
    server.replies["/1"] = Reply(body)
    with pytest.raises(
        MapSourceError, match="but a page or a message; open its address in a browser"
    ) as raised:
        Fetcher().fetch(server.url + "/1")
    assert "SECRET" not in str(raised.value)


def test_an_empty_answer_is_a_hole(server: TileServer) -> None:
    server.replies["/1"] = Reply(b"")
    with pytest.raises(TileMissing):
        Fetcher().fetch(server.url + "/1")


def test_the_exception_of_a_wmts_is_quoted(server: TileServer) -> None:
    server.replies["/1"] = Reply(
        b'<ows:ExceptionReport><ows:Exception exceptionCode="TileOutOfRange" locator="key=SECRET">'
        b"<ows:ExceptionText>Column is out of range</ows:ExceptionText></ows:Exception></ows:ExceptionReport>"
    )
    with pytest.raises(MapSourceError, match="Column is out of range") as raised:
        Fetcher().fetch(server.url + "/1")
    assert "SECRET" not in str(raised.value)


SECRETS = [
    "/1.png?api_key=SECRET",
    "/1.png?access_token=SECRET&layer=ortho",
    "/tiles;key=SECRET/19/1/2.png",
    "/SECRET/satellite/19/1/2.png",
    "/a1b2c3d4e5f6g7h8SECRET/0123.png",
]


@pytest.mark.parametrize("path", SECRETS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=403),
        Reply(status=500),
        Reply(b"<html>"),
        Reply(b"<ServiceException>no layer in ?key=SECRET"),
        Reply(TILE[:500]),
        Reply(bytes(9_000_000)),
        Reply(b"\x89PNG", headers={"Content-Length": "4000"}),
        Reply(TILE, delay_sec=0.3),
    ],
    ids=["forbidden", "broken", "html", "wms", "cut", "large", "broken-off", "slow"],
)
def test_no_reason_shows_a_key(server: TileServer, path, reply, caplog) -> None:
    server.replies[path] = reply
    with pytest.raises(MapSourceError) as raised:
        Fetcher(FetchConfig(0.1, retries=0)).fetch(server.url.replace("//", "//user:SECRET@") + path)
    assert "SECRET" not in str(raised.value) + caplog.text
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("path", SECRETS)
def test_no_note_of_the_cache_shows_a_key(server: TileServer, path, tmp_path) -> None:
    server.replies[path] = Reply(TILE)
    fetcher = Fetcher(cache=TileCache(tmp_path))
    assert fetcher.fetch(server.url + path) == fetcher.fetch(server.url + path) == TILE
    assert server.requests[path] == 1
    notes = list(tmp_path.rglob("*.json"))
    assert notes and not any("SECRET" in note.read_text() for note in notes)


def test_what_an_address_shows() -> None:
    assert redacted("https://host/a/b/wmts?LAYER=ortho&KEY=x&TILEROW=3") == (
        "https://host/a/b/wmts?LAYER=ortho&KEY=…&TILEROW=3"
    )
    assert redacted("https://h/v1/KEY/tiles/{z}/{x}/{y}.png") == "https://h/…/{z}/{x}/{y}.png"
    assert redacted("http://h/0231230123012301230.jpg") == "http://h/0231230123012301230.jpg"
    assert redacted("/data/ortho.tif") == "/data/ortho.tif"
