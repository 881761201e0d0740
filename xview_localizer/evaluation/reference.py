"""Reference poses or positions of a drive: from a topic of the recording, or a TUM trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs import messages
from xview_localizer.inputs.message_types import ROLES
from xview_localizer.inputs.mountings import MountingError, Mountings
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import REFERENCE_ROLES, ROLES_AND_TF, TF_ROLES, BagError, BagReader, Drive
from xview_localizer.recordings.tum import read_tum
from xview_localizer.tracking.gnss import GnssSample, base_position, heading_from_course
from xview_localizer.tracking.motion import OdometryBuffer, SampleError

TRUTH_FILE = "truth.tum"
# Standard deviation of a reference without covariance: that of RTK or a survey.
DEFAULT_SIGMA_M = 0.05
# Greatest gap that is interpolated: the period of a 1 Hz receiver, with some jitter.
MAX_GAP_SEC = 1.2
# Stamps that differ by less are taken for equal, since files round them.
SAME_STAMP_SEC = 1e-4
# The positions of an antenna give base_link's yaw where odometry is fitted to them: over this time on either side of an
# image, with this drift of the positions, and this distance driven at least.
COURSE_WINDOW_SEC, COURSE_DRIFT_M, COURSE_BASELINE_M = 10.0, 0.1, 3.0


@dataclass(frozen=True)
class Reference:
    """Poses of base_link by stamp, or positions of the GNSS antenna where the topic is NavSatFix.

    `stamp_sec` [N] increasing, `xy_m` [N, 2] in `map`, `sigma_m` [N]; `yaw_rad` [N] of poses, None for positions.
    `odometry` is that of the whole drive, for positions.
    """

    name: str
    stamp_sec: np.ndarray
    xy_m: np.ndarray
    sigma_m: np.ndarray
    yaw_rad: np.ndarray | None
    antenna_in_base_m: np.ndarray  # [N, 2], 0 of poses
    odometry: OdometryBuffer | None = None

    def pose_at(self, stamp_sec: float) -> tuple[Pose2, float] | None:
        """The interpolated pose of base_link and its standard deviation; None in gaps, and for positions."""
        if self.yaw_rad is None:
            return None
        after = int(np.searchsorted(self.stamp_sec, stamp_sec))
        for number in (after - 1, after):
            if 0 <= number < len(self.stamp_sec) and abs(self.stamp_sec[number] - stamp_sec) < SAME_STAMP_SEC:
                return self._pose_between(self.yaw_rad, number, number, 0.0)
        if not 0 < after < len(self.stamp_sec):
            return None
        gap_sec = self.stamp_sec[after] - self.stamp_sec[after - 1]
        if gap_sec > MAX_GAP_SEC:
            return None
        share = (stamp_sec - self.stamp_sec[after - 1]) / gap_sec
        return self._pose_between(self.yaw_rad, after - 1, after, share)

    def position_before(self, stamp_sec: float) -> int | None:
        """Index of the newest entry up to `stamp_sec`; None where it is older than MAX_GAP_SEC."""
        number = int(np.searchsorted(self.stamp_sec, stamp_sec + SAME_STAMP_SEC)) - 1
        return number if number >= 0 and stamp_sec - self.stamp_sec[number] <= MAX_GAP_SEC else None

    def truth_at(self, stamp_sec: float) -> Pose2 | None:
        """The true pose of base_link; None in gaps and, for positions, where odometry gives no heading."""
        if self.yaw_rad is not None:
            found = self.pose_at(stamp_sec)
            return found[0] if found else None
        if self.odometry is None:
            return None
        number, now = self.position_before(stamp_sec), self.odometry.at(stamp_sec)
        if number is None or now is None:
            return None
        motion = self.odometry.motion(float(self.stamp_sec[number]), stamp_sec)
        near = np.flatnonzero(np.abs(self.stamp_sec - stamp_sec) <= COURSE_WINDOW_SEC)
        samples = [(float(self.stamp_sec[i]), self._sample(int(i))) for i in near]
        samples = [item for item in samples if (at := self.odometry.at(item[0])) and at.path == now.path]
        heading = heading_from_course(samples, self.odometry, COURSE_DRIFT_M, COURSE_BASELINE_M)
        if motion is None or heading is None:
            return None
        yaw_rad = heading.yaw_map_odom_rad + now.pose.yaw_rad
        xy_m = base_position(self._sample(number), motion.T_then_now, yaw_rad)
        return Pose2(float(xy_m[0]), float(xy_m[1]), float(yaw_rad))

    def _sample(self, number: int) -> GnssSample:
        return GnssSample(self.xy_m[number], float(self.sigma_m[number]), self.antenna_in_base_m[number])

    def _pose_between(
        self, yaw_rad: np.ndarray, before: int, after: int, share: float
    ) -> tuple[Pose2, float]:
        x_m, y_m = (1 - share) * self.xy_m[before] + share * self.xy_m[after]
        yaw = (1 - share) * yaw_rad[before] + share * yaw_rad[after]
        sigma_m = float(max(self.sigma_m[before], self.sigma_m[after]))
        return Pose2(float(x_m), float(y_m), float(yaw)), sigma_m


def read_reference(name: str | None, drive: Drive, settings: Settings) -> Reference:
    """The reference `name` of a drive: a TUM file (also in the drive's folder) or a topic; None means its truth.tum.

    Raises BagError where there is none.
    """
    if name is None and not (drive.folder / TRUTH_FILE).is_file():
        raise BagError(
            _choices(drive, f"{drive.folder / TRUTH_FILE} is missing, and there is nothing else to judge by")
        )
    name = TRUTH_FILE if name is None else name
    path = reference_file(name, drive)
    if path is not None:
        return _reference(name, drive, _tum_rows(path), None)
    if not name.startswith("/"):
        raise BagError(f"reference {name} is neither a TUM file, here or in {drive.folder}, nor a topic (/…)")
    rows, odometry = _topic_rows(name, drive, settings)
    return _reference(name, drive, rows, odometry)


def reference_file(name: str, drive: Drive) -> Path | None:
    """The TUM file that `name` is, here or in the drive's folder; None where it is none, but a topic."""
    return next((path for path in (Path(name), drive.folder / name) if path.is_file()), None)


def _reference(
    name: str, drive: Drive, rows: list[tuple[float, ...]], odometry: OdometryBuffer | None
) -> Reference:
    if not rows:
        raise BagError(f"reference {name} of {drive.bag} holds no usable pose; give another one")
    stamp_sec, x_m, y_m, yaw_rad, sigma_m, *antenna_m = np.array(sorted(rows)).T
    yaw_rad = np.unwrap(yaw_rad) if odometry is None else None
    xy_m, antenna_m = np.column_stack([x_m, y_m]), np.column_stack(antenna_m)
    return Reference(name, stamp_sec, xy_m, sigma_m, yaw_rad, antenna_m, odometry)


def _choices(drive: Drive, problem: str) -> str:
    """The problem, and the options that name a reference."""
    used = {topic for role, topic in drive.topics.items() if role in ROLES}
    with BagReader(drive.bag, drive.topics, required=()) as bag:
        topics = [topic for topic, kind in bag.recorded_topics if kind in REFERENCE_ROLES["reference"]]
    lines = [f"--reference {topic}" for topic in topics if topic not in used]
    tum = "--reference FILE.tum (stamp x y z qx qy qz qw of base_link in map)"
    return "\n  ".join([f"{problem}; add one of", tum, *lines])


def _tum_rows(path: Path) -> list[tuple[float, ...]]:
    try:
        tum = read_tum(path)
    except ValueError as error:
        raise BagError(
            f"{path} is no TUM trajectory (stamp x y z qx qy qz qw a line): {error}; correct it, or give a topic"
        ) from error
    columns = (tum[key] for key in ("stamp_sec", "x_m", "y_m", "yaw_rad"))
    return [(*map(float, row), DEFAULT_SIGMA_M, 0.0, 0.0) for row in zip(*columns, strict=True)]


def _topic_rows(
    topic: str, drive: Drive, settings: Settings
) -> tuple[list[tuple[float, ...]], OdometryBuffer | None]:
    """Rows of stamp, x, y, yaw, sigma and lever arm, and for positions of the antenna the drive's odometry."""
    helpers = {role: drive.topics.get(role, "") for role in ("odom", *TF_ROLES)}
    # Odometry may be the reference itself.
    roles = {role: ROLES_AND_TF[role] for role in helpers} | REFERENCE_ROLES
    tracker = settings.tracker
    odometry = OdometryBuffer(np.inf, tracker.odometry_max_gap_sec, tracker.search.max_speed_mps)
    rows, mountings = [], Mountings(settings.mountings)
    with BagReader(drive.bag, {"reference": topic, **helpers}, roles, required=()) as bag:
        if "reference" not in bag.types:
            raise BagError(_choices(drive, f"{drive.bag} has no topic {topic} of poses or positions"))
        positions = bag.types["reference"].endswith("NavSatFix")
        for recorded in bag.messages():
            message = bag.decode(recorded)
            try:
                if recorded.role in TF_ROLES:
                    mountings.on_transforms(message, static=recorded.role == "tf_static")
                elif recorded.role == "odom":
                    message = messages.odometry_of(message)
                    stamp_sec = messages.stamp_sec(message)
                    T_child_base = mountings.T_child_base(message.child_frame_id, stamp_sec)
                    odometry.add_pose(stamp_sec, messages.pose_from_odometry(message, T_child_base))
                elif positions:
                    rows.append(_position_row(message, settings, mountings))
                else:
                    rows.append(_pose_row(message))
            except (messages.MessageError, MountingError, SampleError):
                continue
    return rows, odometry if positions else None


def _pose_row(message: Any) -> tuple[float, ...]:
    pose, sigma_m = messages.pose_from_reference(message, DEFAULT_SIGMA_M)
    return messages.stamp_sec(message), pose.x_m, pose.y_m, pose.yaw_rad, sigma_m, 0.0, 0.0


def _position_row(message: Any, settings: Settings, mountings: Mountings) -> tuple[float, ...]:
    sample = antenna_sample(message, settings, mountings)
    (x_m, y_m), lever_m = map(float, sample.antenna_xy_m), map(float, sample.antenna_in_base_m)
    return messages.stamp_sec(message), x_m, y_m, 0.0, sample.sigma_m, *lever_m


def antenna_sample(message: Any, settings: Settings, mountings: Mountings) -> GnssSample:
    """A NavSatFix as a position in `map`. Raises MessageError, MountingError."""
    fix = messages.position_from_nav_sat_fix(message, DEFAULT_SIGMA_M)
    xy_m = settings.frame.enu_from_geodetic(fix.latitude_deg, fix.longitude_deg, fix.altitude_m)[:2]
    return GnssSample(xy_m, fix.sigma_m, mountings.antenna_in_base_m(message.header)[:2])
