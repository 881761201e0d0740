"""A place that is rendered for a camera that stands in it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.render import Scene


class StreetView:
    """Views of `street_scene`, which a town or a scene raised from a photo has."""

    street_scene: Scene

    def render_view(
        self,
        camera: CameraModel,
        pose: Pose2,
        R_base_camera: np.ndarray,
        camera_height_m: float,
        capture: Capture,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ground image [H, W, 3] uint8 RGB and range along the ray [H, W] (0 = sky) of a camera above `pose`."""
        rays = _pixel_rays(camera) @ R_base_camera.T
        cos, sin = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
        rays = rays @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
        origin = np.broadcast_to([pose.x_m, pose.y_m, camera_height_m], rays.shape)
        hits = self.street_scene.cast(origin, rays)
        pixel_rad = camera.horizontal_fov_rad / camera.width
        linear = self.street_scene.shade(origin, rays, hits, pixel_rad, capture)
        image = capture.develop(linear.reshape(camera.height, camera.width, 3), rng)
        range_m = np.where(np.isfinite(hits.range_m), hits.range_m, 0.0).reshape(image.shape[:2])
        return image, range_m

    def is_blocked(self, xy_m: np.ndarray, clearance_m: float = 0.8) -> bool:
        """Whether an obstacle is within `clearance_m` of a camera at (x, y), at the heights of 0.5 and 1.5 m."""
        angle_rad = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        rays = np.column_stack([np.cos(angle_rad), np.sin(angle_rad), np.zeros(16)])
        nearest_m = [
            self.street_scene.cast(np.tile([*xy_m, height_m], (16, 1)), rays).range_m.min()
            for height_m in (0.5, 1.5)
        ]
        return min(nearest_m) < clearance_m


@lru_cache(maxsize=1)
def _pixel_rays(camera: CameraModel) -> np.ndarray:
    """Unit rays [H * W, 3] of all pixels in the optical frame; cached, since one camera takes many images."""
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1))
    rays.flags.writeable = False
    return rays
