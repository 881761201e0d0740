"""A tile server and a datum for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aerial_world import TileServer

from xview_localizer.geometry.local_frame import LocalFrame


@pytest.fixture
def server() -> Iterator[TileServer]:
    tile_server = TileServer()
    yield tile_server
    tile_server.stop()


@pytest.fixture(scope="session")
def frame() -> LocalFrame:
    return LocalFrame(48.1, 11.6, 520.0)
