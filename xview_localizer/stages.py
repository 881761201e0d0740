"""Timing of the stages of an image: `stage` times a stage where it runs, `recorded_stages` collects the times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_recording: ContextVar[dict[str, float] | None] = ContextVar("recording", default=None)


@contextmanager
def recorded_stages() -> Iterator[dict[str, float]]:
    """Milliseconds by name of every `stage` that this thread enters inside."""
    timings_ms: dict[str, float] = {}
    token = _recording.set(timings_ms)
    try:
        yield timings_ms
    finally:
        _recording.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time spent inside to the recording, where there is one."""
    began = time.perf_counter()
    yield
    recording = _recording.get()
    if recording is not None:
        recording[name] = recording.get(name, 0.0) + 1e3 * (time.perf_counter() - began)
