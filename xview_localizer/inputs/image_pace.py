"""Thinning out the images of a fast camera to a given rate."""

from __future__ import annotations


class ImagePace:
    """Takes `rate_hz` images per second at most, on average and by their stamps; a rate of 0 takes all images.

    An image may be up to half a period early to be the one that is due, since cameras do not keep step with the rate.
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
