"""Where to search: a disc and, where one is known, a heading, from GNSS and the current hypotheses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xview_localizer.belief.hypotheses import Belief, gnss_log_weight
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.tracking.gnss import Heading, base_position, heading_from_course
from xview_localizer.tracking.sensors import Sensors

# A leading hypothesis of at least this weight gives the heading and the middle of the search.
SETTLED = 0.98
# The search holds a hypothesis out to this many standard deviations of its position.
SPREAD_SIGMAS = 3.0
# Hypotheses lighter than this need not lie within the search.
NEGLIGIBLE = 0.01
# GNSS may be worse than it reports. So once the robot has driven LOST_AFTER_M without a pose, and "none of these" has a
# greater weight than LOST, the search radius grows by the share WIDENS_PER_M per metre, up to WIDEST times.
LOST, LOST_AFTER_M, WIDENS_PER_M, WIDEST = 0.5, 20.0, 0.05, 3.0


@dataclass(frozen=True)
class SearchConfig:
    """What a user may tune about the search."""

    gnss_radius_sigmas: float = 3.0
    gnss_min_radius_m: float = 15.0
    gnss_max_radius_m: float = 200.0
    gnss_max_age_sec: float = 10.0
    gnss_drift_m: float = 3.0
    course_window_sec: float = 10.0
    course_min_baseline_m: float = 8.0
    max_speed_mps: float = 15.0
    position_drift_ratio: float = 0.03
    min_yaw_sigma_rad: float = float(np.radians(3.0))


def gnss_disc(sensors: Sensors, stamp_sec: float, config: SearchConfig) -> Prior | None:
    """base_link at `stamp_sec` from the newest GNSS position before it; None where that is too old.

    The antenna's position is moved on by odometry, turned by the heading of the course driven; without a heading, the
    disc grows by the distance that the robot may have moved.
    """
    recent = sensors.gnss.between(stamp_sec - config.gnss_max_age_sec, stamp_sec)
    if not recent:
        return None
    gnss_sec, sample = recent[-1]
    radius_m = max(config.gnss_min_radius_m, config.gnss_radius_sigmas * sample.sigma_m)
    motion = sensors.odometry.motion(gnss_sec, stamp_sec)
    heading = _course(sensors, stamp_sec, config)
    now = sensors.odometry.at(stamp_sec)
    if motion is None or now is None or heading is None:
        elapsed_m = config.max_speed_mps * (stamp_sec - gnss_sec)
        moved_m = elapsed_m if motion is None else motion.travelled_m
        x_m, y_m = sample.antenna_xy_m.tolist()
        return Prior(x_m, y_m, radius_m + moved_m + float(np.hypot(*sample.antenna_in_base_m)))
    yaw_rad = float(heading.yaw_map_odom_rad + now.pose.yaw_rad)
    x_m, y_m = base_position(sample, motion.T_then_now, yaw_rad).tolist()
    radius_m += motion.travelled_m * (config.position_drift_ratio + heading.sigma_rad)
    return Prior(x_m, y_m, radius_m, yaw_rad, max(config.min_yaw_sigma_rad, heading.sigma_rad))


def search_around(
    belief: Belief, disc: Prior | None, unlocalized_m: float, config: SearchConfig
) -> Prior | None:
    """The disc to search; None where nothing is known.

    It lies around a settled leading hypothesis, and is wide enough to hold GNSS's position. Without a settled one it is
    GNSS's disc, widened to hold every hypothesis of some weight. `unlocalized_m` is how far the robot has driven
    without a pose.
    """
    leader = belief.hypotheses[0] if belief.hypotheses else None
    spread_m = SPREAD_SIGMAS * leader.position_sigma_m if leader is not None else 0.0
    # Without odometry the leader's covariance soon grows, until GNSS is the sharper prior.
    sharper = disc is None or spread_m <= disc.radius_m
    if leader is not None and belief.confidence >= SETTLED and sharper:
        pose = leader.pose
        radius_m = max(config.gnss_min_radius_m, spread_m)
        if disc is not None:
            radius_m = max(radius_m, _distance_m(pose, disc))
        yaw_sigma_rad = max(config.min_yaw_sigma_rad, float(np.sqrt(leader.covariance[2, 2])))
        return Prior(pose.x_m, pose.y_m, radius_m, pose.yaw_rad, yaw_sigma_rad)
    live = [item for item in belief.hypotheses if item.log_weight > np.log(NEGLIGIBLE)]
    if disc is None:
        if not live:
            return None
        disc = Prior(live[0].pose.x_m, live[0].pose.y_m, max(config.gnss_min_radius_m, spread_m))
    lost_m = max(0.0, unlocalized_m - LOST_AFTER_M) if belief.log_none > np.log(LOST) else 0.0
    widened = disc.radius_m * min(WIDEST, 1 + WIDENS_PER_M * lost_m)
    reach_m = max((_distance_m(item.pose, disc) for item in live), default=0.0)
    return replace(disc, radius_m=max(widened, reach_m))


def weighed_by_gnss(belief: Belief, disc: Prior | None, config: SearchConfig) -> Belief:
    """The belief with each hypothesis weighed by GNSS's `disc` at its current position; unchanged without GNSS."""
    if disc is None or not belief.hypotheses:
        return belief
    residual_m = np.array([_distance_m(hypothesis.pose, disc) for hypothesis in belief.hypotheses])
    sigma_m = disc.radius_m / config.gnss_radius_sigmas
    return belief.reweighted(gnss_log_weight(residual_m, sigma_m, disc.radius_m).tolist())


def _course(sensors: Sensors, stamp_sec: float, config: SearchConfig) -> Heading | None:
    samples = sensors.gnss.between(stamp_sec - config.course_window_sec, stamp_sec)
    return heading_from_course(samples, sensors.odometry, config.gnss_drift_m, config.course_min_baseline_m)


def _distance_m(pose: Pose2, disc: Prior) -> float:
    return float(np.hypot(pose.x_m - disc.x_m, pose.y_m - disc.y_m))
