"""Fetching: one tile never takes longer than its timeout, whatever the server or the network does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aerial_world import Reply, TileServer, encoded, world_tile

from xview_localizer.aerial.fetch import FetchConfig, Fetcher
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
def test_a_slow_server_holds_nobody_beyond_the_timeout(server: TileServer, reply) -> None:
    server.replies["/1"] = reply
    fetcher = Fetcher(FetchConfig(TIMEOUT_SEC, retries=2))
    with within_the_timeout(), pytest.raises(MapSourceError, match="does not answer within 0.4 s; start it"):
        fetcher.fetch(server.url + "/1")
    assert server.requests["/1"] == 1  # who is silent is not asked again


def test_a_slow_look_up_of_the_name_holds_nobody_beyond_the_timeout(monkeypatch) -> None:
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
def test_what_is_no_address_is_named(address) -> None:
    with pytest.raises(MapSourceError, match="download of .* failed|is no address"):
        Fetcher().fetch(address)
