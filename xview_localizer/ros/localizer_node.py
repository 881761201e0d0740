"""The lifecycle node `localizer`: messages in, poses out.

Subscribes to `image` or `image/compressed`, `camera_info`, `fix`, `odom`, `imu` (inputs.py; remap them). Publishes what
outputs.py lists, and `/diagnostics`. Parameters: parameters/table.py and config/localizer.yaml.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from rclpy.clock import Clock, ClockChange, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from xview_localizer.aerial.interruption import Interruption
from xview_localizer.aerial.open import probe_map
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.engines.engine import EngineError
from xview_localizer.inputs.camera_info_file import replaced_inputs
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.localizer import Localizer
from xview_localizer.models.package import ModelPackageError
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError
from xview_localizer.ros import tf
from xview_localizer.ros.diagnostics import Health
from xview_localizer.ros.image_decoder import image_decoder
from xview_localizer.ros.image_job import ImageJob
from xview_localizer.ros.inputs import Inputs
from xview_localizer.ros.lifecycle_guard import refuse_impossible_transitions
from xview_localizer.ros.log_forwarding import ENGINES_LOGGER, MAP_LOGGER, forwarded_log
from xview_localizer.ros.memory import give_back_memory
from xview_localizer.ros.outputs import Outputs
from xview_localizer.ros.parameters import check_change, declare_parameters, read_settings
from xview_localizer.ros.services import Services
from xview_localizer.ros.state_publisher import StatePublisher
from xview_localizer.ros.worker import NewestItemWorker

STOP_TIMEOUT_SEC = 3.0  # longest wait for the image in work when the node is deactivated
DIAGNOSTICS_PERIOD_SEC = 1.0


class LocalizerNode(LifecycleNode):
    """Raises SettingsError where a parameter is unknown or invalid."""

    def __init__(self, **kwargs) -> None:
        super().__init__("localizer", **kwargs)
        refuse_impossible_transitions(self)
        self._worker: NewestItemWorker | None = None
        self._prefetcher: NewestItemWorker | None = None
        self._abandoned: list[NewestItemWorker] = []
        self._intake: DriveIntake | None = None
        self._interruption = Interruption()  # breaks off requests to the map's server
        self._resources: list[Callable[[], None]] = []  # undo steps of on_configure
        self._inputs: Inputs | None = None
        self._map_to_odom: tf.MapToOdom | None = None
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
            self._interruption.clear()
            self._open_state_publisher()
            self._forward_map_log()
            self._map = open_map(settings, self._interruption)
            localizer = self._localizer = self._load_model(settings)
            self._probe_map(settings, localizer.spec.aerial.metres_per_pixel)
            self._health = Health(
                {"model": localizer.spec.name, "map": redacted(settings.values["map.source"])},
                settings.values["inputs.rate_hz"],
                settings.cameras,
                unused=replaced_inputs(settings.values, settings.cameras),
            )
            self._create_outputs(settings)
            self._start_diagnostics()
            self._watch_clock()
            self._intake = DriveIntake(localizer, settings, image_decoder())
            self._start_tf(settings)
            self._start_services(settings)
        except (SettingsError, ModelPackageError, EngineError, MapSourceError) as error:
            return self._failed("configure", str(error), self._release)
        except Exception as error:  # rclpy would drop it without a log entry
            return self._failed("configure", f"internal error: {error!r}", self._release)
        self._state = "inactive"
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._interruption.clear()
            self._start_workers()
            self._inputs = Inputs(self, self._settings, self._intake, self._health, self._worker)
            self._inputs.subscribe()
            self._state = "active"
            return super().on_activate(state)
        except Exception as error:  # rclpy would drop it without a log entry
            self._state = "inactive"
            return self._failed("activate", f"internal error: {error!r}", self._stop_working)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_working()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_working()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self.on_shutdown(state)

    def close(self) -> bool:
        """Stop working, before the node is destroyed; False where a thread could not be ended in time."""
        self._stop_working()
        return not any(worker.alive for worker in self._abandoned)

    def _failed(self, step: str, why: str, undo: Callable[[], None]) -> TransitionCallbackReturn:
        if self.context.ok():  # else a signal has ended ROS during the step, and the failure needs no report
            self.get_logger().error(f"cannot {step}: {why}")
        undo()
        return TransitionCallbackReturn.FAILURE

    # --- steps of on_configure ---

    def _load_model(self, settings: Settings) -> Localizer:
        with forwarded_log(ENGINES_LOGGER, logging.INFO, self._state_publisher.report_configuring):
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

    def _forward_map_log(self) -> None:
        def report(level: int, text: str) -> None:
            # A dead server gives one warning for every tile of a crop.
            self.get_logger().warning(f"map: {text}", throttle_duration_sec=1.0)

        forwarding = ExitStack()
        forwarding.enter_context(forwarded_log(MAP_LOGGER, logging.WARNING, report))
        self._resources.append(forwarding.close)

    def _create_outputs(self, settings: Settings) -> None:
        self._outputs = Outputs(self, settings.frame, settings.map_frame, settings.mountings.base_frame)
        self._resources.append(self._outputs.destroy)

    def _open_state_publisher(self) -> None:
        self._state_publisher = StatePublisher(self)
        self._resources.append(self._state_publisher.destroy)

    def _start_diagnostics(self) -> None:
        # Simulated time may stand still, which the diagnostics have to report.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(DIAGNOSTICS_PERIOD_SEC, self._every_second, clock=steady)
        self._resources.append(lambda: self.destroy_timer(timer))

    def _start_tf(self, settings: Settings) -> None:
        tf.warn_where_missing(self, settings)
        if settings.values["tf.broadcast_map_to_odom"]:
            self._map_to_odom = tf.MapToOdom(self, settings.map_frame)
            self._resources.append(self._map_to_odom.destroy)

    def _start_services(self, settings: Settings) -> None:
        services = Services(self, self._intake.tracker, settings.values["gnss.max_radius_m"])
        self._resources.append(services.destroy)

    def _watch_clock(self) -> None:
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1.0), on_clock_change=True)
        handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)
        self._resources.append(handle.unregister)

    def _release(self) -> None:
        """The steps of on_configure undone, last first."""
        while self._resources:
            self._resources.pop()()
        # The model and the map are large, and nothing uses them until the next configuration.
        self._intake = self._localizer = self._map = self._map_to_odom = None
        give_back_memory()
        self._state = "unconfigured"

    # --- steps of on_activate ---

    def _start_workers(self) -> None:
        self._prefetcher = NewestItemWorker(self._prefetch)
        job = ImageJob(
            localizer=self._localizer,
            intake=self._intake,
            prefetcher=self._prefetcher,
            map_source=self._map,
            health=self._health,
            outputs=self._outputs,
            wait_sec=self._settings.values["inputs.wait_sec"],
            tf_timeout_sec=self._settings.values["tf.timeout_sec"],
            logger=self.get_logger(),
            map_to_odom=self._map_to_odom,
        )
        self._worker = NewestItemWorker(job.run, self._health.dropped)

    def _stop_working(self) -> None:
        if self._inputs is not None:
            self._inputs.destroy()
            self._inputs = None
        self._interruption.set()
        self._abandoned = [worker for worker in self._abandoned if worker.alive]
        for worker in (self._worker, self._prefetcher):
            if worker is not None and not worker.stop(STOP_TIMEOUT_SEC):
                self._abandoned.append(worker)
                self.get_logger().warning(
                    f"work did not end within {STOP_TIMEOUT_SEC:.0f} s; it goes on in the background until it does"
                )
        self._worker = self._prefetcher = None
        self._end_broadcast()

    def _end_broadcast(self) -> None:
        if self._map_to_odom is not None:
            self._map_to_odom.end()

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if jump.clock_change == ClockChange.ROS_TIME_NO_CHANGE and jump.delta.nanoseconds >= 0:
            return
        self.get_logger().warning("time jumped back: starting afresh")
        if self._intake is not None:
            self._intake.clear()
        self._end_broadcast()

    def _prefetch(self, xy_m: tuple[float, float], worker: NewestItemWorker) -> None:
        try:
            self._localizer.prefetch(*xy_m)
        except Exception as error:
            # The image that needs this part of the map meets the same error and reports it.
            self.get_logger().debug(f"cannot prefetch around {xy_m}: {error}")

    def _every_second(self) -> None:
        remedies: dict[str, str] = {}
        topics: dict[str, str] = {}
        if self._inputs is not None:
            self._inputs.match()
            remedies, topics = self._inputs.remedies, self._inputs.topics
        self._state_publisher.publish(self._health.report(self._state, self._doubts(), remedies, topics))

    def _doubts(self) -> list[str]:
        if self._intake is None:
            return []
        return [
            *(self._inputs.problems if self._inputs is not None else ()),
            *self._intake.current_doubts(),
            *(f"map: {warning}" for warning in self._localizer.map_warnings),
        ]
