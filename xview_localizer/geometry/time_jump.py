"""Telling a restarted recording or simulation from a message out of order, by the size of a step back in time."""

from __future__ import annotations

TIME_JUMP_SEC = 1.0  # messages of one sensor arrive out of order by much less


def has_jumped_back(stamp_sec: float, newest_sec: float) -> bool:
    """Whether a stamp is so far before the newest one that time has restarted."""
    return stamp_sec < newest_sec - TIME_JUMP_SEC
