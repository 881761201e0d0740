"""A local map server: one raster, MBTiles or PMTiles file served as XYZ tiles."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from xview_localizer.aerial.fetch import TileMissing
from xview_localizer.aerial.http_client import HttpClient, HttpError
from xview_localizer.aerial.mbtiles import open_mbtiles
from xview_localizer.aerial.mercator import geodetic_from_pixel
from xview_localizer.aerial.pmtiles_file import open_pmtiles
from xview_localizer.aerial.raster import Raster
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.aerial.warp import smooth_lookup
from xview_localizer.encoded_image import image_format

TILE_ROUTE = "/{z}/{x}/{y}.png"
MAX_ZOOM = 30
TILE_PX = 256
# Another map may be served at the same address later, so clients must not cache the tiles.
FRESH = {"Cache-Control": "no-store"}

log = logging.getLogger(__name__)


def make_app(path: Path):
    """The ASGI application that serves the map file `path`. Raises MapSourceError where it is not a map."""
    from fastapi import FastAPI, Response

    pyramid = {".mbtiles": open_mbtiles, ".pmtiles": open_pmtiles}.get(path.suffix.lower())
    tile = pyramid(path)[0] if pyramid else rendered_tiles(path)
    app = FastAPI(title="xview_localizer map server", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"map": path.name}

    @app.get(TILE_ROUTE)
    def xyz(z: int, x: int, y: int):  # older FastAPI cannot resolve a return type that is imported here
        if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            return Response(status_code=404)
        try:
            data = tile(z, x, y)
        except TileMissing:
            return Response(status_code=404)
        return Response(data, media_type=f"image/{image_format(data)}".lower(), headers=FRESH)

    return app


def rendered_tiles(path: Path) -> Callable[[int, int, int], bytes]:
    """Tile function `tile(zoom, x, y)` of a raster: PNG of TILE_PX pixels with transparency. Raises MapSourceError."""
    raster = Raster(path)
    # A client sees tiles only, not the raster, so that the log has to hold its warnings.
    for warning in raster.warnings():
        log.warning("%s: %s", path.name, warning)

    def tile(zoom: int, x: int, y: int) -> bytes:
        def at(uv: np.ndarray) -> np.ndarray:
            return raster.pixels(*geodetic_from_pixel(uv + (x * TILE_PX, y * TILE_PX), zoom, TILE_PX))

        image, seen = raster.sample(smooth_lookup(TILE_PX, TILE_PX, at))
        if not seen.any():
            raise TileMissing(f"{path} {zoom}/{x}/{y}")
        opacity = np.where(seen, 255, 0).astype(np.uint8)
        return cv2.imencode(".png", np.dstack([image[..., ::-1], opacity]))[1].tobytes()

    return tile


def serve(path: Path | str, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve a map until interrupted; port 0 chooses a free one. Prints the tile template once it accepts requests.

    Raises MapSourceError where `path` is not a map, or the port is taken.
    """
    import uvicorn

    path = Path(path)
    if not path.is_file():
        problem = "a folder; give one of its files" if path.is_dir() else "not there"
        raise MapSourceError(f"the map file {path} is {problem}")
    app = make_app(path)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise MapSourceError(
            f"cannot serve at {host}:{port}: {error.strerror}; give another port, or 0 for a free one"
        ) from error
    # The launch file waits for this line and reads the address from it.
    address = f"[{host}]" if ":" in host else host
    print(f"serving {path.name} as http://{address}:{listener.getsockname()[1]}{TILE_ROUTE}", flush=True)
    with listener, suppress(KeyboardInterrupt):  # the regular end of a server, also under launch
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


@contextmanager
def served_map(source: str) -> Iterator[str]:
    """Serve `source` over HTTP where it is a file and yield its template; URLs and folders are yielded unchanged."""
    if "://" in source or Path(source).is_dir():
        yield source
        return
    with MapServerProcess(source) as server:
        yield server.template


class MapServerProcess:
    """The map server in a process of its own, on a free port; a context manager.

    Raises MapSourceError where the server does not answer within `timeout_sec`.
    """

    def __init__(self, path: Path | str, timeout_sec: float = 30.0) -> None:
        self._path, self._timeout_sec = Path(path), timeout_sec

    def __enter__(self) -> MapServerProcess:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        command = [sys.executable, "-m", "xview_localizer.cli.main", "map-server", str(self._path)]
        command += ["--port", str(self._port)]
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, env=os.environ)
        try:
            self._await_health()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def template(self) -> str:
        """The XYZ template of the served map."""
        return f"http://127.0.0.1:{self._port}{TILE_ROUTE}"

    def stop(self) -> None:
        """Stop the server; it gets five seconds to finish."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _await_health(self) -> None:
        client = HttpClient("xview_localizer")
        deadline = time.monotonic() + self._timeout_sec
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(HttpError):
                if client.get(f"http://127.0.0.1:{self._port}/healthz", 1.0, 10_000).status == 200:
                    return
            time.sleep(0.1)
        self._log.seek(0)
        last_lines = self._log.read().strip()[-500:]
        raise MapSourceError(f"the map server for {self._path} did not start: {last_lines or 'no output'}")
