"""Placeholders: the same picture at several places means that there is no imagery."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np

# Pictures that are remembered; a server has one or two placeholders, which come again and again.
MEMORY = 4096
PLAIN_SHARE = 0.6
NOISE_LEVELS = 3
# So many tiles of one colour each, and no other, are no map.
BLANK_TILES = 16


class Placeholders:
    """Learns which pictures a tile server sends in place of imagery ("map data not yet available"). Thread-safe.

    Two places on Earth never look the same to the last byte, unless they show nothing. What is the same and mostly of
    one colour is a placeholder; other repetitions are worth a warning. Tiles of one colour alone may be water.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first_place: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()
        self._repeated: dict[bytes, bool] = {}  # digest -> whether it is mostly of one colour
        self._blank: set[tuple[int, int, int]] = (
            set()
        )  # places of tiles of one colour, while there are no others
        self._shows_something = False

    def learn(self, data: bytes, rgb: np.ndarray, place: tuple[int, int, int]) -> bytes:
        """Take note of the tile at `place` (zoom, x, y); returns its digest."""
        digest = hashlib.sha256(data).digest()
        if (rgb == rgb[0, 0]).all():
            with self._lock:
                if len(self._blank) < BLANK_TILES:
                    self._blank.add(place)
            return digest
        with self._lock:
            self._shows_something = True
            if self._first_place.setdefault(digest, place) != place and digest not in self._repeated:
                self._repeated[digest] = _plain(rgb)
            self._first_place.move_to_end(digest)
            if len(self._first_place) > MEMORY:
                self._first_place.popitem(last=False)
        return digest

    def holds(self, digest: bytes) -> bool:
        """Whether that picture is a placeholder, as far as it is known by now."""
        with self._lock:
            return self._repeated.get(digest, False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to do about pictures that come again, or show nothing, once there are any."""
        with self._lock:
            blank = len(self._blank) >= BLANK_TILES and not self._shows_something
            repeated = bool(self._repeated)
        if blank:
            return ("all tiles of the map are of one colour; check the address, its key and its layers",)
        if repeated:
            return (
                "the map shows the same picture at several places, as servers do where they have no imagery of a zoom; "
                "lower map.max_zoom, or take another map",
            )
        return ()


def _plain(rgb: np.ndarray) -> bool:
    """Whether one brightness, but for the noise of JPEG, covers most of a picture."""
    counts = np.bincount(rgb.mean(axis=-1).astype(int).ravel(), minlength=256)
    return bool(np.convolve(counts, np.ones(2 * NOISE_LEVELS + 1)).max() > PLAIN_SHARE * counts.sum())
