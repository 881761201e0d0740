"""Reading the map ahead of the robot, so that a drive never waits for the network once warm."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from collections.abc import Callable

from xview_localizer.aerial.source import MapSourceError

log = logging.getLogger(__name__)


class Prefetcher:
    """Calls `read(x_m, y_m)` in one background thread, newest request first; at most one waits.

    Failures are logged: the drive will meet them itself and report them with its fix.
    """

    def __init__(self, read: Callable[[float, float], object]) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="map-prefetch")
        self._waiting: Future | None = None

    def request(self, x_m: float, y_m: float) -> None:
        """Read around (x, y) soon; a request that has not begun is replaced."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._pool.submit(self._run, x_m, y_m)

    def close(self) -> None:
        """Drop what waits and finish what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, x_m: float, y_m: float) -> None:
        try:
            self._read(x_m, y_m)
        except MapSourceError as error:
            log.warning("prefetch around (%.0f, %.0f) m failed: %s", x_m, y_m, error)
