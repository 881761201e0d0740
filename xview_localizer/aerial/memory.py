"""A map source over one image in memory."""

from __future__ import annotations

from xview_localizer.aerial.source import AerialImage, SourceLevel, crop_grid
from xview_localizer.aerial.warp import resample
from xview_localizer.geometry.grid import Bounds


class InMemoryMap:
    """Crops and resamples one AerialImage; outside of it everything is invalid."""

    def __init__(self, aerial: AerialImage) -> None:
        self._aerial = aerial

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = crop_grid(bounds, metres_per_pixel)
        uv = self._aerial.grid.uv_from_xy(grid.cell_centres_xy_m).reshape(grid.rows, grid.columns, 2)
        image, seen = resample(self._aerial.image, self._aerial.valid, uv)
        return AerialImage(image, seen, grid)

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        return SourceLevel(self._aerial.grid.spacing_m, "an image in memory")
