"""Frames of drives as data sets in the `pairs` format: labels from a reference or the tracker, and crops of the map."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from xview_localizer.aerial.source import AerialImage, MapSource, MapSourceError
from xview_localizer.atomic import write_whole
from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.pose import Pose2
from xview_localizer.image_file import write_image
from xview_localizer.imaging import NO_DATA_RGB
from xview_localizer.learning.drive_frames import JPEG_QUALITY, Frame
from xview_localizer.learning.smoothing import SmoothedPose, smooth_path

# A label must be clearly more accurate than the poses that the network is to give.
MAX_LABEL_SIGMA_M = 1.0
# Images within CROP_EXTENT_M of road share one aerial image, which extends CROP_REACH_M beyond their priors.
CROP_EXTENT_M, CROP_REACH_M = 60.0, 25.0
# An edge of a crop that has a smaller share of imagery is cut off, TRIM_PX pixels at a time.
LEAST_COVER, TRIM_PX = 0.99, 4


@dataclass(frozen=True)
class PosedFrame:
    """A frame of the drive in folder `drive` with base_link's pose in `map`."""

    drive: Path
    frame: Frame
    label: SmoothedPose

    @property
    def xy_m(self) -> np.ndarray:
        return np.array([self.label.pose.x_m, self.label.pose.y_m])


def posed_frames(
    folder: Path, frames: Sequence[Frame], is_reference: bool, drift: OdometryDrift, independence_m: float
) -> list[PosedFrame]:
    """Frames with known poses.

    Full poses of a reference are taken unchanged; positions of a reference, and the tracker's poses, are smoothed with
    odometry. The tracker's errors are correlated over the ground that images share, so K images within
    `independence_m` count as one.
    """
    posed: list[PosedFrame] = []
    for path, group in groupby(frames, lambda frame: frame.odometry and frame.odometry.path):
        run = list(group)
        anchors = [frame.anchor for frame in run]
        if is_reference and any(anchor is not None and anchor.has_yaw for anchor in anchors):
            labels = [a and SmoothedPose(a.pose, float(np.sqrt(a.covariance[0, 0]))) for a in anchors]
        elif path is None or len(run) < 2:
            continue
        else:
            odometry = [frame.odometry.pose for frame in run]
            xy_m = np.array([(pose.x_m, pose.y_m) for pose in odometry])
            step_m = max(1e-3, float(np.linalg.norm(np.diff(xy_m, axis=0), axis=1).mean()))
            repeats = 1.0 if is_reference else max(1.0, independence_m / step_m)
            anchors = [a and replace(a, covariance=a.covariance * repeats) for a in anchors]
            labels = smooth_path(odometry, anchors, drift)
        posed += [
            PosedFrame(folder, frame, label)
            for frame, label in zip(run, labels, strict=True)
            if label is not None and label.sigma_m <= MAX_LABEL_SIGMA_M and frame.prior is not None
        ]
    return posed


def write_pairs(
    out: Path,
    posed: Sequence[PosedFrame],
    map_source: MapSource,
    metres_per_pixel: float,
    report: Callable[[str], None] = print,
) -> list[PosedFrame]:
    """Write `out`/pairs.jsonl with aerial crops; returns the frames that were written, which are those on the map.

    `report` is told where the map could not be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    lines, written = [], []
    for number, group in enumerate(_groups(posed)):
        aerial = _crop(group, map_source, metres_per_pixel, report)
        if aerial is None:
            continue
        name = f"aerial_{number:04d}.jpg"
        write_image(out / name, aerial.image, JPEG_QUALITY)
        for item in group:
            if aerial.grid.bounds.contains(item.xy_m):
                lines.append(json.dumps(_entry(item, name, aerial)))
                written.append(item)
    write_whole(out / "pairs.jsonl", "".join(line + "\n" for line in lines))
    return written


def _groups(posed: Sequence[PosedFrame]) -> list[list[PosedFrame]]:
    """Runs of consecutive frames of one drive that are within CROP_EXTENT_M of the run's first."""
    groups: list[list[PosedFrame]] = []
    for item in posed:
        first = groups[-1][0] if groups else None
        if first is None or item.drive != first.drive or np.hypot(*(item.xy_m - first.xy_m)) > CROP_EXTENT_M:
            groups.append([])
        groups[-1].append(item)
    return groups


def _crop(
    group: Sequence[PosedFrame], map_source: MapSource, metres_per_pixel: float, report: Callable[[str], None]
) -> AerialImage | None:
    """The map around the group's priors and poses, without empty edges; None where it has no imagery there."""
    discs = [(item.frame.prior.xy_m, item.frame.prior.radius_m) for item in group]
    discs += [(item.xy_m, 0.0) for item in group]
    low = np.min([xy_m - radius_m for xy_m, radius_m in discs], axis=0) - CROP_REACH_M
    high = np.max([xy_m + radius_m for xy_m, radius_m in discs], axis=0) + CROP_REACH_M
    try:
        aerial = map_source.read(Bounds(*low.tolist(), *high.tolist()), metres_per_pixel)
    except MapSourceError as error:
        report(f"{len(group)} images are left out: {error}")
        return None
    if aerial.problems:
        report(f"parts of the map of {len(group)} images are missing: {aerial.problems[0]}")
    return _trimmed(aerial)


def _trimmed(aerial: AerialImage) -> AerialImage | None:
    """The image without edges that lack imagery; None where nothing is left.

    Holes inside are filled with grey, because the pairs format has no mask of validity.
    """
    top, left = 0, 0
    bottom, right = aerial.valid.shape
    while bottom - top > TRIM_PX and right - left > TRIM_PX:
        valid = aerial.valid[top:bottom, left:right]
        cover = [valid[0].mean(), valid[-1].mean(), valid[:, 0].mean(), valid[:, -1].mean()]
        worst = int(np.argmin(cover))
        if cover[worst] >= LEAST_COVER:
            image = np.where(valid[..., None], aerial.image[top:bottom, left:right], NO_DATA_RGB).astype(
                np.uint8
            )
            west_m, north_m = aerial.grid.xy_from_uv(np.array([left, top])).tolist()
            grid = replace(
                aerial.grid, west_m=west_m, north_m=north_m, rows=bottom - top, columns=right - left
            )
            return AerialImage(image, valid, grid)
        top, bottom = top + TRIM_PX * (worst == 0), bottom - TRIM_PX * (worst == 1)
        left, right = left + TRIM_PX * (worst == 2), right - TRIM_PX * (worst == 3)
    return None


def _entry(item: PosedFrame, aerial_name: str, aerial: AerialImage) -> dict:
    """The entry of pairs.jsonl: the camera's poses relative to the middle of the aerial image."""
    frame, bounds = item.frame, aerial.grid.bounds
    middle_m = np.array([bounds.west_m + bounds.width_m / 2, bounds.south_m + bounds.height_m / 2])
    camera_in_level, prior = frame.camera_in_level, frame.prior
    x_m, y_m = prior.xy_m - middle_m
    # The prior is base_link's; its heading may be unknown, so the camera's disc is larger by the lever arm.
    radius_m = prior.radius_m + float(np.hypot(camera_in_level.x_m, camera_in_level.y_m))
    entry = {
        "id": frame.id,
        "stamp": frame.stamp_sec,
        "image": str(Path("..") / ".." / "frames" / item.drive.name / frame.image),
        "camera": frame.camera,
        "aerial": {"image": aerial_name, "metres_per_pixel": aerial.grid.spacing_m},
        "prior": {"x": float(x_m), "y": float(y_m), "sigma_m": radius_m},
        "truth": _pose_entry(item.label.pose @ camera_in_level, middle_m)
        | {"tolerance_m": item.label.sigma_m},
    }
    if prior.yaw_rad is not None:
        entry["prior"] |= {
            "yaw_deg": float(np.degrees(prior.yaw_rad + camera_in_level.yaw_rad)),
            "yaw_sigma_deg": float(np.degrees(prior.yaw_sigma_rad)),
        }
    if frame.odometry is not None:
        entry["sequence"] = f"{item.drive.name}_{frame.odometry.path}"
        entry["odom"] = _pose_entry(frame.odometry.pose @ camera_in_level, np.zeros(2))
    return entry


def _pose_entry(pose: Pose2, middle_m: np.ndarray) -> dict[str, float]:
    return {
        "x": float(pose.x_m - middle_m[0]),
        "y": float(pose.y_m - middle_m[1]),
        "yaw_deg": float(np.degrees(pose.yaw_rad)),
    }
