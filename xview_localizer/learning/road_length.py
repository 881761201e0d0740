"""How long the road of drives is at most, found out before their images are read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xview_localizer.evaluation.reference import Reference
from xview_localizer.inputs import messages
from xview_localizer.inputs.message_types import ROLES
from xview_localizer.learning.reference import AdaptError
from xview_localizer.recordings.bag import BagReader, Drive

# A shorter road has no room for the three parts and the gaps between them.
MIN_ROAD_M = 150.0


def require_road(drives: Sequence[Drive], references: Sequence[Reference | None]) -> None:
    """Raise AdaptError where the drives together are too short, by their references or else by odometry."""
    road_m, found = 0.0, []
    for drive, reference in zip(drives, references, strict=True):
        source = reference.name if reference else drive.topics.get("odom", "odom, which is missing")
        path_m = _path_m(reference.xy_m if reference else _odometry_xy_m(drive))
        road_m += path_m
        found.append(f"{drive.bag} has {path_m:.0f} m by {source}")
    if road_m < MIN_ROAD_M:
        raise AdaptError(
            f"at least {MIN_ROAD_M:.0f} m of road are needed, and {', '.join(found)}; record a longer drive, or give "
            "several of one site"
        )


def _path_m(xy_m: np.ndarray) -> float:
    """Length in metres of the path through positions [N, 2]; noise and jumps count too, so the road is no longer."""
    return float(np.linalg.norm(np.diff(xy_m, axis=0), axis=1).sum())


def _odometry_xy_m(drive: Drive) -> np.ndarray:
    """Positions [N, 2] of a drive's odometry, none without it. Raises BagError."""
    topics = {"odom": drive.topics.get("odom", "")}
    with BagReader(drive.bag, topics, {"odom": ROLES["odom"]}, required=()) as bag:
        odometry = [messages.odometry_of(bag.decode(recorded)) for recorded in bag.messages()]
    positions = [message.pose.pose.position for message in odometry]
    return np.array([(position.x, position.y) for position in positions]).reshape(-1, 2)
