"""A camera that sees the robot itself: what its mask covers is outside the camera's field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel


@dataclass(frozen=True, eq=False)
class MaskedCamera:
    """`camera`, less the pixels where `shows_world` [height, width] is False. Raises ValueError for another size.

    Projection tells what a camera sees, so that covered pixels are treated as those beyond the image's border: the
    networks get no image there, and cells that are mostly covered are not matched.
    """

    camera: CameraModel
    shows_world: np.ndarray

    def __post_init__(self) -> None:
        height, width = self.shows_world.shape
        if (width, height) != (self.width, self.height):
            raise ValueError(
                f"the mask has {width} × {height} px, but the camera's image {self.width} × {self.height}"
            )

    @property
    def width(self) -> int:
        return self.camera.width

    @property
    def height(self) -> int:
        return self.camera.height

    @property
    def azimuth_range_rad(self) -> tuple[float, float]:
        return self.camera.azimuth_range_rad

    @property
    def horizontal_fov_rad(self) -> float:
        return self.camera.horizontal_fov_rad

    def rays(self, uv: np.ndarray) -> np.ndarray:
        return self.camera.rays(uv)

    def project(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        uv, seen = self.camera.project(rays)
        column, row = uv[seen].astype(np.intp).T
        seen[seen] = self.shows_world[row, column]
        return uv, seen
