"""A tile cache on disk: bounded in size, least recently used first out, with the origin of every tile."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.atomic import PART_SUFFIX, replaced, write_whole

_EVICT_TO = 0.9  # of the limit, so that not every new tile evicts
_ABANDONED_AFTER_SEC = 3600.0  # a file that was begun so long ago was left by a process that died


@dataclass(frozen=True)
class Provenance:
    """Where and when a cached tile was fetched; `url` is without keys."""

    url: str
    fetched_unix_sec: float
    content_type: str
    sha256: str


class TileCache:
    """A folder of tiles, safe for several threads and processes: files are written and deleted as a whole.

    A tile whose bytes do not match the checksum in its provenance (a crash, a full disk) counts as absent. Every
    process enforces the size limit. Raises MapSourceError where the folder cannot be used.
    """

    def __init__(self, folder: Path | str, max_bytes: int = 2_000_000_000) -> None:
        if max_bytes <= 0:
            raise ValueError(f"the tile cache's max_bytes must be positive, got {max_bytes}")
        self._max_bytes, self._lock = max_bytes, threading.Lock()
        try:
            self.folder = Path(folder).expanduser()
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: ~name of an unknown user
            raise MapSourceError(f"cannot use the tile cache {folder}: {error}; choose another") from error
        self._drop_abandoned()
        self._bytes = sum(size for _, size, _ in self._tiles())

    def get(self, url: str) -> bytes | None:
        """The tile of `url`, or None."""
        tile, _ = self._paths(url)
        provenance = self.provenance(url)
        try:
            data = tile.read_bytes()
        except OSError:
            return None
        if provenance is None or provenance.sha256 != hashlib.sha256(data).hexdigest():
            return None
        with contextlib.suppress(OSError):  # read-only, or evicted meanwhile
            os.utime(tile)
        return data

    def put(self, url: str, data: bytes, content_type: str) -> None:
        """Store a tile; the least recently used ones are deleted above the size limit. Raises OSError."""
        tile, note = self._paths(url)
        provenance = Provenance(redacted(url), time.time(), content_type, hashlib.sha256(data).hexdigest())
        write_whole(note, json.dumps(asdict(provenance)))
        with replaced(tile) as fresh:
            fresh.write_bytes(data)
        with self._lock:
            self._bytes += len(data)
            if self._bytes > self._max_bytes:
                self._evict()

    def provenance(self, url: str) -> Provenance | None:
        """Origin of a cached tile, from the JSON file beside it; None where that is absent or corrupt."""
        try:
            return Provenance(**json.loads(self._paths(url)[1].read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def _paths(self, url: str) -> tuple[Path, Path]:
        name = hashlib.sha256(url.encode()).hexdigest()
        base = self.folder / name[:2] / name
        return base.with_suffix(".tile"), base.with_suffix(".json")

    def _tiles(self) -> list[tuple[float, int, Path]]:
        """(last use, bytes, path) of every tile."""
        tiles = []
        for path in self.folder.rglob("*.tile"):
            with contextlib.suppress(OSError):  # another process dropped it
                status = path.stat()
                tiles.append((status.st_mtime, status.st_size, path))
        return tiles

    def _evict(self) -> None:
        """Drop the least recently used tiles."""
        tiles = self._tiles()
        self._bytes = sum(size for _, size, _ in tiles)
        for _, size, path in sorted(tiles):
            if self._bytes <= _EVICT_TO * self._max_bytes:
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
            self._bytes -= size

    def _drop_abandoned(self) -> None:
        """Delete half-written files of processes that died."""
        for path in self.folder.rglob(f"*{PART_SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SEC:
                    path.unlink()
