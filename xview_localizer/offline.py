"""A recorded drive localized without ROS: the same messages, checks and tracker as in the node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xview_localizer import messages
from xview_localizer.aerial.source import MapSource
from xview_localizer.bag import BagReader, Drive
from xview_localizer.intake import DriveIntake
from xview_localizer.localizer import Localizer
from xview_localizer.models.package import ModelPackage
from xview_localizer.settings import Settings
from xview_localizer.tracker import TrackedFix


@dataclass(frozen=True)
class ImageRecord:
    """What became of one image. `tracked` is None where the message itself was unusable (`reason` says why)."""

    stamp_sec: float
    tracked: TrackedFix | None
    reason: str


def build_localizer(settings: Settings, map_source: MapSource) -> Localizer:
    """The localizer that the settings ask for. Raises ModelPackageError, EngineError."""
    package = ModelPackage.load(settings.package_path)
    return Localizer(package, map_source, settings.localizer, settings.values["random_seed"])


def localize_drive(drive: Drive, localizer: Localizer, settings: Settings) -> Iterator[ImageRecord]:
    """One record for each image of the drive, in order. Raises BagError."""
    intake = DriveIntake(localizer, settings)
    handlers = {
        "camera_info": intake.on_camera_info,
        "fix": intake.on_fix,
        "odom": intake.on_odom,
        "imu": intake.on_imu,
    }
    with BagReader(drive.bag, drive.topics) as bag:
        for recorded in bag.messages():
            message = bag.decode(recorded)
            if recorded.role == "image":
                yield _localized(intake, message)
                continue
            try:
                handlers[recorded.role](message)
            except messages.MessageError:
                continue  # as in the node: a bad sensor message is left out


def _localized(intake: DriveIntake, message) -> ImageRecord:
    stamp_sec = messages.stamp_sec(message)
    try:
        tracked = intake.tracker.locate(intake.observe(message))
    except messages.MessageError as error:
        return ImageRecord(stamp_sec, None, str(error))
    return ImageRecord(stamp_sec, tracked, tracked.fix.reason)
