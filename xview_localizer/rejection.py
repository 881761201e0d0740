"""Why an image gave no pose: a reason that code can compare, with its numbers and its text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """Why an image's pose was rejected; the value is the template of its text, with the numbers in braces."""

    template: str

    def __new__(cls, template: str) -> Reason:
        # Members are numbered because Python merges members of equal value, and some templates are equal.
        member = object.__new__(cls)
        member._value_ = len(cls.__members__) + 1
        member.template = template
        return member

    # The image, its camera or the robot's attitude.
    BAD_MESSAGE = "{detail}"
    BAD_IMAGE = "{detail}"
    NO_CAMERA = "{detail}"
    NO_MOUNTING = "{detail}"
    # What the localizer needs beside the image.
    NO_PRIOR = "no GNSS position within {max_age_sec:.0f} s before the image{newest}"
    PRIOR_TOO_WIDE = "search radius {radius_m:.0f} m is above {limit_m:.0f} m"
    STALE_IMAGE = "image stamp {stamp_sec:.3f} is not after the previous one, {previous_sec:.3f}"
    OVERTAKEN = "time jumped back, or the work was given up, while the image was worked on"
    CLOCKS_DISAGREE = "{detail}"
    MAP_UNREADABLE = "map: {detail}"
    NO_IMAGERY = "the map has no imagery around the prior ({x_m:.0f}, {y_m:.0f}) m"
    # The evidence.
    NOTHING_TO_SOLVE = "{detail}"
    NO_PLACE_FITS = (
        "no place within the search fits well enough: confidence {confidence:.3f} is below {limit:g}"
    )
    TWO_PLACES_FIT = (
        "two places fit, {distance_m:.0f} m apart {direction}: confidence {confidence:.3f} is below {limit:g}"
    )
    IMAGE_DISAGREES = "the image does not match the map where the robot is expected; carried on by odometry"
    TOO_UNCERTAIN = "position sigma {sigma_m:.2f} m is above {limit_m:g} m"
    INTERNAL = "internal error: {detail}"


@dataclass(frozen=True)
class Rejection:
    """A reason with the numbers (and words) of its text."""

    reason: Reason
    values: Mapping[str, float | str] = field(default_factory=dict)

    @classmethod
    def of(cls, reason: Reason, **values: float | str) -> Rejection:
        """A rejection whose `values` are those that the reason's template names."""
        return cls(reason, values)

    @property
    def text(self) -> str:
        """The reason as a sentence for people, with its numbers."""
        values = dict(self.values)
        # Values are rounded away from the limit, since "0.99 is below 0.99" would explain nothing.
        for name, rounded, steps in (("confidence", math.floor, 1000), ("sigma_m", math.ceil, 100)):
            value = values.get(name)
            if isinstance(value, float) and math.isfinite(value):
                values[name] = rounded(steps * value) / steps
        return self.reason.template.format(**values)
