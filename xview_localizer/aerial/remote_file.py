"""A file at a URL, read in parts by range requests, as a COG or PMTiles on a server needs it."""

from __future__ import annotations

import io
import re
import threading
import time
from collections import OrderedDict

from xview_localizer.aerial.fetch import FetchConfig
from xview_localizer.aerial.http_client import (
    HttpAnswer,
    HttpClient,
    HttpError,
    HttpInterrupted,
    HttpTooLarge,
)
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapReadInterrupted, MapSourceError

BLOCK_BYTES = 65536
KEPT_BLOCKS = 512  # 32 MB
# A decoder reads one tile at a time; a longer read comes from a damaged file.
MAX_READ_BYTES = 64_000_000
# One crop takes several requests; after a failure the next ones fail at once, so that the crop costs one timeout.
PAUSE_AFTER_FAILURE_SEC = 1.0
# The file name under which rasterio asks its opener for the remote file.
PATH = "remote.tif"


class RemoteFile:
    """Bytes of a URL by range requests; the most recently used blocks are kept in memory. Thread-safe.

    Every request has the deadline of `config`. Raises MapSourceError where the server does not answer, has no such
    file, or cannot send parts of it; and where the file is replaced while it is read.
    """

    def __init__(self, url: str, config: FetchConfig) -> None:
        self.name, self._url, self._config = redacted(url), url, config
        self._client, self._lock = HttpClient(config.user_agent, config.interruption), threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._failure: MapSourceError | None = None
        self._failed_at_sec = -PAUSE_AFTER_FAILURE_SEC
        self.failures = 0  # requests that failed, or were not made because one had just failed
        self._etag: str | None = None
        answer = self._ask(0, BLOCK_BYTES)
        place = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers["Content-Range"])
        if place is None:  # such as "bytes 0-65535/*"
            raise MapSourceError(
                f"cannot read {self.name}: the server does not tell its size; download the file"
            )
        self.size = int(place[1])
        self._etag = answer.headers.get("ETag")
        self._blocks[0] = answer.body

    def open(self, path: str, mode: str = "rb", **_: object) -> RemoteReader:
        """A reader of the file for GDAL (PATH). Raises FileNotFoundError for side files that GDAL looks for."""
        if path.rpartition("/")[2] != PATH:
            raise FileNotFoundError(path)
        return RemoteReader(self)

    @property
    def failure(self) -> MapSourceError | None:
        """The error of the last request that failed; None where none has."""
        return self._failure

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, fewer at the end of the file. Raises MapSourceError."""
        length = max(0, min(length, self.size - offset))
        if length > MAX_READ_BYTES:
            raise MapSourceError(f"{self.name} is damaged: it leads to a read of {length} bytes at once")
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        with self._lock:
            data = b"".join(self._block(number, last) for number in range(first, last + 1))
            while len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        start = offset - first * BLOCK_BYTES
        return data[start : start + length]

    def _block(self, number: int, last: int) -> bytes:
        """A block; where it is missing, it and the missing ones after it, up to `last`, are fetched in one request."""
        if number not in self._blocks:
            count = next((n for n in range(number, last + 1) if n in self._blocks), last + 1) - number
            body = self._ask(number * BLOCK_BYTES, count * BLOCK_BYTES).body
            for n in range(count):
                self._blocks[number + n] = body[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES]
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _ask(self, offset: int, length: int) -> HttpAnswer:
        """The answer with a part of the file. Raises MapSourceError."""
        if self._failure and time.monotonic() - self._failed_at_sec < PAUSE_AFTER_FAILURE_SEC:
            self.failures += 1
            raise self._failure
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        if self._etag and not self._etag.startswith("W/"):
            headers["If-Range"] = self._etag
        try:
            answer = self._client.get(self._url, self._config.timeout_sec, length, headers)
            if answer.status != 206 or "Content-Range" not in answer.headers:
                raise HttpError(
                    "the server sends no parts of files, or the file was replaced"
                    if answer.status == 200
                    else f"it answered HTTP {answer.status}"
                )
        except HttpInterrupted as error:
            raise self._failed(MapReadInterrupted(f"reading {self.name} was broken off")) from error
        except HttpError as error:
            cause = "the server sends no parts of files" if isinstance(error, HttpTooLarge) else error
            advice = "check the address, or download the file"
            raise self._failed(MapSourceError(f"cannot read {self.name}: {cause}; {advice}")) from error
        return answer

    def _failed(self, failure: MapSourceError) -> MapSourceError:
        self._failure, self._failed_at_sec = failure, time.monotonic()
        self.failures += 1
        return failure


class RemoteReader(io.RawIOBase):
    """A RemoteFile as a binary file; `fs`, `path` and `mode` are fsspec's, by which rasterio 1.3 opens it again."""

    path, mode = PATH, "rb"

    def __init__(self, file: RemoteFile) -> None:
        self.file, self._at = file, 0

    @property
    def fs(self) -> RemoteFile:
        return self.file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.file.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = self.file.size - self._at if size < 0 else size
        try:
            data = self.file.read_at(self._at, size)
        except MapSourceError:
            return b""  # the caller is C code; the error is in file.failure
        self._at += len(data)
        return data
