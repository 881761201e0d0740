"""A real HTTP server for tiles that may be slow, broken or absent, and a world to cut them from."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.local_frame import LocalFrame

ZOOM = 19


@dataclass(frozen=True)
class Reply:
    """What the server answers for a path."""

    body: bytes = b""
    status: int = 200
    content_type: str = "image/png"
    delay_sec: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class TileServer:
    """Serves `replies[path]` (404 otherwise); a list is answered one by one, its last item for ever."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | list[Reply]] = {}
        self.requests: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests[self.path] += 1
                reply = server.replies.get(self.path, Reply(status=404))
                if isinstance(reply, list):
                    reply = reply.pop(0) if len(reply) > 1 else reply[0]
                time.sleep(reply.delay_sec)
                self.send_response(reply.status)
                headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))}
                for name, value in (headers | reply.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(reply.body)
                except OSError:
                    pass  # the client had enough

            def log_message(self, *_args) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[TileServer]:
    tile_server = TileServer()
    yield tile_server
    tile_server.stop()


@pytest.fixture(scope="session")
def frame() -> LocalFrame:
    return LocalFrame(48.1, 11.6, 520.0)


def world_tile(zoom: int, x: int, y: int, tile_px: int = 256) -> np.ndarray:
    """RGB tile [tile_px, tile_px, 3] of a smooth pattern, a function of the Mercator plane alone."""
    per_px = 2.0 ** (ZOOM - zoom) * 256 / tile_px  # in pixels of ZOOM's 256-px tiles
    u = (x * tile_px + np.arange(tile_px) + 0.5) * per_px
    v = (y * tile_px + np.arange(tile_px) + 0.5) * per_px
    u, v = np.meshgrid(u, v)
    bands = [np.sin(u / 31) * np.cos(v / 23), np.sin((u + v) / 17), np.cos(u / 41 - v / 29)]
    return (128 + 110 * np.stack(bands, axis=-1)).astype(np.uint8)


def encoded(rgb: np.ndarray, suffix: str = ".png", *options: int) -> bytes:
    """A PNG, JPEG or WebP file's bytes of an RGB or RGBA image."""
    order = [2, 1, 0, 3][: rgb.shape[2]]
    ok, data = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., order]), list(options))
    assert ok
    return data.tobytes()
