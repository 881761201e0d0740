"""One background thread that works on the newest item and drops older ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestItemWorker(Generic[Item]):
    """Calls `process(item, worker)` in a thread of its own; one item waits, and a newer one replaces it.

    `process` must not raise. `on_dropped` is called where an item is replaced.
    """

    def __init__(
        self,
        process: Callable[[Item, NewestItemWorker[Item]], None],
        on_dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._process, self._on_dropped = process, on_dropped
        self._waiting: Item | None = None
        self._stopping = False
        self._changed = threading.Condition()
        # A daemon, so that an inference that hangs can't keep the process alive.
        self._thread = threading.Thread(target=self._run, name="localizer-worker", daemon=True)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: what the item in work would lead to is no longer wanted."""
        return self._stopping

    @property
    def alive(self) -> bool:
        """Whether the thread still runs, as it may after a `stop` that gave up waiting."""
        return self._thread.is_alive()

    def submit(self, item: Item) -> None:
        """Hand over an item; returns at once."""
        with self._changed:
            if self._waiting is not None:
                self._on_dropped()
            self._waiting = item
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout_sec: float) -> bool:
        """Inside `process`: wait for `condition`, looked at after each `notify`. False after the timeout."""
        with self._changed:
            return (
                self._changed.wait_for(lambda: self._stopping or condition(), timeout_sec)
                and not self._stopping
            )

    def notify(self) -> None:
        """Look at the condition of a `wait_until` again."""
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout_sec: float) -> bool:
        """Drop what waits and end after the item in work; False where that took longer than the timeout."""
        with self._changed:
            self._stopping = True
            self._waiting = None
            self._changed.notify_all()
        self._thread.join(timeout_sec)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._waiting is not None)
                if self._stopping:
                    return
                item, self._waiting = self._waiting, None
            self._process(item, self)
            del item  # an image is large, and the next one may come late
