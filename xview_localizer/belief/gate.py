"""The gate: the one place that decides whether a pose is published, by the hypotheses after an image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xview_localizer.belief.fix import Fix, Rival
from xview_localizer.belief.hypotheses import Belief, Hypothesis, position_sigma_m
from xview_localizer.modes import Modes
from xview_localizer.rejection import Reason, Rejection

# A second place with a lower probability is not named in a reason.
RIVAL_PROBABILITY = 0.02
# A second place whose heading differs by more is described by that turn, and not by its direction.
TURNED_RAD = float(np.radians(20.0))


@dataclass(frozen=True)
class GateConfig:
    """What a pose has to reach to be published; the first one of a drive `first_min_confidence` as well.

    All later poses build on the first one, so a wrong first pose costs most.
    """

    min_confidence: float = 0.98
    first_min_confidence: float = 0.995
    max_position_sigma_m: float = 3.0


# The gate of a single image. No later image can decide between places, and a wrong pose is not carried on to others.
SINGLE_IMAGE_GATE = GateConfig(min_confidence=0.96)


def decide(modes: Modes, belief: Belief, config: GateConfig, first: bool = False) -> Fix:
    """The answer for an image: the leading hypothesis's mode, accepted or with the reason why not.

    `first` where no earlier pose supports this one: the first of a drive, after the robot was lost, or without
    odometry.

    The pose and covariance are those of the mode, which the image gave, not of the hypothesis, which holds odometry and
    earlier images already: a filter that fuses both would count these twice.
    """
    nothing_found = Fix(
        stamp_sec=modes.stamp_sec,
        score_per_cell=modes.score_per_cell,
        inlier_ratio=modes.inlier_ratio,
        inliers=modes.inliers,
        rejection=modes.rejection,
        depth_source=modes.depth_source,
        timings_ms=modes.timings_ms,
    )
    if modes.rejection is not None:
        return nothing_found
    leader = belief.hypotheses[0] if belief.hypotheses else None
    shown = modes.modes[leader.mode if leader is not None and leader.mode is not None else 0]
    covariance = modes.covariance_in_map(shown)
    return replace(
        nothing_found,
        x_m=shown.pose.x_m,
        y_m=shown.pose.y_m,
        yaw_rad=shown.pose.yaw_rad,
        scale=shown.scale,
        covariance=covariance,
        confidence=belief.confidence,
        rejection=_objection(leader, covariance, belief, config, first),
        rivals=tuple(Rival(item.pose, float(np.exp(item.log_weight))) for item in belief.hypotheses[1:]),
    )


def _objection(
    leader: Hypothesis | None, covariance: np.ndarray, belief: Belief, config: GateConfig, first: bool
) -> Rejection | None:
    """The reason against the leading hypothesis's mode, whose covariance is given; None where it is accepted."""
    confidence, limit = belief.confidence, config.min_confidence
    if first:
        limit = max(limit, config.first_min_confidence)
    if leader is None or confidence < limit:
        return _doubt(belief, confidence, limit)
    if leader.mode is None:
        return Rejection.of(Reason.IMAGE_DISAGREES)
    sigma_m = position_sigma_m(covariance)
    if sigma_m > config.max_position_sigma_m:
        return Rejection.of(Reason.TOO_UNCERTAIN, sigma_m=sigma_m, limit_m=config.max_position_sigma_m)
    return None


def _doubt(belief: Belief, confidence: float, limit: float) -> Rejection:
    """The rejection where the leader has too little weight: the rest lies with another place, or with none."""
    second = belief.hypotheses[1] if len(belief.hypotheses) > 1 else None
    if second is None or second.log_weight < max(np.log(RIVAL_PROBABILITY), belief.log_none):
        return Rejection.of(Reason.NO_PLACE_FITS, confidence=confidence, limit=limit)
    offset = belief.hypotheses[0].pose.inverse() @ second.pose
    distance_m = float(np.hypot(offset.x_m, offset.y_m))
    if abs(offset.yaw_rad) > TURNED_RAD:
        direction = f"and turned by {abs(np.degrees(offset.yaw_rad)):.0f}°"
    else:
        # Robots drive along streets, so that the heading is the street's direction.
        direction = "along the street" if abs(offset.x_m) >= abs(offset.y_m) else "across the street"
    return Rejection.of(
        Reason.TWO_PLACES_FIT, distance_m=distance_m, direction=direction, confidence=confidence, limit=limit
    )
