"""The lifecycle node `localizer`: messages in, poses out.

Subscribes to `image` or `image/compressed`, `camera_info`, `fix`, `odom`, `imu` (remap them).
Publishes what outputs.py lists, and `/diagnostics`. Parameters: settings.py and config/localizer.yaml.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockChange, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu, NavSatFix
from std_msgs.msg import Header

from xview_localizer.aerial.open import probe_map
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.engines.engine import EngineError
from xview_localizer.intake import DriveIntake
from xview_localizer.localizer import Localizer
from xview_localizer.messages import MessageError
from xview_localizer.models.package import ModelPackageError
from xview_localizer.moments import CameraImage, MomentCollector
from xview_localizer.ros import qos, tf
from xview_localizer.ros.conversions import diagnostics_message, diagnostics_name, image_decoder
from xview_localizer.ros.diagnostics import WARN, Health
from xview_localizer.ros.image_job import ImageJob, ReceivedMoment
from xview_localizer.ros.outputs import Outputs
from xview_localizer.ros.parameters import check_change, declare_parameters, read_settings
from xview_localizer.ros.worker import NewestItemWorker
from xview_localizer.settings import Settings, SettingsError

STOP_TIMEOUT_SEC = 3.0
DIAGNOSTICS_PERIOD_SEC = 1.0
NO_CLOCK = "use_sim_time is set, but nothing comes on /clock"
HELP = """The localizer's node: images, GNSS and odometry in, poses out, until SIGINT, SIGTERM or shutdown.

Usage: localizer --ros-args --params-file my_robot.yaml [-r image:=/front/image_raw …]

config/localizer.yaml explains every parameter; check a copy with: xview-localizer check-config my_robot.yaml
It waits for a lifecycle manager to configure and activate it, unless the parameter autostart is true."""


class LocalizerNode(LifecycleNode):
    """Raises SettingsError where a parameter is unknown or invalid."""

    def __init__(self, **kwargs) -> None:
        super().__init__("localizer", **kwargs)
        self._worker: NewestItemWorker | None = None
        self._prefetcher: NewestItemWorker | None = None
        self._abandoned: list[NewestItemWorker] = []
        self._intake: DriveIntake | None = None
        self._resources: list[Callable[[], None]] = []  # undo steps of on_configure
        self._inputs: list = []
        self._state = "unconfigured"
        try:
            declare_parameters(self)
        except SettingsError:
            self.destroy_node()
            raise
        self.add_on_set_parameters_callback(
            lambda parameters: check_change(self, parameters, self._intake is not None)
        )

    # --- lifecycle ---

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            settings = self._settings = read_settings(self)
            self._map = open_map(settings)
            localizer = self._localizer = self._load_model(settings)
            self._probe_map(settings, localizer.spec.aerial.metres_per_pixel)
            self._health = Health(
                {"model": localizer.spec.name, "map": redacted(settings.values["map.source"])}
            )
            self._create_outputs(settings)
            self._start_diagnostics()
            self._watch_clock()
            self._intake = DriveIntake(localizer, settings, image_decoder())
            self._start_tf(settings)
        except (SettingsError, ModelPackageError, EngineError, MapSourceError) as error:
            return self._cannot("configure", str(error), self._release)
        except Exception as error:  # rclpy would swallow it without a word
            return self._cannot("configure", f"internal error: {error!r}", self._release)
        self._state = "inactive"
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._start_workers()
            self._subscribe()
            self._state = "active"
            return super().on_activate(state)
        except Exception as error:  # rclpy would swallow it without a word
            self._state = "inactive"
            return self._cannot("activate", f"internal error: {error!r}", self._stop_listening)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_listening()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_listening()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self.on_shutdown(state)

    def close(self) -> bool:
        """Stop working, before the node is destroyed; False where a thread could not be ended in time."""
        self._stop_listening()
        return not any(worker.alive for worker in self._abandoned)

    def _cannot(self, step: str, why: str, undo: Callable[[], None]) -> TransitionCallbackReturn:
        if self.context.ok():  # else a signal has ended ROS under the step, and nobody needs to be told
            self.get_logger().error(f"cannot {step}: {why}")
        undo()
        return TransitionCallbackReturn.FAILURE

    # --- steps of on_configure ---

    def _load_model(self, settings: Settings) -> Localizer:
        localizer = build_localizer(settings, self._map)
        self.get_logger().info(
            f"model {localizer.spec.name} from {settings.package_path}, aerial images at "
            f"{localizer.spec.aerial.metres_per_pixel:.3f} m/px"
        )
        return localizer

    def _probe_map(self, settings: Settings, metres_per_pixel: float) -> None:
        """Log what the map offers at the datum; one that does not answer yet may come up later."""
        try:
            probe = probe_map(self._map, 0.0, 0.0, metres_per_pixel)
            self.get_logger().info(f"map {redacted(settings.values['map.source'])}: {probe}")
        except MapSourceError as error:
            self.get_logger().warning(
                f"map probe at the datum failed, images will be rejected until it answers: {error}"
            )

    def _create_outputs(self, settings: Settings) -> None:
        frames = [settings.values[name] for name in ("frames.map", "frames.base")]
        self._outputs = Outputs(self, settings.frame, *frames)
        self._resources.append(self._outputs.destroy)

    def _start_diagnostics(self) -> None:
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.OUTPUT)
        # Simulated time may stand still, and that is something to report.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(DIAGNOSTICS_PERIOD_SEC, self._publish_diagnostics, clock=steady)
        self._resources += [
            lambda: self.destroy_publisher(self._diagnostics),
            lambda: self.destroy_timer(timer),
        ]

    def _start_tf(self, settings: Settings) -> None:
        tf.check(self, settings)
        self._map_to_odom = None
        if settings.values["tf.broadcast_map_to_odom"]:
            self._map_to_odom = tf.MapToOdom(self, settings.values["frames.map"])
            self._resources.append(self._map_to_odom.destroy)

    def _watch_clock(self) -> None:
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1.0), on_clock_change=True)
        handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)
        self._resources.append(handle.unregister)

    def _release(self) -> None:
        """The steps of on_configure undone, last first."""
        while self._resources:
            self._resources.pop()()
        self._intake = None
        self._state = "unconfigured"

    # --- steps of on_activate ---

    def _start_workers(self) -> None:
        self._prefetcher = NewestItemWorker(self._prefetch)
        wait_sec = self._settings.values["inputs.wait_sec"]
        job = ImageJob(
            self._localizer,
            self._intake,
            self._prefetcher,
            self._map,
            self._health,
            self._outputs,
            wait_sec,
            self._settings.values["tf.timeout_sec"],
            self.get_logger(),
            self._map_to_odom,
        )
        self._worker = NewestItemWorker(job.run)

    def _subscribe(self) -> None:
        reliable = self._settings.values["inputs.reliable"]
        newest, every = qos.newest_input(reliable), qos.sensor_input(reliable)
        intake = self._intake
        self._moments = MomentCollector(self._settings.cameras)
        for camera in self._settings.cameras:
            self._subscribe_camera(camera, newest)
        self._listen(NavSatFix, "fix", every, self._checked("fix", intake.on_fix))
        self._listen(Odometry, "odom", every, self._checked("odom", intake.on_odom))
        self._listen(Imu, "imu", every, self._checked("imu", intake.on_imu))
        self._inputs += tf.subscribe(self, intake.mountings, self._settings, self._worker.notify)

    def _subscribe_camera(self, camera: str, newest: QoSProfile) -> None:
        """Of several cameras each has its name before its topics."""
        prefix = f"{camera}/" if camera else ""
        on_camera_info = self._checked("camera_info", partial(self._intake.on_camera_info, camera=camera))
        self._listen(CameraInfo, f"{prefix}camera_info", newest, on_camera_info)
        # No warning of publishers that keep no message for it: the other subscription hears them.
        silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._inputs.append(
            self.create_subscription(
                CameraInfo, f"{prefix}camera_info", on_camera_info, qos.LATCHED_INPUT, event_callbacks=silent
            )
        )
        on_image = partial(self._on_image, camera)
        if self._settings.transport(camera) == "compressed":
            self._listen(CompressedImage, f"{prefix}image/compressed", newest, on_image)
        else:
            self._listen(Image, f"{prefix}image", newest, on_image)

    def _listen(self, message_type: type, topic: str, profile: QoSProfile, callback: Callable) -> None:
        def warn_of_qos(_) -> None:
            self._health.incompatible_qos(topic)
            self.get_logger().warning(
                f"a publisher on {topic} offers an incompatible QoS, its messages are lost; "
                "set inputs.reliable to false"
            )

        events = SubscriptionEventCallbacks(incompatible_qos=warn_of_qos)
        self._inputs.append(
            self.create_subscription(message_type, topic, callback, profile, event_callbacks=events)
        )

    def _stop_listening(self) -> None:
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        for worker in (self._worker, self._prefetcher):
            if worker is not None and not worker.stop(STOP_TIMEOUT_SEC):
                self._abandoned.append(worker)
                self.get_logger().warning(
                    f"work did not end within {STOP_TIMEOUT_SEC:.0f} s; it is abandoned"
                )
        self._worker = self._prefetcher = None

    def _checked(self, name: str, handle: Callable[[object], None]) -> Callable[[object], None]:
        def callback(message) -> None:
            self._health.heard(name)
            try:
                handle(message)
            except MessageError as error:
                self._health.malformed(name, str(error))
                self.get_logger().warning(f"{name}: {error}", throttle_duration_sec=5.0)
            self._worker.notify()

        return callback

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        self._health.heard("image")
        for moment in self._moments.add(CameraImage(camera, message)):
            self._worker.submit(ReceivedMoment(moment, time.monotonic()))

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if jump.clock_change == ClockChange.ROS_TIME_NO_CHANGE and jump.delta.nanoseconds >= 0:
            return
        self.get_logger().warning("time jumped back: starting afresh")
        if self._intake is not None:
            self._intake.clear()

    def _prefetch(self, xy_m: tuple[float, float], worker: NewestItemWorker) -> None:
        try:
            self._localizer.prefetch(*xy_m)
        except Exception as error:
            # The drive meets this itself when it gets there, and reports it with the image.
            self.get_logger().debug(f"cannot prefetch around {xy_m}: {error}")

    def _publish_diagnostics(self) -> None:
        dropped = self._worker.dropped if self._worker is not None else 0
        level, text, values = self._health.report(self._state, dropped)
        now = self.get_clock().now()
        if self.get_clock().ros_time_is_active and now.nanoseconds == 0:
            level, text = max(level, WARN), f"{NO_CLOCK}; {text}"
        name = diagnostics_name(self, "state")
        self._diagnostics.publish(diagnostics_message(Header(stamp=now.to_msg()), name, level, text, values))


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or shutdown; `--help` only says how."""
    arguments = sys.argv[1:] if args is None else args
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    try:
        rclpy.init(args=arguments)
        return _run()
    except SettingsError as error:
        print(f"localizer: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except rclpy_implementation.RCLError:
        # What ROS calls raise when a signal has ended the context under them.
        if rclpy.ok():
            raise
        return 0
    finally:
        rclpy.try_shutdown()


def _run() -> int:
    node = LocalizerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and not _autostart(node):
            return 1 if rclpy.ok() else 0
        # spin() can hang on SIGTERM; short turns notice the shutdown.
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.25)
        return 0
    finally:
        ended = node.close()
        executor.shutdown()
        node.destroy_node()
        if not ended:
            # A thread inside a native library would abort the interpreter on its way out.
            os._exit(0)


def _autostart(node: LocalizerNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success
