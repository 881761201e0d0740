"""Breaking off requests to a map server from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interruption:
    """While it is set, pending requests to a map server are cancelled and new ones fail at once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._cancels: list[Callable[[], object]] = []

    def set(self) -> None:
        with self._lock:
            self._is_set = True
            cancels = list(self._cancels)
        for cancel in cancels:
            cancel()

    def clear(self) -> None:
        with self._lock:
            self._is_set = False

    @contextmanager
    def calling(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Within the block, `set` calls `cancel`; where the interruption is set already, `cancel` is called at once."""
        with self._lock:
            self._cancels.append(cancel)
            is_set = self._is_set
        try:
            if is_set:
                cancel()
            yield
        finally:
            with self._lock:
                self._cancels.remove(cancel)
