"""Records of images that cannot be localized, and the overlay of the others, without a model."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from two_cells import OBSERVATION

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.belief.fix import Fix
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.inputs.intake import NoCameraError
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.moments import CameraImage
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.ros.debug_image import HALF_EXTENT_M, METRES_PER_PIXEL, render_overlay
from xview_localizer.ros.diagnostics import WARN, Health
from xview_localizer.ros.image_job import ImageJob, ReceivedMoment
from xview_localizer.tracking.tracked_fix import TrackedFix


class Intake:
    """Raises `error` where an image is observed; else its tracker answers `tracked`."""

    cameras = {}

    def __init__(self, error, tracked=None):
        self._error = error
        self.tracker = SimpleNamespace(awaits=lambda stamp: [], locate=lambda observation: tracked)

    def on_answer(self, observation, tracked):
        pass

    def on_image(self, message):
        return 7.0

    def is_mounted(self, moment):
        return "mounted"

    def observe_moment(self, moment, on_bad):
        if self._error:
            raise self._error
        return OBSERVATION


NO_MATCHES = Correspondences(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
GREY = 90
GREY_MAP = InMemoryMap(
    AerialImage(
        np.full((400, 400, 3), GREY, np.uint8),
        np.ones((400, 400), bool),
        RasterGrid.covering(Bounds.around(0.0, 0.0, 200.0), 1.0),
    )
)


def tracked_fix(radius_m, pose=None, scale=1.0):
    """A rejected fix within a disc about the datum, at `pose` where one was found."""
    fix = Fix(OBSERVATION.stamp_sec, rejection=Rejection.of(Reason.BAD_IMAGE, detail="somehow"))
    if pose is not None:
        fix = replace(
            fix, x_m=pose.x_m, y_m=pose.y_m, yaw_rad=pose.yaw_rad, scale=scale, covariance=np.eye(3)
        )
    return TrackedFix(fix, Prior(0.0, 0.0, radius_m), 1, None)


def work(localizer, intake, wanted=()):
    """The record that is published, the overlays, and the diagnostics."""
    health, records, overlays, logged = Health({}), [], [], []
    outputs = SimpleNamespace(
        publish=lambda header, record, tracked: records.append(record),
        publish_debug=lambda header, image: overlays.append(image),
        publish_markers=lambda header, tracked, observation, matches: overlays.append(matches),
        publish_aerial=lambda header, prior, map_source: overlays.append(prior),
        debug_wanted="debug" in wanted,
        markers_wanted="markers" in wanted,
        aerial_wanted="aerial" in wanted,
        alive=True,
    )
    worker = SimpleNamespace(wait_until=lambda condition, timeout_sec: True, stopping=False)
    logger = SimpleNamespace(error=logged.append)
    job = ImageJob(localizer, intake, None, GREY_MAP, health, outputs, 0.0, 0.0, logger)
    image = CameraImage("", CompressedImage(header=Header(stamp=Time(sec=7))))
    job.run(ReceivedMoment((image,), 0.0), worker)
    (record,) = records
    assert (record.stamp_sec, record.accepted) == (7.0, False)
    return record, overlays, health.report("active")


@pytest.mark.parametrize(
    ("error", "malformed", "rejected", "code"),
    [
        (MessageError("cut off"), "1", "0", "BAD_MESSAGE"),
        (NoCameraError("no CameraInfo yet"), "0", "1", "NO_CAMERA"),
        (OSError("disk"), "0", "1", "INTERNAL"),
    ],
)
def test_malformed_or_rejected_but_not_both(error, malformed, rejected, code):
    record, _, report = work(None, Intake(error))
    assert str(error) in record.reason
    assert record.reason_code == code
    values = report.values
    assert (values["image_malformed"], values["rejected"], values["images"]) == (
        malformed,
        rejected,
        rejected,
    )
    assert ("malformed image" in report.text) == (malformed == "1")


def test_overlay_asks_for_no_more_matches_than_it_shows():
    asked = []

    def best_matches(observation, prior, scale):
        asked.append((prior, scale))
        return NO_MATCHES

    def overlays(tracked):
        return work(SimpleNamespace(best_matches=best_matches), Intake(None, tracked), ["debug"])[1]

    (overlay,) = overlays(tracked_fix(3000.0, Pose2(2.0, 3.0, 0.5), scale=0.9))
    assert asked == [(Prior(0.0, 0.0, HALF_EXTENT_M), 0.9)]
    assert np.ptp(overlay) > 0
    asked.clear()
    assert len(overlays(tracked_fix(3000.0))) == 1  # the disc, where no pose was found
    assert not asked


def test_nothing_to_look_at_is_computed_that_nobody_subscribes_to():
    asked = []
    localizer = SimpleNamespace(best_matches=lambda *about: asked.append(about) or NO_MATCHES)
    intake = Intake(None, tracked_fix(20.0, Pose2(2.0, 3.0, 0.5)))
    assert work(localizer, intake)[1] == [] == asked
    assert work(localizer, intake, ["aerial"])[1] == [Prior(0.0, 0.0, 20.0)] and not asked
    assert work(localizer, intake, ["markers"])[1] == [NO_MATCHES] and len(asked) == 1
    assert (
        len(work(localizer, intake, ["debug", "markers"])[1]) == 2 and len(asked) == 2
    )  # matched once for both


def test_overlay_scales_the_cells_but_not_the_lever_arm():
    pose, scale = Pose2(-6.0, 8.0, 2.0), 1.5
    overlay = render_overlay(tracked_fix(1000.0, pose, scale), OBSERVATION, NO_MATCHES, GREY_MAP)

    def drawn(ground_xy_m):
        x_m, y_m = pose.transform(ground_xy_m)
        column, row = (int((HALF_EXTENT_M + metres) / METRES_PER_PIXEL) for metres in (x_m, -y_m))
        return np.any(overlay[row - 1 : row + 2, column - 1 : column + 2] != GREY)

    for cell in OBSERVATION.ground_xy_m:
        assert drawn(scale * cell + OBSERVATION.camera_xy_m)
        assert not drawn(scale * (cell + OBSERVATION.camera_xy_m))


def test_overlay_shows_the_disc_that_was_searched():
    overlay = render_overlay(tracked_fix(20.0), OBSERVATION, None, GREY_MAP)
    rows, columns = np.nonzero(overlay[..., 2].astype(int) > overlay[..., 0].astype(int) + 100)  # blue
    radius_m = METRES_PER_PIXEL * np.hypot(rows - rows.mean(), columns - columns.mean())
    np.testing.assert_allclose(radius_m, 20.0, atol=3 * METRES_PER_PIXEL)


def test_overlay_of_an_image_without_a_cell_in_reach():
    none = replace(OBSERVATION, ground_xy_m=np.zeros((0, 2)))
    overlay = render_overlay(tracked_fix(20.0, Pose2(0.0, 0.0, 0.0)), none, NO_MATCHES, GREY_MAP)
    assert np.ptp(overlay) > 0


def test_camera_info_may_come_once(monkeypatch):
    clock = iter([100.0, 101.0] + [1000.0] * 50)
    monkeypatch.setattr("xview_localizer.ros.diagnostics.time.monotonic", lambda: next(clock))
    health = Health({})
    health.received("camera_info")
    report = health.report("active")
    assert report.level == WARN
    assert "nothing on image" in report.text
    assert "camera_info" not in report.text


@pytest.mark.parametrize(("stopping", "broadcasts"), [(False, 1), (True, 0)])
def test_an_image_that_ends_after_deactivation_broadcasts_nothing(stopping, broadcasts):
    sent, tracked = [], tracked_fix(5.0)
    intake = Intake(None, tracked)
    intake.odometry_frame, intake.tracker.odometry_at = "odom", lambda stamp: None
    worker = SimpleNamespace(wait_until=lambda condition, timeout_sec: True, stopping=stopping)
    outputs = SimpleNamespace(
        publish=lambda *about: None, debug_wanted=False, markers_wanted=False, aerial_wanted=False
    )
    job = ImageJob(
        None, intake, None, GREY_MAP, Health({}), outputs, 0.0, 0.0, logger=None,
        map_to_odom=SimpleNamespace(update=lambda *about: sent.append(about)),
    )  # fmt: skip
    image = CameraImage("", CompressedImage(header=Header(stamp=Time(sec=7))))
    job.run(ReceivedMoment((image,), 0.0), worker)
    assert len(sent) == broadcasts


def test_an_image_waits_for_its_transforms():
    """For up to tf.timeout_sec, beside the wait for sensors."""
    waits = []

    def wait_until(wanted, timeout_sec):
        waits.append((wanted(), timeout_sec))
        return True

    run_job(Intake(None, tracked_fix(5.0)), SimpleNamespace(wait_until=wait_until, stopping=True))
    assert ("mounted", 0.5) in waits and len(waits) == 3


def run_job(intake, worker):
    health = SimpleNamespace(localized=lambda record, latency_ms: None)
    logger = SimpleNamespace(error=None)
    job = ImageJob(None, intake, None, GREY_MAP, health, None, 0.25, 0.5, logger)
    image = CameraImage("", CompressedImage(header=Header(stamp=Time(sec=7))))
    job.run(ReceivedMoment((image,), 0.0), worker)


@pytest.mark.parametrize(
    ("newest_sec", "overdue"),
    [({"odometry": 6.9}, False), ({"odometry": 7.2, "gnss": 6.0}, False), ({}, False), ({"odometry": 7.3}, True)],
    ids=["all are queued", "odometry is hardly ahead", "none came yet", "odometry came past it"],
)  # fmt: skip
def test_an_image_that_overtook_queued_messages_waits_on_for_them(newest_sec, overdue):
    """Of an image at 7.0 s with `wait_sec` 0.25; the IMU has not reached it."""
    waits, intake = [], Intake(None, tracked_fix(5.0))
    intake.cameras = {"": None}
    intake.tracker.awaits = lambda stamp: ["gravity"]
    intake.tracker.newest_sec = lambda: newest_sec

    def wait_until(wanted, timeout_sec):
        waits.append((bool(wanted()), timeout_sec))
        return waits[-1][0]

    run_job(intake, SimpleNamespace(wait_until=wait_until, stopping=True))
    assert waits[:2] == [(False, 0.25), (overdue, 0.75)]
