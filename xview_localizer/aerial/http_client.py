"""HTTP with a real deadline: on the look-up of the name, the connection, the headers and the body together.

One thread with an event loop serves all requests of a client, so that a server that trickles bytes blocks no caller
beyond the deadline. Only the host of the requested URL is contacted.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from xview_localizer.aerial.inflate import InflateError, inflated
from xview_localizer.aerial.interruption import Interruption

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_MAX_REDIRECTS = 3
_CHUNK_BYTES = 65536
_MAX_CONNECTIONS = 16


class HttpError(Exception):
    """A request got no usable answer; the text gives the cause, without the address."""


class HttpTimeout(HttpError):
    """The whole answer did not arrive before the deadline."""


class HttpUnreachable(HttpError):
    """The host cannot be connected to."""


class HttpInterrupted(HttpError):
    """The request was broken off by an Interruption."""


class HttpTooLarge(HttpError):
    """The answer is larger than the caller allows."""


@dataclass(frozen=True)
class HttpAnswer:
    """A whole answer; names of headers are compared without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _EventLoop:
    """The event loop that a client's thread runs, and its HTTP session."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    session: aiohttp.ClientSession | None = None

    def run(self) -> None:
        self.loop.run_forever()
        if self.session:
            self.loop.run_until_complete(self.session.close())
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)


class HttpClient:
    """Sends GET requests; thread-safe. Its thread ends when the client is garbage-collected.

    While `interruption` is set, every request raises HttpInterrupted.
    """

    def __init__(self, user_agent: str, interruption: Interruption | None = None) -> None:
        self._user_agent, self._interruption = user_agent, interruption or Interruption()
        self._event_loop: _EventLoop | None = None
        self._lock = threading.Lock()

    def get(
        self, url: str, timeout_sec: float, max_bytes: int, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """The whole answer, whatever its status. Raises HttpError.

        Redirects are followed within the host (and from http to https), never to another one. Proxies of the
        environment are used, but not for this machine's own servers.
        """
        event_loop = self._started()
        asked = asyncio.wait_for(self._get(event_loop, url, max_bytes, headers or {}), timeout_sec)
        try:
            answer = asyncio.run_coroutine_threadsafe(asked, event_loop.loop)
            with self._interruption.calling(answer.cancel):
                return answer.result()
        except CancelledError as error:
            raise HttpInterrupted("the request was broken off") from error
        except asyncio.TimeoutError as error:
            raise HttpTimeout(f"no answer within {timeout_sec:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise HttpUnreachable(type(error.os_error).__name__) from error
        except aiohttp.InvalidURL as error:
            raise HttpError("the address is not valid") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HttpError(f"the connection broke off ({type(error).__name__})") from error

    def _started(self) -> _EventLoop:
        with self._lock:
            if self._event_loop is None:
                self._event_loop = _EventLoop()
                threading.Thread(target=self._event_loop.run, name="http", daemon=True).start()
                weakref.finalize(self, self._event_loop.stop)
            return self._event_loop

    async def _get(
        self, event_loop: _EventLoop, url: str, max_bytes: int, headers: Mapping[str, str]
    ) -> HttpAnswer:
        if event_loop.session is None:
            event_loop.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None),  # the deadline is that of the whole request
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                auto_decompress=False,  # aiohttp unpacks without a limit on the size; see _unpacked
            )
        for _ in range(_MAX_REDIRECTS + 1):
            # Characters that are percent-encoded already stay as they are.
            address = URL(quote(url, safe="!#$%&'()*+,/:;=?@[]~"), encoded=True)
            async with event_loop.session.get(
                address, headers=headers, allow_redirects=False, proxy=_proxy(url)
            ) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    url = _redirected(url, response.headers["Location"])
                    continue
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > max_bytes:
                        raise HttpTooLarge(f"more than {max_bytes} bytes were sent")
                return HttpAnswer(response.status, response.headers, _unpacked(response, body, max_bytes))
        raise HttpError(f"it redirects more than {_MAX_REDIRECTS} times")


def _unpacked(response: aiohttp.ClientResponse, body: bytearray, max_bytes: int) -> bytes:
    """The body, unpacked where the server packed it in spite of the request. Raises HttpError."""
    if response.headers.get("Content-Encoding", "").lower() not in ("gzip", "x-gzip", "deflate"):
        return bytes(body)
    try:
        return inflated(bytes(body), max_bytes)
    except InflateError as error:
        raise HttpError(str(error)) from error


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _redirected(url: str, location: str) -> str:
    """Target URL of a redirect. Raises HttpError where that is another host, or leaves https."""
    target = urljoin(url, location)
    old, new = urlsplit(url), urlsplit(target)
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    if (old.scheme, old.netloc) != (new.scheme, new.netloc) and not (upgraded and not old.port):
        raise HttpError(
            f"it redirects to {new.scheme}://{new.netloc.rpartition('@')[2]}, "
            "another host than the configured one; give that address"
        )
    return target
