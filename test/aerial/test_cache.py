"""The tile cache: warm maps outlive their server, the disk stays bounded, damage is repaired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from aerial_world import Reply, TileServer, encoded, world_tile

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.fetch import FetchConfig, Fetcher, TileMissing
from xview_localizer.aerial.source import MapSourceError

TILE = encoded(world_tile(19, 7, 9))
# The servers here answer or refuse at once, but a busy machine may take its time.
ONCE = FetchConfig(timeout_sec=30.0, retries=0)


def files(cache: TileCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_cached_tiles_are_served_without_the_server(server: TileServer, tmp_path) -> None:
    cache = TileCache(tmp_path / "tiles")
    server.replies["/1"] = Reply(TILE)
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE
    server.stop()
    later = Fetcher(ONCE, TileCache(tmp_path / "tiles"))
    assert later.fetch(server.url + "/1") == TILE
    with pytest.raises(MapSourceError, match="does not answer"):
        later.fetch(server.url + "/2")


def test_every_tile_is_asked_for_once(server: TileServer, tmp_path) -> None:
    server.replies["/1"] = Reply(TILE)
    fetcher = Fetcher(ONCE, TileCache(tmp_path))
    assert [fetcher.fetch(server.url + "/1") for _ in range(3)] == [TILE] * 3
    assert server.requests["/1"] == 1


def test_provenance_holds_address_and_time(server: TileServer, tmp_path) -> None:
    server.replies["/1"] = Reply(TILE)
    cache = TileCache(tmp_path)
    before = time.time()
    Fetcher(ONCE, cache).fetch(server.url + "/1")
    provenance = cache.provenance(server.url + "/1")
    assert provenance.url == server.url + "/1"
    assert before <= provenance.fetched_unix_sec <= time.time()
    assert provenance.content_type == "image/png"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(TILE[:500]), MapSourceError),
        (Reply(b"<html>", content_type="text/html"), MapSourceError),
        (Reply(status=404), TileMissing),
        (Reply(status=500), MapSourceError),
    ],
    ids=["cut", "html", "missing", "failing"],
)
def test_incomplete_and_damaged_tiles_are_not_cached(server: TileServer, tmp_path, reply, error) -> None:
    server.replies["/1"] = reply
    cache = TileCache(tmp_path)
    with pytest.raises(error):
        Fetcher(ONCE, cache).fetch(server.url + "/1")
    assert files(cache) == []
    server.replies["/1"] = Reply(TILE)  # repaired meanwhile
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE


def test_no_store_is_obeyed(server: TileServer, tmp_path) -> None:
    server.replies["/1"] = Reply(TILE, headers={"Cache-Control": "no-store"})
    cache = TileCache(tmp_path)
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE
    assert files(cache) == []


@pytest.mark.parametrize("suffix", [".tile", ".json"])
@pytest.mark.parametrize("damage", [b"", b"null", b"garbage \xff"])
def test_damaged_entries_are_fetched_again(server: TileServer, tmp_path, suffix, damage) -> None:
    server.replies["/1"] = Reply(TILE)
    cache = TileCache(tmp_path)
    Fetcher(ONCE, cache).fetch(server.url + "/1")
    (damaged,) = (path for path in files(cache) if path.suffix == suffix)
    damaged.write_bytes(damage)
    assert cache.get(server.url + "/1") is None
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE
    assert cache.get(server.url + "/1") == TILE


def test_least_recently_used_tiles_go_first(tmp_path) -> None:
    cache = TileCache(tmp_path, max_bytes=10_000)
    for number in range(9):
        cache.put(f"u{number}", bytes([number]) * 1000, "image/png")
    now = time.time()
    for number in range(9):  # the order of use, without waiting for the clock
        tile = cache._paths(f"u{number}")[0]
        os.utime(tile, (now - 100 + number, now - 100 + number))
    assert cache.get("u0") is not None  # used just now
    cache.put("big", b"x" * 3000, "image/png")
    kept = {number for number in range(9) if cache.get(f"u{number}") is not None}
    assert kept == {0, 4, 5, 6, 7, 8}
    assert cache.get("big") is not None
    assert sum(path.stat().st_size for path in files(cache) if path.suffix == ".tile") <= 9_000
    assert {path.stem for path in files(cache) if path.suffix == ".json"} == {
        path.stem for path in files(cache) if path.suffix == ".tile"
    }


def test_a_new_cache_counts_the_tiles_of_an_earlier_one(tmp_path) -> None:
    first = TileCache(tmp_path, max_bytes=10_000)
    for number in range(9):
        first.put(f"u{number}", bytes(1000), "image/png")
    second = TileCache(tmp_path, max_bytes=5_000)
    second.put("new", bytes(1000), "image/png")
    assert sum(path.stat().st_size for path in files(second) if path.suffix == ".tile") <= 5_000
    assert second.get("new") is not None


def test_threads_share_a_small_cache(tmp_path) -> None:
    cache, other = TileCache(tmp_path, 40_000), TileCache(tmp_path, 40_000)
    wrong = []

    def work(mine: TileCache, seed: int) -> None:
        for step in range(120):
            number = (seed * 31 + step * 7) % 60
            body = bytes([number]) * 1000
            mine.put(f"u{number}", body, "image/png")
            found = mine.get(f"u{(number + step) % 60}")
            if found is not None and found != bytes([(number + step) % 60]) * 1000:
                wrong.append(number)

    threads = [
        threading.Thread(target=work, args=(mine, seed)) for seed, mine in enumerate([cache, other] * 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not [path for path in files(cache) if path.suffix == ".part"]
    assert sum(path.stat().st_size for path in files(cache) if path.suffix == ".tile") <= 80_000


def test_half_written_files_of_dead_processes_go(tmp_path) -> None:
    old, fresh = tmp_path / "ab" / "x.tile.1.2.part", tmp_path / "ab" / "y.tile.3.4.part"
    old.parent.mkdir()
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    TileCache(tmp_path)
    assert not old.exists() and fresh.exists()


def test_an_unusable_folder_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MapSourceError, match="cannot use the tile cache .*file/tiles.*choose another"):
        TileCache(tmp_path / "file" / "tiles")
    with pytest.raises(MapSourceError, match="cannot use the tile cache ~no such user/.*choose another"):
        TileCache("~no such user/tiles")
    with pytest.raises(ValueError, match="max_bytes must be positive, got 0"):
        TileCache(tmp_path, 0)


def test_a_cache_that_cannot_be_written_does_not_stop_the_drive(server: TileServer, tmp_path, caplog) -> None:
    server.replies["/1"] = Reply(TILE)
    cache = TileCache(tmp_path / "tiles")
    cache.folder.rmdir()
    cache.folder.write_text("a file where the folder was")
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE
    assert "cannot cache" in caplog.text


FULL_DISK = """
import logging, resource, signal, sys
from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.fetch import FetchConfig, Fetcher
logging.basicConfig()
fetcher = Fetcher(FetchConfig(timeout_sec=5.0, retries=0), TileCache(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(len(fetcher.fetch(sys.argv[2])) != int(sys.argv[3]))
"""


def test_a_tile_that_does_not_fit_on_the_disk_is_used_and_leaves_nothing(
    server: TileServer, tmp_path
) -> None:
    """The limit of a process's files stands in for a full disk: notes fit, tiles do not."""
    server.replies["/1"] = Reply(TILE)
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), server.url + "/1", str(len(TILE))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "cannot cache" in ended.stderr
    cache = TileCache(tmp_path)
    assert not [path for path in files(cache) if path.suffix != ".json"]
    assert Fetcher(ONCE, cache).fetch(server.url + "/1") == TILE
    assert server.requests["/1"] == 2


def test_the_notes_are_plain_json(tmp_path) -> None:
    cache = TileCache(tmp_path)
    cache.put("http://a/1", TILE, "image/png")
    (note,) = (path for path in files(cache) if path.suffix == ".json")
    assert json.loads(note.read_text())["url"] == "http://a/1"
