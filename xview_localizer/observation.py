"""The ground cells that the images of one moment show: lifted onto the ground, with descriptors for matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.geometry.pose import Pose2

IDENTITY_POSE = Pose2(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Observation:
    """The ground cells of one image, or of the images of several cameras (`joined_observation`).

    The level frame is base_link with roll and pitch removed, since the ground is taken for level. Where base_link
    leans, the robot may as well stand on a slope: `on_slope` is the same image with the ground parallel to base_link.
    `reason` is non-empty when the image is unusable; the arrays are empty then.
    """

    ground_xy_m: np.ndarray  # [N, 2] from the camera, along the level frame's axes; metres if `scale_known`
    camera_xy_m: np.ndarray  # [2] the camera in the level frame, or [N, 2] of each cell; metres at any scale
    descriptor: np.ndarray  # [N, D] unit length
    dustbin: np.ndarray  # [N] score of matching nothing, in cosine / τ
    covered_area: np.ndarray  # [N] of level ground, in the square of ground_xy_m's unit
    scale_known: bool
    depth_source: str  # "network", or "flat ground" and why; then, where so, "on a slope of 5°"
    stamp_sec: float
    reason: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    # [N, 3] unit, the direction in which each cell is seen
    rays_level: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    height: float | None = None  # of the camera, in the unit of ground_xy_m; None for several cameras
    on_slope: Observation | None = None

    def on_ground(self, slope: bool) -> Observation:
        """The observation on level ground, or on the slope, without the other."""
        chosen = self.on_slope if slope and self.on_slope is not None else self
        return replace(chosen, on_slope=None)

    def points_m(self, scale: float) -> np.ndarray:
        """The cells [N, 2] in the level frame; the lever arm is metres whatever the scale of the depth."""
        return scale * self.ground_xy_m + self.camera_xy_m


@dataclass(frozen=True)
class PlacedObservation:
    """An observation and where it was made, seen from the current base_link (odometry)."""

    observation: Observation
    T_current_past: Pose2


def joined_observation(placed: Sequence[PlacedObservation]) -> Observation:
    """The observations of several cameras as a single one, as if one camera had seen it all at the last one's stamp.

    Unusable observations are left out; where all are unusable, so is the result.
    """
    if len(placed) == 1:
        return placed[0].observation
    level, slope = (
        _joined([replace(item, observation=item.observation.on_ground(slope)) for item in placed])
        for slope in (False, True)
    )
    leaning = any(item.observation.on_slope is not None for item in placed)
    return replace(level, on_slope=slope) if leaning else level


def _joined(placed: Sequence[PlacedObservation]) -> Observation:
    current = placed[-1].observation
    usable = [item for item in placed if not item.observation.reason]
    if not usable:
        return current
    points, cameras, rays = zip(*(_moved(item) for item in usable), strict=True)
    seen = [item.observation for item in usable]
    return Observation(
        ground_xy_m=np.concatenate(points),
        camera_xy_m=np.concatenate(cameras),
        descriptor=np.concatenate([item.descriptor for item in seen]),
        dustbin=np.concatenate([item.dustbin for item in seen]),
        covered_area=np.concatenate([item.covered_area for item in seen]),
        scale_known=all(item.scale_known for item in seen),
        depth_source="; ".join(dict.fromkeys(item.depth_source for item in seen)),
        stamp_sec=current.stamp_sec,
        timings_ms={
            stage: sum(item.timings_ms.get(stage, 0.0) for item in seen)
            for stage in dict.fromkeys(stage for item in seen for stage in item.timings_ms)
        },
        rays_level=np.concatenate(rays),
    )


def _moved(item: PlacedObservation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lifted points [N, 2], cameras [N, 2] and rays [N, 3] in the current level frame."""
    observation, yaw_rad = item.observation, item.T_current_past.yaw_rad
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    points_m = observation.ground_xy_m @ turn[:2, :2].T
    camera_xy_m = item.T_current_past.transform(observation.camera_xy_m)
    return points_m, np.broadcast_to(camera_xy_m, points_m.shape), observation.rays_level @ turn.T


def empty_observation(stamp_sec: float, reason: str) -> Observation:
    """The observation of an image that cannot be used."""
    return Observation(
        ground_xy_m=np.zeros((0, 2)),
        camera_xy_m=np.zeros(2),
        descriptor=np.zeros((0, 1), np.float32),
        dustbin=np.zeros(0, np.float32),
        covered_area=np.zeros(0),
        scale_known=False,
        depth_source="none",
        stamp_sec=stamp_sec,
        reason=reason,
    )
