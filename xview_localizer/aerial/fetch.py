"""Getting the bytes of a tile: HTTP with a deadline, retries and a size limit, or a file."""

from __future__ import annotations

import concurrent.futures
import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import ParseResult, urlparse
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.aerial.tile_image import check_tile

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A proxy that the environment names cannot reach this machine's own map server.
NO_PROXY = {"http": None, "https": None, "all": None}

_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_FIRST_PAUSE_SEC = 0.2  # before the first retry; doubles with every further one
_CHUNK_BYTES = 256  # a read waits until its chunk is full, so a large one would be blind to the deadline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchConfig:
    """`timeout_sec` is the longest wait for one tile, whatever the server does meanwhile.

    Within it, a server that says it is overloaded or broken (429, 5xx) is asked again after growing pauses.
    A server's own Retry-After is ignored: it must not make a robot wait for minutes.
    """

    timeout_sec: float = 5.0
    retries: int = 2
    max_tile_bytes: int = 8_000_000
    user_agent: str = "xview_localizer"


class TileMissing(Exception):
    """The map has no such tile (HTTP 204 or 404, or no file): a hole, not a failure."""


@dataclass(frozen=True)
class _Download:
    data: bytes
    content_type: str
    may_keep: bool  # the server lets it be cached


class Fetcher:
    """Fetches tiles (http, https, file) through an optional disk cache; only whole images. Thread-safe."""

    def __init__(self, config: FetchConfig = FetchConfig(), cache: TileCache | None = None) -> None:
        self._config, self._cache = config, cache
        self._session = requests.Session()
        self._session.headers["User-Agent"] = config.user_agent
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=16))

    def fetch(self, url: str) -> bytes:
        """The image behind `url`. Raises TileMissing where the map has a hole, MapSourceError on failure."""
        parsed = parsed_url(url)
        if parsed.scheme == "file":
            return _read_file(Path(url2pathname(parsed.path)))
        if self._cache and (cached := self._cache.get(url)) is not None:
            return cached
        download = self._download(url)
        check_tile(download.data, url)
        if self._cache and download.may_keep:
            try:
                self._cache.put(url, download.data, download.content_type)
            except OSError as error:
                log.warning("cannot cache %s: %s", url, error)
        return download.data

    def _download(self, url: str) -> _Download:
        """What the server answers before the deadline.

        Sockets bound every single wait but not their sum, and looking up a host's name cannot be bounded at
        all. So a thread of its own does it, and is left behind at the deadline.
        """
        deadline_sec = time.monotonic() + self._config.timeout_sec
        answer: Future[_Download] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask(url, deadline_sec))
            except Exception as error:
                answer.set_exception(error)

        threading.Thread(target=ask, name="tile", daemon=True).start()
        try:
            return answer.result(self._config.timeout_sec)
        except concurrent.futures.TimeoutError as error:
            raise self._too_late(url) from error

    def _ask(self, url: str, deadline_sec: float) -> _Download:
        """Ask until there is an answer other than "later", or no time or retry is left."""
        host = urlparse(url)
        proxies = NO_PROXY if host.hostname in LOOPBACK else None
        pauses_sec = iter([_FIRST_PAUSE_SEC * 2**retry for retry in range(self._config.retries)])
        try:
            while True:
                pause_sec = next(pauses_sec, math.inf)
                left_sec = max(deadline_sec - time.monotonic(), 1e-3)  # requests refuses 0
                with self._session.get(url, timeout=left_sec, stream=True, proxies=proxies) as response:
                    too_late = time.monotonic() + pause_sec >= deadline_sec
                    if response.status_code not in _RETRIED_STATUSES or too_late:
                        return self._received(response, url, deadline_sec)
                time.sleep(pause_sec)
        except requests.Timeout as error:
            raise self._too_late(url) from error
        except requests.ConnectionError as error:
            raise MapSourceError(
                f"the map server {host.netloc} does not answer ({type(error).__name__}); "
                "start it or check the address"
            ) from error
        except (OSError, ValueError) as error:
            # Those of requests are OSErrors, urllib3's of addresses ValueErrors.
            raise MapSourceError(f"the download of {url} failed: {error}") from error

    def _received(self, response: requests.Response, url: str, deadline_sec: float) -> _Download:
        """A response's body. Raises TileMissing and MapSourceError."""
        if response.status_code in (204, 404):
            raise TileMissing(url)
        if (status := response.status_code) != 200:
            raise MapSourceError(f"{url} answered HTTP {status}; {_advice(status)}")
        limit = self._config.max_tile_bytes
        data = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            data += chunk
            if len(data) > limit:
                raise MapSourceError(f"{url} sent more than {limit} bytes; check that it is a tile")
            if time.monotonic() > deadline_sec:
                raise self._too_late(url)
        may_keep = "no-store" not in response.headers.get("Cache-Control", "")
        return _Download(bytes(data), response.headers.get("Content-Type", ""), may_keep)

    def _too_late(self, url: str) -> MapSourceError:
        return MapSourceError(
            f"the map server {urlparse(url).netloc} does not answer within {self._config.timeout_sec:g} s; "
            "start it, check the address or allow it a longer timeout"
        )


def parsed_url(url: str) -> ParseResult:
    """The parts of a URL. Raises MapSourceError where it is none."""
    try:
        return urlparse(url)
    except ValueError as error:  # such as a bracket that is not closed
        raise MapSourceError(f"{url!r} is no address: {error}; correct it") from error


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise TileMissing(str(path)) from error
    except OSError as error:
        raise MapSourceError(f"cannot read the tile {path}: {error}") from error


def _advice(status: int) -> str:
    if status in (401, 403):
        return "check the access rights or the key in the template"
    if status == 429 or status >= 500:
        return "the server is overloaded or broken; try later or see its log"
    return "check the template"
