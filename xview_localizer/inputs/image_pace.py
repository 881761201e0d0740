"""Which images of a fast camera are taken."""

from __future__ import annotations


class ImagePace:
    """Takes at most `rate_hz` images per second, by their stamps and on the average; 0: all of them.

    An image that comes up to half a period early is the one that is due: cameras are not in step with the rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_sec = 1.0 / rate_hz if rate_hz else 0.0
        self._due_sec: float | None = None

    def takes(self, stamp_sec: float) -> bool:
        """Whether the next image, with that stamp, is to be taken."""
        due_sec, period_sec = self._due_sec, self._period_sec
        # After a gap, or a jump of time, counting starts afresh.
        if due_sec is None or abs(stamp_sec - due_sec) > 2 * period_sec:
            self._due_sec = stamp_sec + period_sec
            return True
        if stamp_sec < due_sec - period_sec / 2:
            return False
        self._due_sec = due_sec + period_sec
        return True
