"""What one ground image contributes: its cells lifted onto the ground, with descriptors to match anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.pose import Pose2

HERE = Pose2(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Observation:
    """The ground cells of one image.

    The level frame is base_link with roll and pitch removed. `reason` is non-empty when the image is
    unusable; the arrays are empty then.
    """

    ground_xy_m: np.ndarray  # [N, 2] from the camera, along the level frame's axes; metres if `scale_known`
    camera_xy_m: np.ndarray  # [2] the camera in the level frame, metres whatever the scale of the depth
    descriptor: np.ndarray  # [N, D] unit length
    dustbin: np.ndarray  # [N] score of matching nothing, in cosine / τ
    scale_known: bool
    depth_source: str  # "network", or "flat ground" and why
    stamp_sec: float
    reason: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    rays_level: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 3))
    )  # [N, 3] unit, where each cell is seen

    def points_m(self, scale: float) -> np.ndarray:
        """The cells [N, 2] in the level frame; the lever arm is metres whatever the scale of the depth."""
        return scale * self.ground_xy_m + self.camera_xy_m


@dataclass(frozen=True)
class PlacedObservation:
    """An observation and where it was made, seen from the current base_link (odometry)."""

    observation: Observation
    T_current_past: Pose2


def empty_observation(stamp_sec: float, reason: str) -> Observation:
    """The observation of an image that cannot be used."""
    return Observation(
        ground_xy_m=np.zeros((0, 2)),
        camera_xy_m=np.zeros(2),
        descriptor=np.zeros((0, 1), np.float32),
        dustbin=np.zeros(0, np.float32),
        scale_known=False,
        depth_source="none",
        stamp_sec=stamp_sec,
        reason=reason,
    )
