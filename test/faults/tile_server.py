"""A map server that can be made to fail in the ways that map servers fail."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import numpy as np

from xview_localizer.aerial.fetch import TileMissing

SLOW_SEC = 0.3
TRICKLE_SEC = 0.2
# A PNG header that claims 30,000 × 30,000 pixels.
HUGE_PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    + (30000).to_bytes(4, "big") * 2
    + b"\x08\x02\x00\x00\x00"
    + b"\0" * 64
)
MODES = (
    "sound",
    "cacheable",
    "dead",
    "slow",
    "hanging",
    "trickling",
    "404",
    "500",
    "corrupt",
    "huge",
    "flooding",
)


class FaultyTileServer:
    """Serves `tile(zoom, x, y)`, or fails as `mode` says; a context manager."""

    def __init__(self, tile: Callable[[int, int, int], bytes], mode: str = "sound") -> None:
        self.mode, self._ended = mode, threading.Event()
        self.asked = 0  # how often a tile was asked for
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                try:
                    outer._answer(self, tile)
                except OSError:  # the client has given up
                    pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> FaultyTileServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def template(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{{z}}/{{x}}/{{y}}.png"

    def _answer(self, request: BaseHTTPRequestHandler, tile: Callable[[int, int, int], bytes]) -> None:
        mode = self.mode
        self.asked += 1
        if mode == "dead":
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if mode == "hanging":
            self._ended.wait()
            return
        if mode == "trickling":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
            while not self._ended.wait(TRICKLE_SEC):
                request.wfile.write(b"a")
            return
        if mode == "slow":
            time.sleep(SLOW_SEC)
        status, body = self._body(mode, request.path, tile)
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        if mode != "cacheable":
            request.send_header("Cache-Control", "no-store")
        request.end_headers()
        request.wfile.write(body)

    def _body(self, mode: str, path: str, tile: Callable[[int, int, int], bytes]) -> tuple[int, bytes]:
        if mode in ("404", "500"):
            return int(mode), b""
        if mode == "corrupt":
            return 200, b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(5000)
        if mode == "huge":
            return 200, HUGE_PNG
        if mode == "flooding":
            return 200, bytes(20_000_000)
        zoom, x, y = map(int, re.findall(r"\d+", path))
        try:
            return 200, tile(zoom, x, y)
        except TileMissing:
            return 404, b""
