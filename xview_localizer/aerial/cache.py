"""Tiles on disk: bounded in size, least recently used first out, each with a note of where it came from."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """Where and when a cached tile was fetched."""

    url: str
    fetched_unix_sec: float
    content_type: str
    sha256: str


class TileCache:
    """A folder of tiles, safe for several threads and processes: files appear and vanish whole.

    A tile that does not match its note (a crash, a full disk) counts as absent.
    """

    def __init__(self, folder: Path | str, max_bytes: int = 2_000_000_000) -> None:
        if max_bytes <= 0:
            raise ValueError(f"the tile cache's max_bytes must be positive, got {max_bytes}")
        self.folder, self._max_bytes = Path(folder).expanduser(), max_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._bytes = sum(path.stat().st_size for path in self.folder.rglob("*.tile"))

    def get(self, url: str) -> bytes | None:
        """The tile of `url`, or None."""
        tile, note = self._paths(url)
        try:
            data = tile.read_bytes()
            whole = json.loads(note.read_text())["sha256"] == hashlib.sha256(data).hexdigest()
        except (OSError, ValueError, KeyError):
            return None
        if not whole:
            return None
        os.utime(tile)
        return data

    def put(self, url: str, data: bytes, content_type: str) -> None:
        """Keep a tile; older ones go when the size limit is passed."""
        tile, note = self._paths(url)
        tile.parent.mkdir(parents=True, exist_ok=True)
        provenance = Provenance(url, time.time(), content_type, hashlib.sha256(data).hexdigest())
        _write_whole(note, json.dumps(asdict(provenance)).encode())
        _write_whole(tile, data)
        with self._lock:
            self._bytes += len(data)
            if self._bytes > self._max_bytes:
                self._evict()

    def provenance(self, url: str) -> Provenance | None:
        """The note beside a cached tile."""
        try:
            return Provenance(**json.loads(self._paths(url)[1].read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _paths(self, url: str) -> tuple[Path, Path]:
        name = hashlib.sha256(url.encode()).hexdigest()
        base = self.folder / name[:2] / name
        return base.with_suffix(".tile"), base.with_suffix(".json")

    def _evict(self) -> None:
        """Drop the least recently used tiles down to nine tenths of the limit."""
        tiles = []
        for path in self.folder.rglob("*.tile"):
            try:
                status = path.stat()
            except OSError:  # another process dropped it
                continue
            tiles.append((status.st_mtime, status.st_size, path))
        self._bytes = sum(size for _, size, _ in tiles)
        for _, size, path in sorted(tiles, key=lambda entry: entry[0]):
            if self._bytes <= 0.9 * self._max_bytes:
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
            self._bytes -= size


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    partial.write_bytes(data)
    partial.replace(path)
