"""Aerial descriptors on a fixed metric lattice: each block is encoded once, kept, and looked up afterwards."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import cv2
import numpy as np

from xview_localizer.aerial.blank import is_blank
from xview_localizer.aerial.false_colour import colour_warnings
from xview_localizer.aerial.source import MapReadInterrupted, MapSource, MapSourceError
from xview_localizer.aerial_descriptors import AerialDescriptors, Block, Mosaic
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.imaging import NO_DATA_RGB
from xview_localizer.models.contracts import AerialEncoder
from xview_localizer.models.spec import AerialSpec

# Cells at a block's rim see less of their surroundings, so neighbouring blocks overlap by this much on each side.
MARGIN_CELLS = 6
# A block with less imagery than this is not worth encoding; its cells count as missing.
MIN_VALID_RATIO = 0.25
# What the map failed to give is requested again after this long: a dead server is not waited for with every image,
# and one that is back is noticed soon.
HOLD_OFF_SEC = 1.0
# Where the map answered that it has no imagery, it is asked again after this long, since a robot beyond the coverage
# of a server is not to ask it all the time. But a map may have lost its data for a while. So where nothing around the
# robot has imagery, the block that the robot is in is requested again after HOLD_OFF_SEC; once it has imagery, the
# other holes are forgotten.
HOLE_SEC = 60.0


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


class DescriptorMap:
    """Encodes blocks of a map on demand and keeps the most recent ones. Thread-safe.

    At least `capacity` are kept, and twice as many as the widest read needed, so that the next one like it
    and what is read ahead find theirs. What the map failed to give is requested again after HOLD_OFF_SEC, and
    holes after HOLE_SEC.
    Raises MapSourceError from `read` when the map cannot be read.
    """

    def __init__(
        self, source: MapSource, encoder: AerialEncoder, spec: AerialSpec, capacity: int = 64
    ) -> None:
        self._source, self._encoder, self._spec = source, encoder, spec
        self._capacity = capacity
        self._entries: OrderedDict[tuple[int, int], _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.warnings: tuple[str, ...] = ()  # of the newest crop: what makes poses found in the map doubtful

    @property
    def _stride_cells(self) -> int:
        return self._spec.block_cells - 2 * MARGIN_CELLS

    def read(self, x_m: float, y_m: float, half_extent_m: float) -> AerialDescriptors:
        """Descriptors of the lattice cells within ± half_extent_m of (x, y)."""
        cell_m = self._spec.cell_m
        first_column = int(np.floor((x_m - half_extent_m) / cell_m))
        last_column = int(np.ceil((x_m + half_extent_m) / cell_m))
        first_row = int(np.floor((-y_m - half_extent_m) / cell_m))  # rows grow to the south
        last_row = int(np.ceil((-y_m + half_extent_m) / cell_m))
        mosaic = Mosaic(np.arange(first_row, last_row), np.arange(first_column, last_column))
        problems: list[str] = []
        keys = list(self._keys_around(first_row, last_row, first_column, last_column))
        with self._lock:
            self._capacity = max(self._capacity, 2 * len(keys))
        for key in keys:
            block = self._block(key)
            problems += block.problems
            mosaic.add(block, self._first_cell(key[0]), self._first_cell(key[1]))
        if mosaic.descriptor is None:
            self._request_again_soon((first_row + last_row) // 2, (first_column + last_column) // 2)
        grid = RasterGrid(first_column * cell_m, -first_row * cell_m, cell_m, *mosaic.valid.shape)
        unique = tuple(dict.fromkeys(problems))  # neighbouring blocks share tiles
        return AerialDescriptors(mosaic.by_cell(), mosaic.valid.ravel(), grid, unique)

    def _first_cell(self, index: int) -> int:
        """Lattice row (or column) of a block's first cell; block 0 is centred on the datum."""
        return index * self._stride_cells - self._spec.block_cells // 2

    def _keys_around(
        self, first_row: int, last_row: int, first_column: int, last_column: int
    ) -> Iterator[tuple[int, int]]:
        stride, half = self._stride_cells, self._stride_cells // 2
        for block_row in range((first_row + half) // stride, (last_row - 1 + half) // stride + 1):
            for block_column in range(
                (first_column + half) // stride, (last_column - 1 + half) // stride + 1
            ):
                yield block_row, block_column

    def _block(self, key: tuple[int, int]) -> Block:
        """The block. The first thread that requests it encodes it; others that request it meanwhile wait."""
        with self._lock:
            known = self._entries.get(key)
            entry = known if known is not None and time.monotonic() < known.until_sec else _Entry()
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        if entry is not known:
            self._fill(entry, key)
            if known is not None and known.is_hole and not entry.is_hole:
                self._forget_holes()
        made = entry.made.result()
        if isinstance(made, _Failure):
            raise made.error
        return made

    def _fill(self, entry: _Entry, key: tuple[int, int]) -> None:
        made: Block | _Failure
        try:
            made = self._encode(key)
        except MapSourceError as error:
            made = _Failure.of(error)
        except BaseException as error:  # not the map's failure, or Ctrl-C: the next read may try again
            self._drop(key, entry)
            entry.made.set_exception(error)
            return
        if isinstance(made, _Failure) and made.interrupted:
            self._drop(key, entry)
        elif isinstance(made, _Failure) or made.problems:
            entry.until_sec = time.monotonic() + HOLD_OFF_SEC
        elif made.descriptor is None:
            entry.until_sec = time.monotonic() + HOLE_SEC
        entry.made.set_result(made)

    def _request_again_soon(self, row: int, column: int) -> None:
        """Keep the block of a lattice cell for no longer than HOLD_OFF_SEC from now."""
        with self._lock:
            for key in self._keys_around(row, row + 1, column, column + 1):
                if (entry := self._entries.get(key)) is not None:  # else another thread has forgotten it
                    entry.until_sec = min(entry.until_sec, time.monotonic() + HOLD_OFF_SEC)

    def _forget_holes(self) -> None:
        with self._lock:
            for key in [key for key, entry in self._entries.items() if entry.is_hole]:
                del self._entries[key]

    def _drop(self, key: tuple[int, int], entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(key) is entry:
                del self._entries[key]

    def _encode(self, key: tuple[int, int]) -> Block:
        spec = self._spec
        middle_m = [(self._first_cell(index) + spec.block_cells / 2) * spec.cell_m for index in key]
        bounds = Bounds.around(middle_m[1], -middle_m[0], spec.image_m / 2)  # rows grow to the south
        crop = self._source.read(bounds, spec.metres_per_pixel)
        self.warnings = (*crop.warnings, *colour_warnings(crop.image, crop.valid))
        image = crop.image[: spec.image_px, : spec.image_px]
        valid = crop.valid[: spec.image_px, : spec.image_px] & ~is_blank(image, spec.metres_per_pixel)
        if valid.mean() < MIN_VALID_RATIO:
            nothing = np.zeros((spec.block_cells, spec.block_cells), dtype=bool)
            return Block(None, nothing, crop.problems)
        descriptor = self._encoder.describe(
            np.where(valid[..., None], image, np.array(NO_DATA_RGB, np.uint8))
        )
        seen = cv2.resize(valid.astype(np.float32), 2 * (spec.block_cells,), interpolation=cv2.INTER_AREA)
        return Block(np.ascontiguousarray(descriptor), seen > 0.5, crop.problems)
