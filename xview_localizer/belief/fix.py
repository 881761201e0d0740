"""The answer for one image: a pose with covariance and confidence, accepted or rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.rejection import Rejection

NAN = float("nan")


@dataclass(frozen=True)
class Rival:
    """Another place where the robot may be, and the probability that it is there."""

    pose: Pose2
    probability: float


@dataclass(frozen=True)
class Fix:
    """Position and yaw are those of base_link in `map`.

    When no pose was found at all, x, y, yaw, scale and covariance are NaN. A pose that was found but is not to be
    trusted has a `rejection`.
    """

    stamp_sec: float
    x_m: float = NAN
    y_m: float = NAN
    yaw_rad: float = NAN
    scale: float = NAN
    covariance: np.ndarray = field(default_factory=lambda: np.full((3, 3), NAN))  # of (x, y, yaw)
    confidence: float = 0.0  # in [0, 1], calibrated: probability that the robot is at this place and no other
    score_per_cell: float = 0.0  # mean log-likelihood ratio of the cells at the best mode
    inlier_ratio: float = 0.0
    inliers: int = 0
    rejection: Rejection | None = None
    rivals: tuple[Rival, ...] = ()  # most probable first
    depth_source: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.rejection is None

    @property
    def reason(self) -> str:
        """Why the pose is not to be trusted; empty where it is accepted."""
        return self.rejection.text if self.rejection else ""
