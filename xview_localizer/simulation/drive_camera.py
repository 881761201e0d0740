"""The camera of a simulated drive: one image for each stamp, with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.camera import camera_from_dict
from xview_localizer.geometry.levelling import R_BODY_OPTICAL, R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.route import Trajectory
from xview_localizer.simulation.town import Town


@dataclass(frozen=True)
class Shot:
    """An image and its truth: range along the ray [H, W], pose and height of the camera, pose of base_link.

    `R_map_camera` [3, 3] takes directions of the optical frame to the map.
    """

    stamp_sec: float
    jpeg: bytes
    range_m: np.ndarray
    camera: dict
    height_m: float
    camera_xy_m: np.ndarray
    R_map_camera: np.ndarray
    base: Pose2


@dataclass(frozen=True)
class DriveCamera:
    """A camera mounted on base_link, which moves on the ground and sways; `camera` is its `pairs` record."""

    town: Town
    trajectory: Trajectory
    camera: dict
    in_base_m: tuple[float, float, float]
    R_base_camera: np.ndarray
    capture: Capture

    def shot(self, stamp_sec: float, rng: np.random.Generator) -> Shot:
        """The image at a stamp, seconds from the start of the drive."""
        base = self.trajectory.pose(stamp_sec)
        roll_rad, pitch_rad = self.trajectory.roll_pitch_rad(stamp_sec)
        R_level_base = R_base_optical_from_rpy(roll_rad, pitch_rad, 0.0) @ R_BODY_OPTICAL.T
        x_m, y_m, height_m = (float(value) for value in R_level_base @ self.in_base_m)
        above = base @ Pose2(x_m, y_m, 0.0)
        R_level_camera = R_level_base @ self.R_base_camera
        image, range_m = self.town.render_view(
            camera_from_dict(self.camera), above, R_level_camera, height_m, self.capture, rng
        )
        R_map_level = Rotation.from_euler("z", base.yaw_rad).as_matrix()
        return Shot(
            stamp_sec=stamp_sec,
            jpeg=_jpeg(image, self.capture.jpeg_quality),
            range_m=range_m,
            camera=self.camera,
            height_m=height_m,
            camera_xy_m=np.array([above.x_m, above.y_m]),
            R_map_camera=R_map_level @ R_level_camera,
            base=base,
        )


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
