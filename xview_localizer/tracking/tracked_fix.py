"""The answer for an image in a drive."""

from __future__ import annotations

from dataclasses import dataclass

from xview_localizer.belief.fix import Fix
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.observation import Observation
from xview_localizer.rejection import Rejection
from xview_localizer.tracking.pose_estimate import PoseEstimate


@dataclass(frozen=True)
class TrackedFix:
    """The answer for an image in a drive, and the best pose for its stamp.

    `estimate` is the fix where it is accepted, else the last accepted one carried on by odometry, else None.
    """

    fix: Fix
    prior: Prior | None
    keyframes: int  # images that took part, this one included
    estimate: PoseEstimate | None
    earlier: tuple[Pose2, ...] = ()  # T_current_past of the keyframes that took part
    on_slope: bool = False  # the ground is parallel to base_link, not level (see Observation)

    @classmethod
    def rejected(
        cls,
        observation: Observation,
        rejection: Rejection,
        estimate: PoseEstimate | None = None,
        search: Prior | None = None,
    ) -> TrackedFix:
        """The answer for an image that was not searched for; `search` where that was too wide."""
        fix = Fix(observation.stamp_sec, rejection=rejection, depth_source=observation.depth_source)
        return cls(fix, search, 1, estimate)
