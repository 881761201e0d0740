"""Waiting for a map server that hangs is broken off at once, and leaves nothing behind."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from xview_localizer.aerial.fetch import FetchConfig
from xview_localizer.aerial.interruption import Interruption
from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.open import open_map_source
from xview_localizer.aerial.source import MapReadInterrupted
from xview_localizer.descriptor_map import DescriptorMap
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

FRAME = LocalFrame(48.0, 11.0, 0.0)
LONG_SEC = 60.0


@contextmanager
def hanging_server():
    """Takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def interrupted_soon(interruption, read):
    """Duration [s] of `read`, which is interrupted soon after its start."""
    timer = threading.Timer(0.3, interruption.set)
    began = time.monotonic()
    timer.start()
    with pytest.raises(MapReadInterrupted):
        read()
    return time.monotonic() - began


@pytest.mark.parametrize("path", ["/{z}/{x}/{y}.png", "/?SERVICE=WMS&LAYERS=a"])
def test_waiting_is_interrupted_and_no_further_request_is_sent(path):
    interruption = Interruption()
    with hanging_server() as url:
        fetch = FetchConfig(LONG_SEC, interruption=interruption)
        source = open_map_source(url + path, FRAME, fetch=fetch)
        assert (
            interrupted_soon(interruption, lambda: source.read(Bounds.around(0.0, 0.0, 40.0), 0.2))
            < LONG_SEC / 2
        )
        with pytest.raises(MapReadInterrupted):
            source.read(Bounds.around(0.0, 0.0, 40.0), 0.2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def test_reading_a_remote_file_is_interrupted():
    interruption = Interruption()
    with hanging_server() as url:
        fetch = FetchConfig(LONG_SEC, interruption=interruption)
        assert (
            interrupted_soon(interruption, lambda: open_map_source(f"{url}/map.tif", FRAME, fetch=fetch))
            < LONG_SEC / 2
        )


def test_what_was_broken_off_is_read_again_at_once(small_town, networks):
    class Map(InMemoryMap):
        interrupted = True

        def read(self, bounds, metres_per_pixel):
            if self.interrupted:
                raise MapReadInterrupted("broken off")
            return super().read(bounds, metres_per_pixel)

    source = Map(small_town.aerial)
    descriptors = DescriptorMap(source, networks.aerial, networks.spec.aerial)
    with pytest.raises(MapReadInterrupted):
        descriptors.read(0.0, 0.0, 5.0)
    source.interrupted = False
    assert descriptors.read(0.0, 0.0, 5.0).valid.any()
