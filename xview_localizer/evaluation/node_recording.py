"""Reading what the node answered during a recording, from its topic `~/status`: one record for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.drive import aerial_around, antenna_samples, drive_images
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError, BagReader, Drive
from xview_localizer.records import ImageRecord

STATUS_TYPES = ("diagnostic_msgs/msg/DiagnosticArray",)
STATUS_SUFFIX = "/status"  # end of the topic's name; /diagnostics, which has the same type, has another one
IMAGE_STATUS = ": image"  # end of the status name, after the node's name


@dataclass(frozen=True)
class NodeRecording:
    """The node's records [N] with the camera images (None where missing), the antenna's positions and the map."""

    records: Sequence[ImageRecord]
    images: Sequence[np.ndarray | None]
    gnss_xy_m: np.ndarray  # [M, 2] of the antenna, in `map`
    aerial: AerialImage


def read_node_recording(drive: Drive, settings: Settings, status_topic: str | None = None) -> NodeRecording:
    """The records on `status_topic`, or on the only topic of a node's status, with the inputs that were recorded too.

    Raises BagError where there are no records or no positions, and MapSourceError.
    """
    records = _records(drive, status_topic or _status_topic(drive))
    gnss_xy_m = np.reshape([sample.antenna_xy_m for _, sample in antenna_samples(drive, settings)], (-1, 2))
    aerial = aerial_around(_positions(drive, records, gnss_xy_m), settings)
    images = drive_images(drive, [record.stamp_sec for record in records])
    return NodeRecording(records, images, gnss_xy_m, aerial)


def _status_topic(drive: Drive) -> str:
    """The only topic of a node's status in the recording. Raises BagError where there is none, or several."""
    with BagReader(drive.bag, {}, required=()) as bag:
        topics = sorted(
            {
                topic
                for topic, kind in bag.recorded_topics
                if kind in STATUS_TYPES and topic.endswith(STATUS_SUFFIX)
            }
        )
    if len(topics) == 1:
        return topics[0]
    if not topics:
        raise BagError(
            f"{drive.bag} has no status of the node; record its topic ~/status (/localizer/status) beside the inputs"
        )
    choices = "\n  ".join(f"--status {topic}" for topic in topics)
    raise BagError(f"{drive.bag}: {len(topics)} topics hold a status; add one of\n  {choices}")


def _records(drive: Drive, topic: str) -> list[ImageRecord]:
    """The records on a topic, in the order of recording. Raises BagError."""
    records = []
    with BagReader(drive.bag, {"status": topic}, {"status": STATUS_TYPES}, ["status"]) as bag:
        for recorded in bag.messages():
            for status in bag.decode(recorded).status:
                if not status.name.endswith(IMAGE_STATUS):
                    continue
                try:
                    records.append(
                        ImageRecord.from_texts({entry.key: entry.value for entry in status.values})
                    )
                except (KeyError, ValueError) as error:
                    raise BagError(
                        f"{drive.bag}: a status on {topic} cannot be read ({error!r}); it was recorded with another "
                        "version of the node"
                    ) from error
    if not records:
        raise BagError(f"{drive.bag} has no status of an image on {topic}; was the node active?")
    return records


def _positions(drive: Drive, records: Sequence[ImageRecord], gnss_xy_m: np.ndarray) -> np.ndarray:
    """Positions [K, 2] around which the map is shown: GNSS, search discs and the trajectory. Raises BagError."""
    xy_m = [(record.prior_x_m, record.prior_y_m) for record in records]
    xy_m += [(record.estimate_x_m, record.estimate_y_m) for record in records]
    every_m = np.concatenate([gnss_xy_m, np.array(xy_m)])
    known_m = every_m[np.isfinite(every_m).all(axis=1)]
    if not len(known_m):
        raise BagError(f"{drive.bag} has neither GNSS positions nor poses; record the topic of fix too")
    return known_m
