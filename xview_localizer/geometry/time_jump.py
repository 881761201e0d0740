"""When a step back in time is a restarted recording or simulation, and not a message out of order."""

from __future__ import annotations

TIME_JUMP_SEC = 1.0


def has_jumped_back(stamp_sec: float, newest_sec: float) -> bool:
    """Whether a stamp is so far before the newest one that time has begun anew."""
    return stamp_sec < newest_sec - TIME_JUMP_SEC
