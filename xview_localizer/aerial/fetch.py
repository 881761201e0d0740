"""Getting the bytes of a tile: HTTP with timeouts, retries and a size limit, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.source import MapSourceError


@dataclass(frozen=True)
class FetchConfig:
    """`timeout_sec` bounds connecting and every read; failed requests are retried with growing pauses."""

    timeout_sec: float = 5.0
    retries: int = 2
    max_tile_bytes: int = 8_000_000
    user_agent: str = "xview_localizer"


class TileMissing(Exception):
    """The map has no such tile (HTTP 204 or 404, or no file): a hole, not a failure."""


class Fetcher:
    """Fetches URLs (http, https, file) through an optional disk cache. Thread-safe."""

    def __init__(self, config: FetchConfig = FetchConfig(), cache: TileCache | None = None) -> None:
        self._config, self._cache = config, cache
        retry = Retry(
            total=config.retries, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
        )
        self._session = requests.Session()
        self._session.headers["User-Agent"] = config.user_agent
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=16))

    def fetch(self, url: str) -> bytes:
        """The bytes behind `url`. Raises TileMissing where the map has a hole, MapSourceError on failure."""
        parsed = urlparse(url)
        if parsed.scheme == "file":
            return self._file(Path(unquote(parsed.path)))
        if self._cache and (cached := self._cache.get(url)) is not None:
            return cached
        data, content_type = self._download(url)
        if self._cache:
            self._cache.put(url, data, content_type)
        return data

    def _file(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise TileMissing(str(path)) from error
        except OSError as error:
            raise MapSourceError(f"cannot read the tile {path}: {error}") from error

    def _download(self, url: str) -> tuple[bytes, str]:
        limit = self._config.max_tile_bytes
        try:
            with self._session.get(url, timeout=self._config.timeout_sec, stream=True) as response:
                if response.status_code in (204, 404):
                    raise TileMissing(url)
                if response.status_code != 200:
                    raise MapSourceError(f"{url} answered HTTP {response.status_code}; check the template and access rights")
                content_type = response.headers.get("Content-Type", "")
                if content_type.startswith("text/"):
                    raise MapSourceError(f"{url} answered {content_type}, not an image; check the template")
                data = bytearray()
                for chunk in response.iter_content(65536):
                    data += chunk
                    if len(data) > limit:
                        raise MapSourceError(f"{url} sent more than {limit} bytes for one tile; is it a tile?")
        except requests.RequestException as error:
            host = urlparse(url).netloc
            raise MapSourceError(f"the map server {host} does not answer ({type(error).__name__}); start it or check the address") from error
        return bytes(data), content_type
