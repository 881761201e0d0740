"""A cache of map blocks by their place on the lattice. Blocks that the map failed to give are kept only for a while.

The first thread that asks for a block makes it; other threads that ask for it meanwhile wait.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from xview_localizer.aerial.source import MapReadInterrupted, MapSourceError
from xview_localizer.aerial_descriptors import Block

# A block that could not be read is requested again after this time, so that not every image waits for a dead server,
# and a server that is back is noticed soon.
HOLD_OFF_SEC = 1.0
# A block without imagery (a hole) is requested again after this time, so that a robot beyond the coverage of a server
# does not ask it all the time. But a map may also have lost its data for a while. So where no block around the robot
# has imagery, the block in which the robot is gets requested after HOLD_OFF_SEC; once it has imagery, all other holes
# are forgotten.
HOLE_SEC = 60.0

Place = tuple[int, int]  # row and column of a block


@dataclass(frozen=True)
class _Failure:
    """Why the map could not be read. Kept as text: a kept exception would keep its callers' stack frames."""

    text: str
    interrupted: bool  # nothing is wrong with the map

    @classmethod
    def of(cls, error: MapSourceError) -> _Failure:
        return cls(str(error), isinstance(error, MapReadInterrupted))

    @property
    def error(self) -> MapSourceError:
        return MapReadInterrupted(self.text) if self.interrupted else MapSourceError(self.text)


@dataclass
class _Entry:
    """A block, or why there is none, and until when (on the monotonic clock) that is valid."""

    made: Future[Block | _Failure] = field(default_factory=Future)
    until_sec: float = math.inf

    @property
    def is_hole(self) -> bool:
        """Whether the map answered that it has no imagery here."""
        made = self.made.result() if self.made.done() else None
        return isinstance(made, Block) and made.descriptor is None and not made.problems


class KeptBlocks:
    """The most recent blocks that `make` made. Thread-safe. At least `capacity` are kept."""

    def __init__(self, make: Callable[[Place], Block], capacity: int) -> None:
        self._make, self._capacity = make, capacity
        self._entries: OrderedDict[Place, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def make_room(self, count: int) -> None:
        """Keep at least `count` blocks from now on."""
        with self._lock:
            self._capacity = max(self._capacity, count)

    def get(self, place: Place) -> Block:
        """The block at a place. Raises MapSourceError where the map cannot be read, and whatever else `make` does."""
        with self._lock:
            known = self._entries.get(place)
            entry = known if known is not None and time.monotonic() < known.until_sec else _Entry()
            self._entries[place] = entry
            self._entries.move_to_end(place)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        if entry is not known:
            self._fill(entry, place)
            if known is not None and known.is_hole and not entry.is_hole:
                self._forget_holes()
        made = entry.made.result()
        if isinstance(made, _Failure):
            raise made.error
        return made

    def request_again_soon(self, places: Iterable[Place]) -> None:
        """Keep the blocks at these places for no longer than HOLD_OFF_SEC from now."""
        with self._lock:
            for place in places:
                if (entry := self._entries.get(place)) is not None:  # else another thread has forgotten it
                    entry.until_sec = min(entry.until_sec, time.monotonic() + HOLD_OFF_SEC)

    def _fill(self, entry: _Entry, place: Place) -> None:
        made: Block | _Failure
        try:
            made = self._make(place)
        except MapSourceError as error:
            made = _Failure.of(error)
        except BaseException as error:  # not the map's failure, or Ctrl-C: the next one may try again
            self._drop(place, entry)
            entry.made.set_exception(error)
            return
        if isinstance(made, _Failure) and made.interrupted:
            self._drop(place, entry)
        elif isinstance(made, _Failure) or made.problems:
            entry.until_sec = time.monotonic() + HOLD_OFF_SEC
        elif made.descriptor is None:
            entry.until_sec = time.monotonic() + HOLE_SEC
        entry.made.set_result(made)

    def _forget_holes(self) -> None:
        with self._lock:
            for place in [place for place, entry in self._entries.items() if entry.is_hole]:
                del self._entries[place]

    def _drop(self, place: Place, entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(place) is entry:
                del self._entries[place]
