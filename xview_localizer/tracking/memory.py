"""What a drive remembers from image to image: hypotheses, keyframes and the last accepted pose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from xview_localizer.belief.fix import Fix
from xview_localizer.belief.hypotheses import Belief, OdometryDrift
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.tracking.keyframes import Keyframes
from xview_localizer.tracking.motion import OdometryBuffer
from xview_localizer.tracking.pose_estimate import PoseEstimate, carry
from xview_localizer.tracking.search import LOST_AFTER_M

# When asked to relocalize, the next image searches 3 times as far around GNSS, the one after 6 times, and so on.
RELOCALIZE_FACTOR = 3.0


@dataclass
class DriveMemory:
    """The state of a drive between two images. Forgetting it is replacing it by a new one."""

    searched_sec: float | None = None  # stamp of the last image searched for
    weighed_sec: float | None = None  # stamp of the last image that weighed the belief
    belief: Belief = field(default_factory=Belief)
    keyframes: Keyframes = field(default_factory=Keyframes)
    published: PoseEstimate | None = None  # the last accepted pose
    unlocalized_m: float = 0.0  # distance driven since then
    gnss_factor: float = 1.0  # by which the search disc of GNSS is widened

    def predicted(
        self,
        stamp_sec: float,
        odometry: OdometryBuffer,
        drift: OdometryDrift,
        max_speed_mps: float,
        max_yaw_rate_radps: float,
    ) -> tuple[Belief, float | None]:
        """The belief moved on to `stamp_sec` by odometry, and the distance driven since it was weighed.

        Where odometry does not reach, the belief is blurred by the greatest speed and turn, and the distance is None.
        """
        if self.weighed_sec is None:
            return self.belief, None
        motion = odometry.motion(self.weighed_sec, stamp_sec)
        if motion is not None:
            return self.belief.predicted(motion.T_then_now, motion.travelled_m, drift), motion.travelled_m
        elapsed_sec = stamp_sec - self.weighed_sec
        return self.belief.blurred(elapsed_sec, max_speed_mps, max_yaw_rate_radps), None

    def estimate_at(
        self, stamp_sec: float, odometry: OdometryBuffer, drift: OdometryDrift
    ) -> PoseEstimate | None:
        """The last accepted pose carried on to `stamp_sec`; None without one, or where odometry does not reach."""
        return None if self.published is None else carry(self.published, stamp_sec, odometry, drift)

    def widened(self, disc: Prior | None, max_radius_m: float) -> Prior | None:
        """GNSS's disc, widened while relocalizing, up to `max_radius_m`."""
        if disc is None or self.gnss_factor == 1.0:
            return disc
        limit_m = max(disc.radius_m, max_radius_m)
        return replace(disc, radius_m=min(limit_m, self.gnss_factor * disc.radius_m))

    @property
    def awaits_first_pose(self) -> bool:
        """Whether the next accepted pose is a first one: of the drive, or after the robot was lost."""
        return self.published is None or self.unlocalized_m > LOST_AFTER_M

    def on_weighed(self, belief: Belief, stamp_sec: float) -> None:
        """An image has weighed the hypotheses."""
        self.belief, self.weighed_sec = belief, stamp_sec

    def on_decided(self, fix: Fix, travelled_m: float | None) -> None:
        """An image was accepted or rejected, `travelled_m` after the one weighed before it (None: unknown)."""
        if fix.accepted:
            self.published = PoseEstimate(fix.stamp_sec, Pose2(fix.x_m, fix.y_m, fix.yaw_rad), fix.covariance)
            self.unlocalized_m, self.gnss_factor = 0.0, 1.0
            return
        self.unlocalized_m += travelled_m or 0.0
        if self.gnss_factor > 1.0:
            self.gnss_factor += RELOCALIZE_FACTOR
