"""Localizing a recorded drive without ROS, with the same messages, checks and tracker as in the node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from xview_localizer.inputs import messages
from xview_localizer.inputs.doubts import doubt_of_unused
from xview_localizer.inputs.image_pace import ImagePace
from xview_localizer.inputs.intake import DriveIntake, NotReadyError
from xview_localizer.inputs.message_types import camera_of, input_of, kind_of
from xview_localizer.inputs.moments import CameraImage, Moment, MomentCollector
from xview_localizer.localizer import Localizer
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import IMAGE_DELAY_SEC, Drive, open_inputs
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason, Rejection


def localize_drive(
    drive: Drive,
    localizer: Localizer,
    settings: Settings,
    on_doubt: Callable[[str], None] = lambda doubt: None,
) -> Iterator[ImageRecord]:
    """One record for each image of the drive that `inputs.rate_hz` takes, in order.

    `on_doubt` receives what is doubtful at the drive's end, and which messages were not used. Raises BagError.
    """
    intake = DriveIntake(localizer, settings)
    for role, topic in drive.topics.items():
        if kind_of(role) == "image":
            intake.doubts.on_image_topic(topic, camera_of(role))
    refused: dict[str, list[str]] = defaultdict(list)  # by input

    def on_bad(role: str, why: str) -> None:
        refused[role].append(why)

    pace = ImagePace(settings.values["inputs.rate_hz"])
    for moment in moments_of_drive(drive, intake, settings, on_bad):
        if pace.takes(moment[-1].stamp_sec):
            yield _localized(intake, moment, on_bad)
    for role, reasons in refused.items():
        on_doubt(doubt_of_unused(role, drive.topics.get(role, role), len(reasons), reasons[-1]))
    for doubt in intake.current_doubts():
        on_doubt(doubt)


def moments_of_drive(
    drive: Drive,
    intake: DriveIntake,
    settings: Settings,
    on_bad: Callable[[str, str], None] = lambda role, why: None,
) -> Iterator[Moment]:
    """The images of the drive in order, each moment after `intake` has received what the sensors measured until then.

    `on_bad` receives the input (role) of a message that is left out, and why. Raises BagError.
    """
    collector = MomentCollector(settings.cameras)
    intake.topics = drive.topics
    handlers: dict[str, Callable[[Any], object]] = {
        "fix": intake.on_fix,
        "odom": intake.on_odom,
        "imu": intake.on_imu,
        "tf_static": partial(intake.mountings.on_transforms, static=True),
        "tf": partial(intake.mountings.on_transforms, static=False),
    }
    with open_inputs(drive, settings) as bag:
        for recorded in bag.messages():
            message = bag.decode(recorded)
            if recorded.kind == "image":
                image = CameraImage(recorded.camera, message)
                intake.on_received(image, IMAGE_DELAY_SEC)
                yield from collector.add(image)
                continue
            try:
                if recorded.kind == "camera_info":
                    intake.on_camera_info(message, recorded.camera)
                else:
                    handlers[recorded.role](message)
            except messages.MessageError as error:
                on_bad(recorded.role, str(error))  # as in the node: a bad sensor message is left out


def _localized(intake: DriveIntake, moment: Moment, on_bad: Callable[[str, str], None]) -> ImageRecord:
    current = moment[-1].message
    try:
        intake.on_image(current)
        observation = intake.observe_moment(
            moment, lambda camera, why: on_bad(input_of(camera, "image"), why)
        )
        tracked = intake.tracker.locate(observation)
        intake.on_answer(observation, tracked)
        return ImageRecord.of(tracked)
    except messages.MessageError as error:
        reason = error.reason if isinstance(error, NotReadyError) else Reason.BAD_MESSAGE
        rejection = Rejection.of(reason, detail=str(error))
        return ImageRecord.rejected(messages.stamp_sec(current), rejection)
