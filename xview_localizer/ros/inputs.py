"""What the node subscribes to while it is active."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from xview_localizer.inputs.camera_info_file import replaced_inputs
from xview_localizer.inputs.image_pace import ImagePace
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.message_types import ROLES, input_of
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.moments import CameraImage, MomentCollector
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.ros import qos, tf
from xview_localizer.ros.diagnostics import Health
from xview_localizer.ros.image_job import ReceivedMoment
from xview_localizer.ros.matched_input import MatchedInput
from xview_localizer.ros.worker import NewestItemWorker


class Inputs:
    """Subscriptions that feed sensors' messages to the intake and the images of a moment to the worker.

    Every other message wakes the worker too: it may be waiting for the sensors to reach an image's stamp.
    """

    def __init__(
        self, node: Node, settings: Settings, intake: DriveIntake, health: Health, worker: NewestItemWorker
    ) -> None:
        self._node, self._settings, self._intake = node, settings, intake
        self._health, self._worker = health, worker
        self._moments = MomentCollector(settings.cameras)
        self._pace = ImagePace(settings.values["inputs.rate_hz"])
        self._matched: dict[str, MatchedInput] = {}  # by the input
        self._of_tf: list[Subscription] = []

    def subscribe(self) -> None:
        """Begin to listen on all topics, to image and CameraInfo of each camera."""
        intake = self._intake
        for camera in self._settings.cameras:
            self._subscribe_camera(camera)
        for name, handle in (("fix", intake.on_fix), ("odom", intake.on_odom), ("imu", intake.on_imu)):
            self._listen(name, ROLES[name], qos.SENSORS, self._checked(name, handle))
        intake.topics = self.topics
        self._of_tf = tf.subscribe(self._node, intake.mountings, self._settings, self._worker.notify)

    def match(self) -> None:
        """Follow the publishers' types and QoS. Call it now and then: publishers come and go."""
        for entry in self._matched.values():
            entry.match()

    @property
    def problems(self) -> list[str]:
        """Why inputs receive nothing from the publishers that there are."""
        return [entry.problem for entry in self._matched.values() if entry.problem]

    @property
    def remedies(self) -> dict[str, str]:
        """What to do about inputs on which nothing comes, by the input."""
        remedies = {name: entry.remedy for name, entry in self._matched.items()}
        for camera in self._settings.cameras:
            image = input_of(camera, "image")
            if not self._matched[image].is_published:
                remedies[image] = self._remedy_of_transport(camera) or remedies[image]
        return remedies

    @property
    def topics(self) -> dict[str, str]:
        """The full names of the topics, by the input."""
        return {name: entry.resolved_topic for name, entry in self._matched.items()}

    def destroy(self) -> None:
        while self._matched:
            self._matched.popitem()[1].destroy()
        while self._of_tf:
            self._node.destroy_subscription(self._of_tf.pop())

    def _subscribe_camera(self, camera: str) -> None:
        info, image = input_of(camera, "camera_info"), input_of(camera, "image")
        if info not in replaced_inputs(self._settings.values, self._settings.cameras):
            on_camera_info = self._checked(info, partial(self._intake.on_camera_info, camera=camera))
            self._listen(info, ROLES["camera_info"], qos.CAMERA_INFO, on_camera_info)
        compressed_type, raw_type = ROLES["image"]
        transport = self._settings.transport(camera)
        topic, image_type = (
            _image_topic(camera, transport),
            raw_type if transport == "raw" else compressed_type,
        )
        self._listen(
            image, [image_type], qos.IMAGES, self._checked(image, partial(self._on_image, camera)), topic
        )
        self._intake.doubts.on_image_topic(self._node.resolve_topic_name(topic), camera)

    def _remedy_of_transport(self, camera: str) -> str:
        """Where images are published in the other form than the parameters say: what to set; else empty."""
        other = "raw" if self._settings.transport(camera) == "compressed" else "compressed"
        topic = self._node.resolve_topic_name(_image_topic(camera, other))
        if not self._node.count_publishers(topic):
            return ""
        return f"its images are published on {topic}; set {parameter_prefix(camera)}.transport to {other}"

    def _listen(
        self,
        name: str,
        type_names: Sequence[str],
        kind: qos.InputKind,
        callback: Callable,
        topic: str | None = None,
    ) -> None:
        """Subscribe to the topic of the input `name`, by default the one of that name."""
        on_lost = partial(self._health.lost, name)
        self._matched[name] = MatchedInput(self._node, type_names, topic or name, kind, callback, on_lost)

    def _checked(self, name: str, handle: Callable[[object], None]) -> Callable[[object], None]:
        def callback(message) -> None:
            self._health.received(name)
            try:
                handle(message)
            except MessageError as error:
                self._health.malformed(name, str(error))
            except Exception as error:  # an error in a library must not end the node
                self._health.malformed(name, f"internal error: {error!r}")
            self._worker.notify()

        return callback

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        image = CameraImage(camera, message)
        self._intake.on_received(image)
        for moment in self._moments.add(image):
            if self._pace.takes(moment[-1].stamp_sec):
                self._worker.submit(ReceivedMoment(moment, time.monotonic()))
            else:
                self._health.skipped()


def _image_topic(camera: str, transport: str) -> str:
    """The node's topic for a camera's images; compressed ones come below the raw ones, as image_transport has it."""
    image = input_of(camera, "image")
    return f"{image}/compressed" if transport == "compressed" else image
