"""Placeholder tiles: one picture that a server sends for several places means that it has no imagery there."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np

# Pictures that are remembered: a server repeats the same one or two placeholders, so few are enough.
MAX_REMEMBERED = 4096
# A picture is plain where this share of its pixels has one brightness, within the noise of JPEG (grey levels).
PLAIN_SHARE = 0.6
NOISE_LEVELS = 3
# A map of which only this many tiles, each of a single colour, were seen shows nothing.
BLANK_TILES = 16


class Placeholders:
    """Recognizes pictures that a tile server sends in place of imagery ("map data not yet available"). Thread-safe.

    Tiles of two places are never identical to the last byte unless they show nothing. A repeated picture that is mostly
    of one colour is a placeholder; other repetitions give a warning. Tiles of a single colour are not counted, since
    they may show water.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first_place: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()
        self._repeated: dict[bytes, bool] = {}  # digest -> whether it is mostly of one colour
        # Places of tiles of a single colour, while no other tile has been seen.
        self._blank: set[tuple[int, int, int]] = set()
        self._shows_something = False

    def learn(self, data: bytes, rgb: np.ndarray, place: tuple[int, int, int]) -> bytes:
        """Register the tile `data`, decoded to `rgb` [h, w, 3], at `place` (zoom, x, y); returns its digest."""
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
            if len(self._first_place) > MAX_REMEMBERED:
                self._first_place.popitem(last=False)
        return digest

    def holds(self, digest: bytes) -> bool:
        """Whether the picture is a placeholder, judged by the tiles registered so far."""
        with self._lock:
            return self._repeated.get(digest, False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings, each with a remedy, about repeated pictures or a map of blank tiles; empty without these."""
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
    """Whether one brightness, within the noise of JPEG, covers most of a picture [h, w, 3]."""
    counts = np.bincount(rgb.mean(axis=-1).astype(int).ravel(), minlength=256)
    return bool(np.convolve(counts, np.ones(2 * NOISE_LEVELS + 1)).max() > PLAIN_SHARE * counts.sum())
