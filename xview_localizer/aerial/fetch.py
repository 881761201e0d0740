"""Getting the bytes of a tile: HTTP with a deadline, retries and a size limit, or a file."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import ParseResult, urlparse
from urllib.request import url2pathname

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.http_client import (
    HttpAnswer,
    HttpClient,
    HttpError,
    HttpInterrupted,
    HttpTimeout,
    HttpTooLarge,
    HttpUnreachable,
)
from xview_localizer.aerial.interruption import Interruption
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapReadInterrupted, MapSourceError
from xview_localizer.aerial.tile_image import check_tile

# Esri and Bing send a grey picture with one of these where they have no imagery: "no-tile".
_NO_TILE_HEADERS = ("X-Tile-Info", "X-VE-Tile-Info")
# A WMTS whose tiles end before the pyramid answers HTTP 400 and an exception of this code (OGC 07-057r7, table 23).
_OUT_OF_RANGE = b"TileOutOfRange"
_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_FIRST_PAUSE_SEC = 0.2  # before the first retry; doubles with every further one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchConfig:
    """`timeout_sec` is the longest wait for one tile, whatever the server does meanwhile.

    Within it, a server that reports that it is overloaded or broken (429, 5xx) is queried again after growing pauses.
    A server's own Retry-After is ignored: it must not make a robot wait for minutes. `interruption` breaks off waiting.
    """

    timeout_sec: float = 5.0
    retries: int = 2
    max_tile_bytes: int = 8_000_000
    user_agent: str = "xview_localizer"
    interruption: Interruption | None = None


class TileMissing(Exception):
    """The map has no such tile: a hole, not a failure.

    HTTP 204 or 404, a WMTS's TileOutOfRange, nothing sent, "no-tile", or no file.
    """


class Fetcher:
    """Fetches tiles (http, https, file) through an optional disk cache; only whole images. Thread-safe."""

    def __init__(self, config: FetchConfig = FetchConfig(), cache: TileCache | None = None) -> None:
        self._config, self._cache = config, cache
        self._client = HttpClient(config.user_agent, config.interruption)

    def fetch(self, url: str) -> bytes:
        """The image behind `url`. Raises TileMissing where the map has a hole, MapSourceError on failure."""
        parsed = parsed_url(url)
        if parsed.scheme == "file":
            return self._read_file(Path(url2pathname(parsed.path)))
        if self._cache and (cached := self._cache.get(url)) is not None:
            return cached
        answer = self._ask(url)
        check_tile(answer.body, redacted(url))
        if self._cache and "no-store" not in answer.headers.get("Cache-Control", ""):
            try:
                self._cache.put(url, answer.body, answer.headers.get("Content-Type", ""))
            except OSError as error:
                log.warning("cannot cache %s: %s", redacted(url), error)
        return answer.body

    def _ask(self, url: str) -> HttpAnswer:
        """The answer that holds the tile; overloaded or broken servers are queried again while time and retries last.

        Raises TileMissing and MapSourceError.
        """
        deadline_sec = time.monotonic() + self._config.timeout_sec
        pauses_sec = iter([_FIRST_PAUSE_SEC * 2**retry for retry in range(self._config.retries)])
        while True:
            pause_sec = next(pauses_sec, math.inf)
            answer = self._get(url, deadline_sec - time.monotonic())
            too_late = time.monotonic() + pause_sec >= deadline_sec
            if answer.status not in _RETRIED_STATUSES or too_late:
                break
            time.sleep(pause_sec)
        if _is_hole(answer):
            raise TileMissing(redacted(url))
        if (status := answer.status) != 200:
            raise MapSourceError(f"{redacted(url)} answered HTTP {status}; {_advice(status)}")
        if not answer.body:
            raise TileMissing(redacted(url))
        return answer

    def _get(self, url: str, timeout_sec: float) -> HttpAnswer:
        limit = self._config.max_tile_bytes
        host = urlparse(url).netloc.rpartition("@")[2]
        try:
            return self._client.get(url, timeout_sec, limit)
        except HttpInterrupted as error:
            raise MapReadInterrupted(f"reading the map of {host} was broken off") from error
        except HttpTimeout as error:
            raise MapSourceError(
                f"the map server {host} does not answer within {self._config.timeout_sec:g} s; "
                "start it, check the address or allow it a longer timeout"
            ) from error
        except HttpUnreachable as error:
            raise MapSourceError(
                f"the map server {host} does not answer ({error}); start it or check the address"
            ) from error
        except HttpTooLarge as error:
            raise MapSourceError(
                f"{redacted(url)} sent more than {limit} bytes; check that it is a tile"
            ) from error
        except HttpError as error:
            raise MapSourceError(f"the download of {redacted(url)} failed: {error}") from error

    def _read_file(self, path: Path) -> bytes:
        limit = self._config.max_tile_bytes
        try:
            with path.open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError as error:
            raise TileMissing(str(path)) from error
        except OSError as error:
            raise MapSourceError(f"cannot read the tile {path}: {error}") from error
        if len(data) > limit:
            raise MapSourceError(f"{path} has more than {limit} bytes; check that it is a tile")
        return data


def parsed_url(url: str) -> ParseResult:
    """The parts of a URL. Raises MapSourceError where it is malformed."""
    try:
        return urlparse(url)
    except ValueError as error:  # such as a bracket that is not closed
        raise MapSourceError(f"{redacted(url)!r} is not a valid address: {error}; correct it") from error


def _is_hole(answer: HttpAnswer) -> bool:
    """Whether the server says that its map has no tile there."""
    marked = any(answer.headers.get(name, "").lower() == "no-tile" for name in _NO_TILE_HEADERS)
    return answer.status in (204, 404) or marked or (answer.status != 200 and _OUT_OF_RANGE in answer.body)


def _advice(status: int) -> str:
    if status in (401, 403):
        return "check the access rights or the key in the template"
    if status == 429 or status >= 500:
        return "the server is overloaded or broken; try later or see its log"
    return "check the template"
