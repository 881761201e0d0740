"""A check for a camera clock that lags behind the other sensors' clocks by too little for its images to be refused.

When an image comes in, a sensor's newest stamp is ahead of the image's stamp by the transport delay of the image plus
the lag of the camera's clock. The delay varies and is sometimes short; the lag is constant. So the smallest lead over
many images shows the lag.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

from xview_localizer.tracking.sensors import CLOCK_LEAD_SEC, TOPIC

# The smallest lead over IMAGES images has to exceed LAG_SEC: no camera's images are that late every time.
IMAGES, LAG_SEC = 20, 1.0


class ClockLag:
    """Compares the newest stamps of the sensors with each camera's images as they come in."""

    def __init__(self) -> None:
        # By camera and sensor.
        self._leads_sec: dict[str, dict[str, deque[float]]] = defaultdict(
            lambda: defaultdict(lambda: deque(maxlen=IMAGES))
        )

    def on_image(self, camera: str, stamp_sec: float, newest_sec: Mapping[str, float]) -> None:
        """An image of `camera` has come in; `newest_sec` are the sensors' newest stamps."""
        leads_sec = self._leads_sec[camera]
        for sensor in leads_sec.keys() - newest_sec.keys():
            del leads_sec[sensor]
        for sensor, newest in newest_sec.items():
            leads_sec[sensor].append(newest - stamp_sec)

    def doubts(self) -> list[str]:
        """One sentence for each camera that lags; beyond CLOCK_LEAD_SEC its images are refused instead."""
        return [
            doubt for camera, leads_sec in self._leads_sec.items() if (doubt := _doubt(camera, leads_sec))
        ]


def _doubt(camera: str, leads_sec: Mapping[str, deque[float]]) -> str:
    least_sec = {sensor: min(leads) for sensor, leads in leads_sec.items() if len(leads) == IMAGES}
    ahead_sec = {sensor: lead for sensor, lead in least_sec.items() if LAG_SEC < lead <= CLOCK_LEAD_SEC}
    if not ahead_sec:
        return ""
    topics = " and ".join(TOPIC[sensor] for sensor in TOPIC if sensor in ahead_sec)
    others = " and ".join(TOPIC[sensor] for sensor in TOPIC if sensor in least_sec.keys() - ahead_sec.keys())
    cause = (
        f"not behind {others}, so {topics} has another clock"
        if others
        else "the camera's clock lags, or its images come that late each time"
    )
    images = f"the images of {camera}" if camera else "the images"
    return (
        f"{images} are stamped at least {max(ahead_sec.values()):.1f} s behind {topics}: {cause}. "
        "Poses are off by what is driven meanwhile; let one clock stamp all sensors"
    )
