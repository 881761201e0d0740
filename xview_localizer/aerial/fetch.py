"""Getting the bytes of a tile: HTTP with timeouts, retries and a size limit, or a file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.aerial.tile_image import check_whole

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A proxy that the environment names cannot reach this machine's own map server.
NO_PROXY = {"http": None, "https": None, "all": None}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchConfig:
    """`timeout_sec` bounds connecting and every wait for data; what fails is retried with growing pauses."""

    timeout_sec: float = 5.0
    retries: int = 2
    max_tile_bytes: int = 8_000_000
    user_agent: str = "xview_localizer"


class TileMissing(Exception):
    """The map has no such tile (HTTP 204 or 404, or no file): a hole, not a failure."""


class Fetcher:
    """Fetches tiles (http, https, file) through an optional disk cache; only whole images. Thread-safe."""

    def __init__(self, config: FetchConfig = FetchConfig(), cache: TileCache | None = None) -> None:
        self._config, self._cache = config, cache
        retry = Retry(
            total=config.retries,
            backoff_factor=0.2,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            respect_retry_after_header=False,  # a server must not make a robot wait for minutes
        )
        self._session = requests.Session()
        self._session.headers["User-Agent"] = config.user_agent
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=16))

    def fetch(self, url: str) -> bytes:
        """The image behind `url`. Raises TileMissing where the map has a hole, MapSourceError on failure."""
        parsed = urlparse(url)
        if parsed.scheme == "file":
            return _read_file(Path(url2pathname(parsed.path)))
        if self._cache and (cached := self._cache.get(url)) is not None:
            return cached
        data, content_type, keep = self._download(url)
        check_whole(data, url)
        if self._cache and keep:
            try:
                self._cache.put(url, data, content_type)
            except OSError as error:
                log.warning("cannot cache %s: %s", url, error)
        return data

    def _download(self, url: str) -> tuple[bytes, str, bool]:
        """The body, its content type, and whether the server lets it be kept."""
        host = urlparse(url)
        proxies = NO_PROXY if host.hostname in LOOPBACK else None
        timeout_sec = self._config.timeout_sec
        try:
            with self._session.get(url, timeout=timeout_sec, stream=True, proxies=proxies) as response:
                if response.status_code in (204, 404):
                    raise TileMissing(url)
                if (status := response.status_code) != 200:
                    raise MapSourceError(f"{url} answered HTTP {status}; {_advice(status)}")
                keep = "no-store" not in response.headers.get("Cache-Control", "")
                return self._body(response, url), response.headers.get("Content-Type", ""), keep
        except (requests.ConnectionError, requests.Timeout) as error:
            raise MapSourceError(
                f"the map server {host.netloc} does not answer ({type(error).__name__}); "
                "start it or check the address"
            ) from error
        except requests.RequestException as error:
            raise MapSourceError(f"the download of {url} failed: {error}") from error

    def _body(self, response: requests.Response, url: str) -> bytes:
        limit = self._config.max_tile_bytes
        data = bytearray()
        for chunk in response.iter_content(65536):
            data += chunk
            if len(data) > limit:
                raise MapSourceError(f"{url} sent more than {limit} bytes; check that it is a tile")
        return bytes(data)


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
