"""Where the robot really was: a topic of the recording, or a TUM trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xview_localizer import messages
from xview_localizer.bag import REFERENCE_ROLES, ROLES, TF_TOPICS, BagError, BagReader, Drive
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning.smoothing import Anchor
from xview_localizer.mountings import MountingError, Mountings
from xview_localizer.settings import Settings
from xview_localizer.tracking.tracker import DriveTracker
from xview_localizer.tum import read_tum

# Of a reference that comes without covariance: RTK, or a survey.
DEFAULT_SIGMA_M, SIGMA_RAD = 0.05, float(np.radians(0.5))
# Receivers of 1 Hz are interpolated, longer gaps are not.
MAX_GAP_SEC = 1.2


class AdaptError(ValueError):
    """Drives cannot be learnt from; the message names what is wrong with which, and what to do."""


@dataclass(frozen=True)
class Reference:
    """Anchors by stamp: poses of base_link, or positions of the GNSS antenna where the topic is NavSatFix.

    `stamp_sec` [N] increasing, `xy_m` [N, 2] in `map`, `sigma_m` [N]; `yaw_rad` [N] of poses, None for positions.
    """

    name: str
    stamp_sec: np.ndarray
    xy_m: np.ndarray
    sigma_m: np.ndarray
    yaw_rad: np.ndarray | None
    antenna_in_base_m: np.ndarray  # [N, 2], 0 of poses

    def anchor_at(self, stamp_sec: float, tracker: DriveTracker) -> Anchor | None:
        """What the reference knows at an image's stamp; None in its gaps."""
        after = int(np.searchsorted(self.stamp_sec, stamp_sec))
        if self.yaw_rad is None:
            return self._antenna_before(after, stamp_sec, tracker)
        if after < len(self.stamp_sec) and self.stamp_sec[after] == stamp_sec:
            return self._pose_anchor(after, after, 0.0)
        if not 0 < after < len(self.stamp_sec):
            return None
        gap_sec = self.stamp_sec[after] - self.stamp_sec[after - 1]
        if gap_sec > MAX_GAP_SEC:
            return None
        return self._pose_anchor(after - 1, after, (stamp_sec - self.stamp_sec[after - 1]) / gap_sec)

    def _antenna_before(self, after: int, stamp_sec: float, tracker: DriveTracker) -> Anchor | None:
        """The newest position before the image, and where in base_link of now the antenna was then."""
        exact = after < len(self.stamp_sec) and self.stamp_sec[after] == stamp_sec
        number = after if exact else after - 1
        if number < 0 or stamp_sec - self.stamp_sec[number] > MAX_GAP_SEC:
            return None
        motion = tracker.odometry_motion(float(self.stamp_sec[number]), stamp_sec)
        if motion is None:
            return None
        point_m = motion.T_then_now.inverse().transform(self.antenna_in_base_m[number])
        return Anchor.without_yaw(self.xy_m[number], float(self.sigma_m[number]), point_m)

    def _pose_anchor(self, before: int, after: int, share: float) -> Anchor:
        x_m, y_m = (1 - share) * self.xy_m[before] + share * self.xy_m[after]
        yaw_rad = (1 - share) * self.yaw_rad[before] + share * self.yaw_rad[after]
        sigma_m = max(self.sigma_m[before], self.sigma_m[after])
        covariance = np.diag([sigma_m**2, sigma_m**2, SIGMA_RAD**2])
        return Anchor(Pose2(float(x_m), float(y_m), float(yaw_rad)), covariance)


def read_reference(name: str, folder: Path, drive: Drive, settings: Settings) -> Reference:
    """The reference `name` of the drive in `folder`: a TUM file (also one beside drive.yaml), or else a topic.

    Raises AdaptError, BagError.
    """
    for path in (Path(name), folder / name):
        if path.is_file():
            rows, kind = _tum_rows(path), "pose"
            break
    else:
        if not name.startswith("/"):
            raise AdaptError(f"reference {name} is neither a TUM file, here or in {folder}, nor a topic (/…)")
        rows, kind = _topic_rows(name, drive, settings)
    if not rows:
        raise AdaptError(f"reference {name} of {drive.bag} holds no usable pose; give another one")
    stamp_sec, x_m, y_m, yaw_rad, sigma_m, *antenna_m = np.array(sorted(rows)).T
    yaw_rad = np.unwrap(yaw_rad) if kind == "pose" else None
    return Reference(
        name, stamp_sec, np.column_stack([x_m, y_m]), sigma_m, yaw_rad, np.column_stack(antenna_m)
    )


def _tum_rows(path: Path) -> list[tuple[float, ...]]:
    try:
        tum = read_tum(path)
    except (ValueError, IndexError) as error:
        raise AdaptError(
            f"{path} is no TUM trajectory (stamp x y z qx qy qz qw a line): {error}; correct it, or give a topic"
        ) from error
    columns = (tum[key] for key in ("stamp_sec", "x_m", "y_m", "yaw_rad"))
    return [(*map(float, row), DEFAULT_SIGMA_M, 0.0, 0.0) for row in zip(*columns, strict=True)]


def _topic_rows(topic: str, drive: Drive, settings: Settings) -> tuple[list[tuple[float, ...]], str]:
    """Rows of stamp, x, y, yaw, sigma and lever arm, and whether they are a "pose" or a "position" of the antenna."""
    topics = {role: drive.topics.get(role, default) for role, default in TF_TOPICS.items()}
    roles = REFERENCE_ROLES | {role: ROLES[role] for role in TF_TOPICS}
    try:
        bag = BagReader(drive.bag, {"reference": topic, **topics}, roles, ["reference"])
    except BagError as error:
        raise AdaptError(f"reference {topic}: {error}") from error
    rows, mountings = [], Mountings(settings.mountings)
    with bag:
        positions = bag.types["reference"].endswith("NavSatFix")
        for recorded in bag.messages():
            message = bag.decode(recorded)
            try:
                if recorded.role in TF_TOPICS:
                    mountings.on_transforms(message, static=recorded.role == "tf_static")
                    continue
                row = _position_row(message, settings, mountings) if positions else _pose_row(message)
            except (messages.MessageError, MountingError):
                continue
            rows.append((messages.stamp_sec(message), *row))
    return rows, "position" if positions else "pose"


def _pose_row(message) -> tuple[float, ...]:
    pose, sigma_m = messages.pose_from_reference(message, DEFAULT_SIGMA_M)
    return pose.x_m, pose.y_m, pose.yaw_rad, sigma_m, 0.0, 0.0


def _position_row(message, settings: Settings, mountings: Mountings) -> tuple[float, ...]:
    fix = messages.position_from_nav_sat_fix(message, DEFAULT_SIGMA_M)
    x_m, y_m = settings.frame.enu_from_geodetic(fix.latitude_deg, fix.longitude_deg, fix.altitude_m)[:2]
    lever_m = mountings.antenna_in_base_m(message.header.frame_id, messages.stamp_sec(message))[:2]
    return float(x_m), float(y_m), 0.0, fix.sigma_m, *map(float, lever_m)
