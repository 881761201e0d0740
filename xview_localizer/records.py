"""The record of one image: its answer in flat fields, which the node publishes, replays collect and reports read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from xview_localizer.rejection import Rejection
from xview_localizer.strict_json import strict_json
from xview_localizer.tracking.tracked_fix import TrackedFix

NAN = float("nan")


@dataclass(frozen=True)
class ImageRecord:
    """The answer for one image. Numbers are NaN where there is none.

    `x_m`, `y_m` (`map`) and `yaw_rad` are the best pose of base_link found, accepted or not, and `covariance` is that
    of (x, y, yaw), row-major. `prior_…` is the disc that was searched. `estimate_…` is the pose of the trajectory: the
    accepted one, else the last accepted one carried on by odometry. `depth_source` is "network", or "flat ground" with
    the reason why the network's depth was rejected; "on a slope of 5°" follows where the ground leans with the robot.
    """

    stamp_sec: float
    accepted: bool
    reason: str
    reason_code: str = ""  # the name of a Reason (rejection.py); empty where accepted
    x_m: float = NAN
    y_m: float = NAN
    yaw_rad: float = NAN
    scale: float = NAN
    covariance: tuple[float, ...] = (NAN,) * 9
    confidence: float = 0.0
    score_per_cell: float = 0.0
    inlier_ratio: float = 0.0
    rivals: tuple[tuple[float, float, float, float], ...] = ()  # x, y (m), yaw (rad), probability
    depth_source: str = ""
    keyframes: int = 0
    prior_x_m: float = NAN
    prior_y_m: float = NAN
    prior_radius_m: float = NAN
    estimate_x_m: float = NAN
    estimate_y_m: float = NAN
    estimate_yaw_rad: float = NAN
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, tracked: TrackedFix) -> ImageRecord:
        """The record of an image that was localized."""
        fix, prior = tracked.fix, tracked.prior
        estimate = tracked.estimate.pose if tracked.estimate else None
        return cls(
            stamp_sec=fix.stamp_sec,
            accepted=fix.accepted,
            reason=fix.reason,
            reason_code=fix.rejection.reason.name if fix.rejection else "",
            x_m=float(fix.x_m),
            y_m=float(fix.y_m),
            yaw_rad=float(fix.yaw_rad),
            scale=float(fix.scale),
            covariance=tuple(np.ravel(fix.covariance).tolist()),
            confidence=float(fix.confidence),
            score_per_cell=float(fix.score_per_cell),
            inlier_ratio=float(fix.inlier_ratio),
            rivals=tuple(
                (rival.pose.x_m, rival.pose.y_m, rival.pose.yaw_rad, rival.probability)
                for rival in fix.rivals
            ),
            depth_source=fix.depth_source,
            keyframes=tracked.keyframes,
            prior_x_m=float(prior.x_m) if prior else NAN,
            prior_y_m=float(prior.y_m) if prior else NAN,
            prior_radius_m=float(prior.radius_m) if prior else NAN,
            estimate_x_m=estimate.x_m if estimate else NAN,
            estimate_y_m=estimate.y_m if estimate else NAN,
            estimate_yaw_rad=estimate.yaw_rad if estimate else NAN,
            timings_ms={stage: float(value) for stage, value in fix.timings_ms.items()},
        )

    @classmethod
    def rejected(cls, stamp_sec: float, rejection: Rejection) -> ImageRecord:
        """The record of an image that was rejected before the localizer received it."""
        return cls(stamp_sec, accepted=False, reason=rejection.text, reason_code=rejection.reason.name)

    def to_texts(self) -> dict[str, str]:
        """Each field as JSON text; numbers keep all their digits, NaN is null."""
        return {name: strict_json(value) for name, value in asdict(self).items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> ImageRecord:
        """Inverse of `to_texts`. Raises ValueError or KeyError where a field is missing or no JSON."""
        values = {item.name: _with_nan(json.loads(texts[item.name])) for item in fields(cls)}
        rivals = tuple(tuple(rival) for rival in values["rivals"])
        return cls(**{**values, "covariance": tuple(values["covariance"]), "rivals": rivals})


def _with_nan(value: object) -> object:
    """The value with NaN in place of null, which stands for numbers without a value."""
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return NAN if value is None else value


def write_records(path: Path, records: Iterable[ImageRecord]) -> None:
    """One JSON object a line."""
    path.write_text("".join(strict_json(asdict(record)) + "\n" for record in records))
