"""Training frames of a recorded drive: an image every metre or two, with camera, odometry, prior and pose at its stamp.

The messages are processed as in the node (intake.py), with the node's settings; images are stored as files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from xview_localizer.atomic import write_whole
from xview_localizer.evaluation.reference import Reference
from xview_localizer.geometry.camera import camera_to_dict
from xview_localizer.geometry.levelling import R_BODY_OPTICAL, R_level_base, rpy_from_R_base_body
from xview_localizer.geometry.masked_camera import MaskedCamera
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.image_file import write_image
from xview_localizer.imaging import NO_DATA_RGB
from xview_localizer.inputs import messages
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.moments import CameraImage, Moment
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.learning.reference import AdaptError, anchor_at
from xview_localizer.learning.smoothing import Anchor
from xview_localizer.localizer import Localizer
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.offline import moments_of_drive
from xview_localizer.records import ImageRecord
from xview_localizer.tracking.motion import PathPose, SampleError
from xview_localizer.tracking.tracked_fix import TrackedFix
from xview_localizer.tracking.tracker import DriveTracker

# Least distance between two frames, since closer ones show the same ground.
SPACING_M = 1.5
# Least confidence of those poses of the tracker that replace a reference; the gate demands less.
SURE_CONFIDENCE = 0.99
# A reference that lies this far outside of the priors' discs must be in another frame.
REFERENCE_FAR_M = 100.0
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Frame:
    """One image of a drive. `anchor` is the pose of base_link at its stamp by a reference, or by the tracker."""

    id: str
    stamp_sec: float
    image: str  # file name
    camera: dict  # as in the pairs format, with roll, pitch and height
    camera_in_level: Pose2  # pose of the camera's body in the level frame of base_link
    odometry: PathPose | None
    prior: Prior | None  # base_link by GNSS
    anchor: Anchor | None


def cut_frames(
    drive: Drive,
    settings: Settings,
    localizer: Localizer,
    reference: Reference | None,
    out: Path,
    track: Callable[[Iterable], Iterable] = iter,
) -> list[Frame]:
    """Frames of the drive SPACING_M apart, or those that `out` holds already. Raises AdaptError, BagError.

    Each of several cameras has frames of its own. Without a reference every moment is localized as in the node, and
    confident poses of the tracker become anchors.
    """
    if (out / "frames.json").is_file():
        return [_frame(entry) for entry in json.loads((out / "frames.json").read_text())]
    without_height = [
        f"{parameter_prefix(camera)}.height_m"
        for camera, mounting in settings.mountings.cameras.items()
        if mounting.height_m is None
    ]
    if without_height:
        raise AdaptError(
            f"{drive.bag}: {without_height[0]} is 0, so the camera's height is unknown; measure it, and the camera's "
            "position, roll, pitch and yaw in base_link, and give them in drive.yaml or by --params-file"
        )
    out.mkdir(parents=True, exist_ok=True)
    intake = DriveIntake(localizer, settings)
    cutter = _FrameCutter(intake, reference, out)
    moments = moments_of_drive(drive, intake, settings, lambda role, why: cutter.complaints.append(why))
    for moment in track(moments):
        cutter.add(moment)
    frames = cutter.frames
    _check(frames, drive, reference, cutter.complaints)
    write_whole(
        out / "frames.json", json.dumps([asdict(frame) for frame in frames], default=np.ndarray.tolist)
    )
    return frames


class _FrameCutter:
    """Keeps the images of each camera that lie SPACING_M apart, as files and frames.

    `complaints` tells why other images could not be used.
    """

    def __init__(self, intake: DriveIntake, reference: Reference | None, out: Path) -> None:
        self._intake, self._reference, self._out = intake, reference, out
        self._last: dict[str, Frame] = {}  # by camera
        self.frames: list[Frame] = []
        self.complaints: list[str] = []

    def add(self, moment: Moment) -> None:
        """The images of all cameras at one moment; one pose is tracked for them all."""
        tracker, reference = self._intake.tracker, self._reference
        try:
            current_sec = self._intake.on_image(moment[-1].message)
            places = [
                (
                    image,
                    tracker.odometry_at(image.stamp_sec),
                    anchor_at(reference, image.stamp_sec, tracker) if reference else None,
                )
                for image in moment
            ]
            places = [place for place in places if self._is_further(*place)]
            tracked = self._tracked(moment) if places and reference is None else None
        except messages.MessageError as error:
            self.complaints.append(str(error))
            return
        sure = _sure_anchor(ImageRecord.of(tracked)) if tracked else None
        for image, odometry, anchor in places:
            if sure is not None:
                anchor = _moved(sure, tracker, current_sec, image.stamp_sec)
            self._keep(image, odometry, anchor, on_slope=tracked is not None and tracked.on_slope)

    def _is_further(self, image: CameraImage, odometry: PathPose | None, anchor: Anchor | None) -> bool:
        last = self._last.get(image.camera)
        return last is None or _is_further(last, odometry, anchor)

    def _tracked(self, moment: Moment) -> TrackedFix:
        """Where the current image was taken. Raises MessageError."""
        observation = self._intake.observe_moment(moment, lambda camera, why: self.complaints.append(why))
        return self._intake.tracker.locate(observation)

    def _keep(
        self, image: CameraImage, odometry: PathPose | None, anchor: Anchor | None, on_slope: bool
    ) -> None:
        """Write an image and its frame; `on_slope`: the ground is parallel to base_link, not level."""
        try:
            view = _without_mask(self._intake.view(image.message, image.camera))
        except (messages.MessageError, SampleError) as error:
            self.complaints.append(str(error))
            return
        if on_slope:
            view = replace(view, gravity_base=None)
        number = len(self.frames)
        name = f"{number:05d}.jpg"
        write_image(self._out / name, view.image, JPEG_QUALITY)
        camera, in_level = _camera_in_level(view)
        prior = self._intake.tracker.gnss_disc_at(image.stamp_sec)
        frame_id = f"{self._out.name}_{number:05d}"
        frame = Frame(frame_id, image.stamp_sec, name, camera, in_level, odometry, prior, anchor)
        self._last[image.camera] = frame
        self.frames.append(frame)


def _moved(anchor: Anchor, tracker: DriveTracker, from_sec: float, to_sec: float) -> Anchor | None:
    """An anchor at another stamp a little earlier, by odometry."""
    if to_sec == from_sec:
        return anchor
    motion = tracker.odometry_motion(to_sec, from_sec)
    return None if motion is None else replace(anchor, pose=anchor.pose @ motion.T_then_now.inverse())


def _is_further(last: Frame, odometry: PathPose | None, anchor: Anchor | None) -> bool:
    """Whether an image lies SPACING_M from the last one kept, by odometry or else by the reference."""
    if odometry is not None and last.odometry is not None and odometry.path == last.odometry.path:
        moved = last.odometry.pose.inverse() @ odometry.pose
    elif anchor is not None and last.anchor is not None:
        moved = last.anchor.pose.inverse() @ anchor.pose
    else:
        return True
    return bool(np.hypot(moved.x_m, moved.y_m) >= SPACING_M)


def _sure_anchor(record: ImageRecord) -> Anchor | None:
    if not record.accepted or record.confidence < SURE_CONFIDENCE:
        return None
    return Anchor(Pose2(record.x_m, record.y_m, record.yaw_rad), np.reshape(record.covariance, (3, 3)))


def _without_mask(view: GroundView) -> GroundView:
    """The view with the robot's own body painted over in the colour of missing data: the pairs format has no masks."""
    if not isinstance(view.camera, MaskedCamera):
        return view
    image = np.where(view.camera.shows_world[..., None], view.image, np.uint8(NO_DATA_RGB))
    return replace(view, image=image, camera=view.camera.camera)


def _camera_in_level(view: GroundView) -> tuple[dict, Pose2]:
    """The camera record of the pairs format, and the pose of the camera's body in the level frame."""
    R_level = R_level_base(view.gravity_base)
    body = R_level @ view.R_base_camera @ R_BODY_OPTICAL.T
    roll_rad, pitch_rad, yaw_rad = rpy_from_R_base_body(body)
    record = camera_to_dict(view.camera) | {
        "height_m": view.camera_height_m,
        "roll_deg": float(np.degrees(roll_rad)),
        "pitch_deg": float(np.degrees(pitch_rad)),
    }
    x_m, y_m = (R_level @ view.camera_in_base_m)[:2]
    return record, Pose2(float(x_m), float(y_m), yaw_rad)


def _check(frames: list[Frame], drive: Drive, reference: Reference | None, complaints: list[str]) -> None:
    """Raise AdaptError where there are no frames with anchors near the priors."""
    if not frames:
        why = complaints[-1] if complaints else "its image topic is empty; correct the topic in drive.yaml"
        raise AdaptError(f"{drive.bag}: no image can be used: {why}")
    anchored = [frame for frame in frames if frame.anchor is not None]
    images = f"the images from {frames[0].stamp_sec:.1f} to {frames[-1].stamp_sec:.1f} s"
    if not anchored and reference is None:
        raise AdaptError(
            f"{drive.bag}: the tracker has no confident pose for any of {len(frames)} images; give a --reference, or "
            "start from a package that localizes some of them"
        )
    if not anchored:
        first, last = reference.stamp_sec[[0, -1]]
        raise AdaptError(
            f"{drive.bag}: reference {reference.name} from {first:.1f} to {last:.1f} s has no pose for {images}; stamp "
            "both by one clock, and with NavSatFix record odometry too"
        )
    off_m = [
        np.hypot(frame.anchor.pose.x_m - frame.prior.x_m, frame.anchor.pose.y_m - frame.prior.y_m)
        - frame.prior.radius_m
        for frame in anchored
        if frame.prior is not None
    ]
    if not off_m:
        raise AdaptError(f"{drive.bag}: no image has a GNSS position to search around; record one on fix")
    if np.median(off_m) > REFERENCE_FAR_M:
        raise AdaptError(
            f"{drive.bag}: the reference poses lie {np.median(off_m) / 1000:.1f} km from GNSS; give poses of base_link "
            "in map, metres east and north of the datum"
        )


def _frame(entry: dict) -> Frame:
    """The frame of an entry of frames.json, which `asdict` made."""
    odometry, prior, anchor = entry["odometry"], entry["prior"], entry["anchor"]
    return Frame(
        **{key: entry[key] for key in ("id", "stamp_sec", "image", "camera")},
        camera_in_level=Pose2(**entry["camera_in_level"]),
        odometry=odometry and PathPose(Pose2(**odometry["pose"]), odometry["path"]),
        prior=prior and Prior(**prior),
        anchor=anchor
        and Anchor(Pose2(**anchor["pose"]), np.array(anchor["covariance"]), tuple(anchor["point_in_base_m"])),
    )
