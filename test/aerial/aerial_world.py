"""A real HTTP server for tiles that may be slow, broken or absent, and a world to cut them from."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import rasterio
import uvicorn
from pyproj import Transformer
from rasterio.transform import from_origin

from xview_localizer.aerial.fetch import FetchConfig
from xview_localizer.aerial.map_server import TILE_ROUTE, make_app
from xview_localizer.aerial.mercator import pixel_from_geodetic
from xview_localizer.geometry.local_frame import LocalFrame

ZOOM = 19
# A busy machine answers late, too; only tests of servers that do not answer are in a hurry.
PATIENT = FetchConfig(timeout_sec=30.0, retries=1)


@dataclass(frozen=True)
class Reply:
    """The server's response for a path."""

    body: bytes = b""
    status: int = 200
    content_type: str = "image/png"
    delay_sec: float = 0.0
    pause_per_byte_sec: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    in_parts: bool = False  # range requests are answered


def _part(reply: Reply, asked: str | None) -> Reply:
    """The response to a range request."""
    if not (reply.in_parts and asked):
        return reply
    first, last = map(int, asked.removeprefix("bytes=").split("-"))
    body = reply.body[first : last + 1]
    place = f"bytes {first}-{first + len(body) - 1}/{len(reply.body)}"
    return replace(reply, body=body, status=206, headers={**reply.headers, "Content-Range": place})


class TileServer:
    """Serves `replies[path]` (404 otherwise); a list is answered one by one, its last item for ever."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | list[Reply]] = {}
        self.default = Reply(status=404)
        self.requests: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests[self.path] += 1
                reply = server.replies.get(self.path, server.default)
                if isinstance(reply, list):
                    reply = reply.pop(0) if len(reply) > 1 else reply[0]
                time.sleep(reply.delay_sec)
                reply = _part(reply, self.headers.get("Range"))
                self.send_response(reply.status)
                headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))}
                for name, value in (headers | reply.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    if not reply.pause_per_byte_sec:
                        self.wfile.write(reply.body)
                        return
                    for number in range(len(reply.body)):
                        self.wfile.write(reply.body[number : number + 1])
                        time.sleep(reply.pause_per_byte_sec)
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


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The map server's application behind real HTTP, in a thread; its XYZ template."""
    server = uvicorn.Server(uvicorn.Config(make_app(path), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}{TILE_ROUTE}"
    finally:
        server.should_exit = True
        thread.join()


def centre_tile(frame: LocalFrame, zoom: int = ZOOM, tile_px: int = 256) -> tuple[int, int]:
    """Column and row of the tile under the datum."""
    u, v = pixel_from_geodetic(frame.latitude_deg, frame.longitude_deg, zoom, tile_px)
    return int(u // tile_px), int(v // tile_px)


def write_mbtiles(path: Path, frame: LocalFrame, suffix: str = ".png") -> Path:
    """An MBTiles file with the tiles around the datum."""
    x0, y0 = centre_tile(frame)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
        for x in range(x0 - 2, x0 + 3):
            for y in range(y0 - 2, y0 + 3):
                row = (ZOOM, x, 2**ZOOM - 1 - y, encoded(world_tile(ZOOM, x, y), suffix))
                database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)
    return path


def write_raster(
    path: Path, bands: np.ndarray, frame: LocalFrame, epsg: int | None = 32632, pixel: float = 0.25, **profile
) -> Path:
    """A raster centred on the datum."""
    count, rows, columns = bands.shape
    x, y = 0.0, 0.0
    if epsg:
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(
            frame.longitude_deg, frame.latitude_deg
        )
    transform = from_origin(x - columns * pixel / 2, y + rows * pixel / 2, pixel, pixel)
    profile = {
        "transform": transform,
        "crs": epsg and f"EPSG:{epsg}",
        "dtype": bands.dtype,
        "count": count,
    } | profile
    with rasterio.open(path, "w", driver="GTiff", width=columns, height=rows, **profile) as raster:
        raster.write(bands)
    return path


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
