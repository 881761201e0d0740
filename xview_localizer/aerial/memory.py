"""A map source over one image in memory."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import Bounds, RasterGrid


class InMemoryMap:
    """Crops and resamples one AerialImage; outside of it everything is invalid."""

    def __init__(self, aerial: AerialImage) -> None:
        self._aerial = aerial

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read. Averages when the crop is coarser than the image."""
        rows = int(np.ceil(bounds.height_m / metres_per_pixel - 1e-6))
        columns = int(np.ceil(bounds.width_m / metres_per_pixel - 1e-6))
        grid = RasterGrid(bounds.west_m, bounds.north_m, metres_per_pixel, rows, columns)
        image, source = self._aerial.image, self._aerial.grid
        step = metres_per_pixel / source.spacing_m
        if step > 1.2:
            image = cv2.GaussianBlur(image, (0, 0), 0.4 * step)
        uv = source.uv_from_xy(grid.cell_centres_xy_m).reshape(rows, columns, 2)
        pixel = (uv - 0.5).astype(np.float32)
        inside = ((uv >= 0) & (uv <= (source.columns, source.rows))).all(axis=-1)
        crop = cv2.remap(image, pixel[..., 0], pixel[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        valid = cv2.remap(
            self._aerial.valid.astype(np.uint8), pixel[..., 0], pixel[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        valid = (valid > 0) & inside
        crop[~valid] = 0
        return AerialImage(crop, valid, grid)
