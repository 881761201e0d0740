"""Judging a recorded drive: truth and GNSS at every image's stamp, its images, and the map around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.assembly import open_map
from xview_localizer.evaluation.reference import Reference, antenna_sample
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.grid import Bounds
from xview_localizer.inputs import messages
from xview_localizer.inputs.image_messages import rgb_from_compressed_image, rgb_from_image
from xview_localizer.inputs.mountings import MountingError, Mountings
from xview_localizer.observation import IDENTITY_POSE
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import ROLES_AND_TF, TF_ROLES, BagError, BagReader, Drive, is_compressed
from xview_localizer.records import ImageRecord
from xview_localizer.tracking.gnss import GnssSample, base_position

# The displayed map: its finest resolution, and how far it extends beyond the positions. A long drive, whose map would
# exceed MAX_MAP_PIXELS, is shown at a coarser resolution.
MAP_METRES_PER_PIXEL, MAP_MARGIN_M = 0.25, 40.0
MAX_MAP_PIXELS = 16_000_000


def judge_drive(
    drive: Drive, reference: Reference, settings: Settings, records: Sequence[ImageRecord], rate_hz: float
) -> DriveResult:
    """Compare records with the reference and the recorded GNSS; records in gaps of the reference are left out.

    Raises BagError where there is no record, none has a reference, or the recording has no GNSS.
    """
    if not records:
        raise BagError(f"{drive.bag} has no images to judge; did the camera publish while it was recorded?")
    placed = [(record, reference.truth_at(record.stamp_sec)) for record in records]
    judged = [(record, truth) for record, truth in placed if truth is not None]
    if not judged:
        raise BagError(_no_truth(reference, records))
    truth = [pose for _, pose in judged]
    refused: list[str] = []
    fixes = antenna_samples(drive, settings, refused.append)
    if not fixes:
        why = f": {refused[-1]}" if refused else ""
        raise BagError(f"{drive.bag} has no GNSS position on {drive.topics['fix']} to compare with{why}")
    # The newest position at each image: during an outage a robot has only the last one.
    stamps = [record.stamp_sec for record, _ in judged]
    newest = np.clip(np.searchsorted([fix[0] for fix in fixes], stamps, side="right") - 1, 0, None)
    base_xy_m = [
        base_position(fixes[number][1], IDENTITY_POSE, pose.yaw_rad)
        for number, pose in zip(newest, truth, strict=True)
    ]
    return DriveResult([record for record, _ in judged], truth, np.array(base_xy_m), rate_hz)


def _no_truth(reference: Reference, records: Sequence[ImageRecord]) -> str:
    first, last = reference.stamp_sec[[0, -1]]
    images = f"{len(records)} images from {records[0].stamp_sec:.1f} to {records[-1].stamp_sec:.1f} s"
    advice = "let one clock stamp both" + (", and record odometry" if reference.yaw_rad is None else "")
    return f"reference {reference.name} from {first:.1f} to {last:.1f} s has no pose for {images}; {advice}"


def antenna_samples(
    drive: Drive, settings: Settings, on_bad: Callable[[str], None] = lambda why: None
) -> list[tuple[float, GnssSample]]:
    """Stamp and sample of each GNSS position that the node would accept, by stamp; `on_bad` gets why others are not.

    Raises BagError.
    """
    mountings, found = Mountings(settings.mountings), []
    with BagReader(drive.bag, drive.topics, ROLES_AND_TF, required=()) as bag:
        for recorded in bag.messages():
            if recorded.role not in ("fix", *TF_ROLES):
                continue
            message = bag.decode(recorded)
            try:
                if recorded.role in TF_ROLES:
                    mountings.on_transforms(message, static=recorded.role == "tf_static")
                else:
                    sample = antenna_sample(message, settings, mountings)
                    found.append((messages.stamp_sec(message), sample))
            except (messages.MessageError, MountingError) as error:
                on_bad(str(error))
    return sorted(found, key=lambda stamped: stamped[0])


def drive_images(drive: Drive, stamps_sec: Sequence[float]) -> list[np.ndarray | None]:
    """Camera images [H, W, 3] RGB of a drive at the given stamps, None where one is missing or cannot be decoded.

    Raises BagError.
    """
    found: dict[float, np.ndarray] = {}
    wanted = set(stamps_sec)  # of several cameras, one image of each moment is wanted
    with BagReader(drive.bag, drive.topics, required=()) as bag:
        for recorded in bag.messages():
            if recorded.kind != "image":
                continue
            image = bag.decode(recorded)
            stamp_sec = messages.stamp_sec(image)
            if stamp_sec not in wanted:
                continue
            compressed = is_compressed(recorded.type_name)
            decode = rgb_from_compressed_image if compressed else rgb_from_image
            with suppress(messages.MessageError):  # the record of this image gives the reason
                found[stamp_sec] = decode(image)
    return [found.get(stamp) for stamp in stamps_sec]


def aerial_around(xy_m: np.ndarray, settings: Settings) -> AerialImage:
    """The map around positions [N, 2], for display. Raises MapSourceError."""
    low, high = xy_m.min(axis=0) - MAP_MARGIN_M, xy_m.max(axis=0) + MAP_MARGIN_M
    coarsest_needed = float(np.sqrt(np.prod(high - low) / MAX_MAP_PIXELS))
    return open_map(settings).read(Bounds(*low, *high), max(MAP_METRES_PER_PIXEL, coarsest_needed))
