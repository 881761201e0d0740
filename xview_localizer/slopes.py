"""Observing an image of a leaning robot twice: with level ground, and with a slope.

Levelling an image by gravity is right where the robot leans on level ground. On a slope the ground leans with the
robot: it is parallel to base_link, and tilted in the levelled image. An IMU cannot tell these cases apart, but the map
can: cells that are lifted onto the wrong ground match far worse (by 10 to 90 in log evidence, for leans of 2° to 8°).
So such an image is observed on both grounds, and the poses found on them are rivals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from xview_localizer.geometry.levelling import lean_rad
from xview_localizer.ground_view import GroundView
from xview_localizer.observation import Observation, PlacedObservation

# A smaller lean may come from springs and mountings. Taking a slope of 2° for level ground costs only 0.2 to 0.3 m.
SLOPE_FROM_RAD = float(np.radians(2.0))


def observed_on_each_ground(observe: Callable[[GroundView], Observation], view: GroundView) -> Observation:
    """What `observe` sees in the view on level ground, with `on_slope` where base_link leans by SLOPE_FROM_RAD."""
    level = observe(view)
    if level.reason or (leaning_rad := lean_rad(view.gravity_base)) < SLOPE_FROM_RAD:
        return level
    slope = observe(replace(view, gravity_base=None))
    if slope.reason:
        return level
    source = f"{slope.depth_source}, on a slope of {np.degrees(leaning_rad):.0f}°"
    timings_ms = {stage: ms + slope.timings_ms.get(stage, 0.0) for stage, ms in level.timings_ms.items()}
    return replace(level, on_slope=replace(slope, depth_source=source), timings_ms=timings_ms)


def on_each_ground(placed: Sequence[PlacedObservation]) -> list[list[PlacedObservation]]:
    """The observations with the last one on level ground, and with it on the slope where there may be one."""
    *earlier, current = placed
    grounds = [False] if current.observation.on_slope is None else [False, True]
    return [
        [*earlier, replace(current, observation=current.observation.on_ground(slope))] for slope in grounds
    ]
