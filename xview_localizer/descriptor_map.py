"""Aerial descriptors on a fixed metric lattice: each block is encoded once, kept, and looked up afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from xview_localizer.aerial.blank import is_blank
from xview_localizer.aerial.false_colour import colour_warnings
from xview_localizer.aerial.source import MapSource
from xview_localizer.aerial_descriptors import AerialDescriptors, Block, Mosaic
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.imaging import NO_DATA_RGB
from xview_localizer.kept_blocks import KeptBlocks, Place
from xview_localizer.models.contracts import AerialEncoder
from xview_localizer.models.spec import AerialSpec

# Cells at a block's rim see less of their surroundings, so neighbouring blocks overlap by this much on each side.
MARGIN_CELLS = 6
# A block with less imagery than this is not worth encoding; its cells count as missing.
MIN_VALID_RATIO = 0.25


class DescriptorMap:
    """Encodes blocks of a map on demand and keeps the most recent ones. Thread-safe.

    At least `capacity` blocks are kept, and twice as many as the widest read has needed, so that they last for the next
    such read and for prefetching. `KeptBlocks` decides when blocks that the map failed to give are requested again.
    Raises MapSourceError from `read` when the map cannot be read.
    """

    def __init__(
        self, source: MapSource, encoder: AerialEncoder, spec: AerialSpec, capacity: int = 64
    ) -> None:
        self._source, self._encoder, self._spec = source, encoder, spec
        self._blocks = KeptBlocks(self._encode, capacity)
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
        places = list(self._places_around(first_row, last_row, first_column, last_column))
        self._blocks.make_room(2 * len(places))
        for place in places:
            block = self._blocks.get(place)
            problems += block.problems
            mosaic.add(block, self._first_cell(place[0]), self._first_cell(place[1]))
        if mosaic.descriptor is None:
            row, column = (first_row + last_row) // 2, (first_column + last_column) // 2
            self._blocks.request_again_soon(self._places_around(row, row + 1, column, column + 1))
        grid = RasterGrid(first_column * cell_m, -first_row * cell_m, cell_m, *mosaic.valid.shape)
        unique = tuple(dict.fromkeys(problems))  # neighbouring blocks share tiles
        return AerialDescriptors(mosaic.by_cell(), mosaic.valid.ravel(), grid, unique)

    def _first_cell(self, index: int) -> int:
        """Lattice row (or column) of a block's first cell; block 0 is centred on the datum."""
        return index * self._stride_cells - self._spec.block_cells // 2

    def _places_around(
        self, first_row: int, last_row: int, first_column: int, last_column: int
    ) -> Iterator[Place]:
        """The blocks in which these cells of the lattice lie most centrally; the ends are exclusive."""
        stride, half = self._stride_cells, self._stride_cells // 2
        for block_row in range((first_row + half) // stride, (last_row - 1 + half) // stride + 1):
            for block_column in range(
                (first_column + half) // stride, (last_column - 1 + half) // stride + 1
            ):
                yield block_row, block_column

    def _encode(self, place: Place) -> Block:
        spec = self._spec
        middle_m = [(self._first_cell(index) + spec.block_cells / 2) * spec.cell_m for index in place]
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
