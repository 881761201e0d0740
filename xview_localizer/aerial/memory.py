"""A map source over one image in memory."""

from __future__ import annotations

import cv2

from xview_localizer.aerial.source import AerialImage
from xview_localizer.aerial.warp import resample
from xview_localizer.geometry.grid import Bounds, RasterGrid


class InMemoryMap:
    """Crops and resamples one AerialImage; outside of it everything is invalid."""

    def __init__(self, aerial: AerialImage) -> None:
        self._aerial = aerial

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read. Averages when the crop is coarser than the image."""
        grid = RasterGrid.covering(bounds, metres_per_pixel)
        image, source = self._aerial.image, self._aerial.grid
        step = metres_per_pixel / source.spacing_m
        if step > 1.2:
            image = cv2.GaussianBlur(image, (0, 0), 0.4 * step)
        uv = source.uv_from_xy(grid.cell_centres_xy_m).reshape(grid.rows, grid.columns, 2)
        return resample(image, self._aerial.valid, uv, grid)
