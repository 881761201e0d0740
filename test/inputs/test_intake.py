"""Messages on their way to the tracker: order of stamps, plausibility, mountings, and what an image waits for."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace as Message

import cv2
import numpy as np
import pytest

from xview_localizer.belief.fix import Fix
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.inputs.camera_info import RegionOfInterest
from xview_localizer.inputs.doubts import TILTS_LEAST
from xview_localizer.inputs.intake import TILT_EVERY, DriveIntake, NoCameraError, NotMountedError
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.moments import CameraImage
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.observation import empty_observation
from xview_localizer.parameters.settings import Settings
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.tracking.tracked_fix import TrackedFix

NOT_SURE = Rejection.of(Reason.TOO_UNCERTAIN, sigma_m=4.0, limit_m=3.0)
LEVEL = (0.0, 0.0, 0.0)
SETTINGS = Settings.from_values(
    {
        "datum.latitude_deg": 48.0,
        "datum.longitude_deg": 11.0,
        "map.source": "map.tif",
        "camera.position_in_base_m": (0.0, 0.0, 0.0),
        "camera.rpy_deg": LEVEL,
        "imu.rpy_deg": LEVEL,
        "gnss.antenna_in_base_m": (0.0, 0.0, 0.0),
    }
)
OF_A_CAMERA = ("position_in_base_m", "rpy_deg")
SEEN = replace(empty_observation(0.0, ""), depth_source="network")
UPRIGHT = Message(x=0.0, y=0.0, z=0.0, w=1.0)


def settings_without(*names):
    return Settings.from_values({name: value for name, value in SETTINGS.values.items() if name not in names})


def header(sec, nanosec=0, frame_id=""):
    return Message(stamp=Message(sec=sec, nanosec=nanosec), frame_id=frame_id)


def transforms_message(*children, sec=100):
    """A tf2_msgs/TFMessage: each child 1 m above base_link; "imu" is upright, others are optical frames."""
    ahead = Message(x=-0.5, y=0.5, z=-0.5, w=0.5)
    return Message(
        transforms=[
            Message(
                header=header(sec, frame_id="base_link"),
                child_frame_id=child,
                transform=Message(
                    translation=Message(x=0.0, y=0.0, z=1.0), rotation=UPRIGHT if child == "imu" else ahead
                ),
            )
            for child in children
        ]
    )


def fix_message(sec, latitude_deg=48.0, longitude_deg=11.0, altitude_m=0.0, status=0):
    return Message(
        header=header(sec), status=Message(status=status), latitude=latitude_deg, longitude=longitude_deg,
        altitude=altitude_m, position_covariance=[1.0] * 9, position_covariance_type=2,
    )  # fmt: skip


def odometry_message(sec, x_m=0.0, speed_mps=0.0, z_m=0.0, nanosec=0, y_m=0.0, sideways_mps=0.0):
    pose = Message(position=Message(x=x_m, y=y_m, z=z_m), orientation=UPRIGHT)
    twist = Message(linear=Message(x=speed_mps, y=sideways_mps, z=0.0))
    return Message(
        header=header(sec, nanosec), child_frame_id="", pose=Message(pose=pose), twist=Message(twist=twist)
    )


def pose_message(sec, x_m=0.0, with_covariance=False):
    """A geometry_msgs/PoseStamped or PoseWithCovarianceStamped."""
    pose = odometry_message(sec, x_m).pose.pose
    return Message(
        header=header(sec, frame_id="odom"),
        pose=Message(pose=pose, covariance=[0.0] * 36) if with_covariance else pose,
    )


def imu_message(sec, frame_id=""):
    return Message(header=header(sec, 0, frame_id), orientation=UPRIGHT, orientation_covariance=[0.0] * 9)


def black(message):
    return np.zeros((4, 6, 3), np.uint8)


def test_messages_without_a_stamp_are_refused_and_change_nothing():
    intake = DriveIntake(None, SETTINGS)
    intake.on_image(Message(header=header(100)))
    for handle, message in (
        (intake.on_fix, fix_message(0)),
        (intake.on_odom, odometry_message(0)),
        (intake.on_imu, imu_message(0)),
        (intake.on_image, Message(header=header(0))),
    ):
        with pytest.raises(MessageError, match="stamp is not set"):
            handle(message)
        message.header = header(101)
        handle(message)
    assert intake.tracker.awaits(102.0) == ["odometry", "gravity"]


def test_nanoseconds_of_more_than_a_second_are_no_time():
    """Drivers put the nanoseconds since 1970 there (bno08x_ros2_driver#20): stamps are then up to 4.3 s ahead."""
    message = imu_message(100)
    message.header = header(100, 1_000_000_000)
    with pytest.raises(MessageError, match="has 1000000000 ns beside its seconds"):
        DriveIntake(None, SETTINGS).on_imu(message)
    message.header = header(100, 999_999_999)
    DriveIntake(None, SETTINGS).on_imu(message)


def test_an_image_before_the_first_camera_info_is_not_malformed():
    with pytest.raises(NoCameraError, match="no CameraInfo yet"):
        DriveIntake(None, SETTINGS).observe(Message(header=header(1)))


def test_an_image_without_camera_info_says_why_the_last_one_was_refused():
    intake = DriveIntake(None, SETTINGS)
    lens = {"distortion_model": "plumb_bob", "d": (), "k": (0.0,) * 9, "binning_x": 0, "binning_y": 0}
    info = Message(width=640, height=480, roi=RegionOfInterest(), **lens)
    with pytest.raises(MessageError) as refused:
        intake.on_camera_info(info)
    intake.topics = {"camera_info": "/front/camera_info"}
    with pytest.raises(NoCameraError) as error:
        intake.observe(Message(header=header(1)))
    assert str(error.value) == f"no usable CameraInfo on /front/camera_info yet: {refused.value}"


@pytest.mark.parametrize(
    ("latitude_deg", "longitude_deg"),
    [(0.0, 0.0), (11.0, 48.0), (-48.0, 11.0), (48.0, -11.0), (-48.0, -169.0)],
)
def test_positions_far_from_the_datum_are_refused(latitude_deg, longitude_deg):
    intake = DriveIntake(None, SETTINGS)
    with pytest.raises(MessageError, match=r"\d{3,5} km from the datum; check its sign and the order of lat"):
        intake.on_fix(fix_message(100, latitude_deg, longitude_deg))
    intake.on_fix(fix_message(100, 49.0, 12.5))


def test_what_the_tracker_refuses_is_a_message_error():
    intake = DriveIntake(None, SETTINGS)
    for handle, message in (
        (intake.on_fix, fix_message),
        (intake.on_odom, odometry_message),
        (intake.on_imu, imu_message),
    ):
        handle(message(100))
        with pytest.raises(MessageError, match=r"stamp 100\.000 is not after the previous one"):
            handle(message(100))
        with pytest.raises(MessageError, match=r"stamp 98\.000 is -2\.0 s off the previous one"):
            handle(message(98))
    with pytest.raises(MessageError, match="odometry jumped by 300.0 m"):
        intake.on_odom(odometry_message(101, x_m=300.0))


@pytest.mark.parametrize("with_covariance", [False, True])
def test_poses_of_base_link_pass_for_odometry(with_covariance):
    intake = DriveIntake(None, SETTINGS)
    intake.on_odom(pose_message(100, 5.0, with_covariance))
    assert intake.odometry_frame == "odom"
    with pytest.raises(MessageError, match="odometry jumped by 300.0 m"):
        intake.on_odom(pose_message(101, 305.0, with_covariance))


def test_odometry_with_a_twist_only_is_refused():
    intake = DriveIntake(None, SETTINGS)
    for tenth in range(100, 120):  # a robot that stands
        intake.on_odom(odometry_message(tenth // 10, nanosec=tenth % 10 * 10**8))
    refused = 0
    for tenth in range(120, 140):
        try:
            intake.on_odom(odometry_message(tenth // 10, speed_mps=2.0, nanosec=tenth % 10 * 10**8))
        except MessageError as error:
            assert "stands still while its twist is 2.0 m/s" in str(error)
            refused += 1
    assert refused == 19  # the first 0.3 m are not known from a standing robot
    intake.on_odom(odometry_message(14, x_m=0.1, speed_mps=2.0))


def test_odometry_by_which_the_robot_drives_sideways_is_doubted():
    intake = DriveIntake(None, SETTINGS)
    for number in range(7):
        assert not intake.driving_direction.doubts()
        intake.on_odom(odometry_message(10 + number, y_m=1.0 * number))
    assert "yaw has to be that of base_link's x" in intake.driving_direction.doubts()[0]


def test_odometry_with_a_position_only_is_refused_at_the_first_corner():
    corner = [
        (0.0, 0.0),
        (1.5, 0.0),
        (3.0, 0.0),
        (1.5, 0.0),
        (1.5, 0.5),
        (1.5, 2.0),
        (1.5, 3.5),
    ]  # backwards between

    def drive(**changes):
        intake = DriveIntake(None, SETTINGS)
        for sec, (x_m, y_m) in enumerate(corner, start=10):
            intake.on_odom(odometry_message(sec, x_m=x_m, y_m=y_m, speed_mps=1.5, **changes))

    with pytest.raises(MessageError, match="orientation stands still while its path turns"):
        drive()
    corner += [(3.0, 3.5), (4.5, 3.5)]  # along the first street again
    intake, refused = DriveIntake(None, SETTINGS), []
    for sec, (x_m, y_m) in enumerate(corner, start=10):
        try:
            intake.on_odom(odometry_message(sec, x_m=x_m, y_m=y_m, speed_mps=1.5))
        except MessageError:
            refused.append(sec - 10)
    assert refused == list(range(refused[0], len(corner)))
    drive(sideways_mps=1.0)  # mecanum wheels


def test_a_pose_of_the_frame_in_itself_is_refused_though_tf_knows_it():
    """TF gives odom → base_link, which is the motion itself: it would be counted twice."""
    intake = DriveIntake(None, SETTINGS)
    message = odometry_message(100, x_m=5.0)
    message.header.frame_id = message.child_frame_id = "odom"
    with pytest.raises(
        MessageError, match="Odometry is the pose of odom in odom itself; let the driver set child"
    ):
        intake.on_odom(message)
    message.header.frame_id = message.child_frame_id = "base_link"  # the child is right
    intake.on_odom(message)


def test_odometry_that_moves_mainly_along_z_is_refused():
    intake = DriveIntake(None, SETTINGS)
    for step in range(10):  # a ramp
        intake.on_odom(odometry_message(10 + step, x_m=2.0 * step, z_m=0.5 * step))
    intake = DriveIntake(None, SETTINGS)
    with pytest.raises(MessageError, match="moved 4 m along z and 0 m across"):
        for step in range(10):
            intake.on_odom(odometry_message(10 + step, x_m=0.1 * step, z_m=2.0 * step))


def test_odometry_that_jumps_to_its_altitude_has_not_climbed():
    """GNSS/INS receivers begin at z = 0 and go on at the altitude once they have it."""
    intake = DriveIntake(None, SETTINGS)
    for step in range(20):
        intake.on_odom(odometry_message(10 + step, x_m=0.5 * step, z_m=0.0 if step < 3 else 520.0))
    assert intake.tracker.odometry_at(29.0).pose.x_m == 9.5


@pytest.mark.parametrize(
    ("rpy_deg", "accelerated"), [((0.0, 0.0, 0.0), -9.9), ((180.0, 0.0, 0.0), None), ((0.0, 90.0, 0.0), None)]
)
def test_an_imu_by_which_base_link_leans_too_far_is_refused(rpy_deg, accelerated):
    settings = Settings.from_values({**SETTINGS.values, "imu.rpy_deg": rpy_deg})
    intake = DriveIntake(None, settings)
    message = imu_message(100)
    if accelerated:
        message.orientation_covariance = [-1.0]
        message.linear_acceleration = Message(x=-0.3, y=0.0, z=accelerated)
        message.linear_acceleration_covariance = [0.0]
    with pytest.raises(MessageError, match="lean by (178|180|90)°.*which no driving robot does"):
        intake.on_imu(message)
    assert intake.tracker.gravity_at(100.0) is None


class GravityRecorder:
    """Stands in for the localizer and keeps the gravity vector of each view."""

    def __init__(self):
        self.gravity, self.config = [], LocalizerConfig()

    def observe(self, view):
        self.gravity.append(view.gravity_base)
        return "seen"


def test_an_image_without_attitude_is_rejected_not_taken_as_level():
    localizer = GravityRecorder()
    intake = DriveIntake(localizer, SETTINGS, rgb_from_image=black)
    intake.cameras[""] = object()

    def observe(sec):
        return intake.observe(Message(header=header(sec, 300_000_000), encoding="rgb8", data=b""))

    assert observe(99) == "seen"
    intake.on_imu(imu_message(100))
    assert observe(100) == "seen"
    unseen = observe(101)
    assert unseen.reason == (
        "no attitude from the IMU within 0.5 s of the image, which is stamped 1.3 s after the newest one; is the "
        "camera's clock ahead, or the IMU late?"
    )
    assert len(unseen.ground_xy_m) == 0
    assert intake.tracker.locate(unseen).fix.reason == unseen.reason
    assert observe(106) == "seen"
    assert [gravity is None for gravity in localizer.gravity] == [True, False, True]


def test_an_imu_with_another_clock_is_reported_as_such_and_not_as_missing_attitude():
    """An IMU that is stamped 18 s ahead has no attitude at the image's stamp, but the cause is its clock."""
    intake = DriveIntake(GravityRecorder(), SETTINGS, rgb_from_image=black)
    intake.cameras[""] = object()
    intake.on_imu(imu_message(118))
    image = Message(header=header(100), encoding="rgb8", data=b"")
    intake.on_image(image)
    rejection = intake.tracker.locate(intake.observe(image)).fix.rejection
    assert rejection.reason is Reason.CLOCKS_DISAGREE
    assert "imu is stamped 18.0 s ahead of the images" in rejection.text


def test_an_image_is_not_taken_as_level_while_the_mounting_of_the_imu_is_unknown():
    """IMU messages are refused then, so that no attitude is known, as on a robot that has no IMU."""
    localizer = GravityRecorder()
    intake = DriveIntake(localizer, settings_without("imu.rpy_deg"), rgb_from_image=black)
    intake.cameras[""] = object()
    image = Message(header=header(100), encoding="rgb8", data=b"")
    assert intake.observe(image) == "seen"
    with pytest.raises(MessageError, match="publish it or set imu.rpy_deg"):
        intake.on_imu(imu_message(100, "imu"))
    with pytest.raises(NotMountedError, match="publish it or set imu.rpy_deg"):
        intake.observe(image)
    intake.mountings.on_transforms(transforms_message("imu"), static=True)
    intake.on_imu(imu_message(100, "imu"))
    assert intake.observe(image) == "seen"
    assert [gravity is None for gravity in localizer.gravity] == [True, False]


def test_an_image_of_a_camera_whose_mounting_is_unknown_is_not_ready():
    intake = DriveIntake(GravityRecorder(), settings_without("camera.rpy_deg"), rgb_from_image=black)
    intake.cameras[""] = object()
    image = Message(header=header(100, frame_id="camera"), encoding="rgb8", data=b"")
    with pytest.raises(NotMountedError, match="publish it or set camera.rpy_deg"):
        intake.observe(image)
    intake.mountings.on_transforms(transforms_message("camera"), static=True)
    assert intake.observe(image) == "seen"


def test_a_compressed_image_may_not_be_larger_than_its_camera_info():
    intake = DriveIntake(GravityRecorder(), SETTINGS)
    intake.cameras[""] = Message(width=6, height=4)

    def image(width, height):
        data = cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()
        return Message(header=header(100), format="png", data=data)

    assert intake.observe(image(6, 4)) == "seen"
    with pytest.raises(MessageError, match="6 × 5 px.*it was not decoded"):
        intake.observe(image(6, 5))


def test_gravity_is_turned_from_the_imu_into_base_link():
    """An IMU that is mounted with 40° of roll and measures a level attitude: base_link leans by −40°."""
    rolled = {**SETTINGS.values, "imu.rpy_deg": (40.0, 0.0, 0.0)}
    sin, cos = np.sin(np.radians(40.0)), np.cos(np.radians(40.0))
    for settings, expected in (
        (SETTINGS, [0.0, 0.0, -1.0]),
        (Settings.from_values(rolled), [0.0, sin, -cos]),
    ):
        intake = DriveIntake(None, settings)
        intake.on_imu(imu_message(100))
        np.testing.assert_allclose(intake.tracker.gravity_at(100.0), expected, atol=1e-12)


def test_a_position_without_covariance_has_the_default_sigma():
    def radius_m(covariance_type):
        intake = DriveIntake(None, Settings.from_values({**SETTINGS.values, "gnss.default_sigma_m": 90.0}))
        message = fix_message(100)
        message.position_covariance_type = covariance_type
        intake.on_fix(message)
        intake.on_image(Message(header=header(101)))
        return intake.tracker.locate(replace(SEEN, stamp_sec=101.0)).prior.radius_m

    assert radius_m(0) > 270.0


def test_cameras_that_fail_are_reported_and_left_out_of_the_moment():
    """The left camera has no CameraInfo, and the rear camera's image is cut off."""

    def rgb(message):
        if message.encoding == "broken":
            raise MessageError("image data is cut off")
        return np.zeros((4, 6, 3), np.uint8)

    rig = {
        f"camera.{name}.{key}": (0.0, 0.0, 0.0) for name in ("front", "left", "rear") for key in OF_A_CAMERA
    }
    given = {name: value for name, value in SETTINGS.values.items() if not name.startswith("camera.")}
    settings = Settings.from_values(given | rig | {"cameras": ("front", "left", "rear")})
    localizer, bad = GravityRecorder(), []
    localizer.observe = lambda view: replace(SEEN, stamp_sec=view.stamp_sec)
    intake = DriveIntake(localizer, settings, rgb_from_image=rgb)
    intake.cameras |= {"front": object(), "rear": object()}

    def complain(camera, problem):
        bad.append((camera, problem))

    def image(name, nanosec=0, encoding="rgb8"):
        return CameraImage(name, Message(header=header(100, nanosec), encoding=encoding, data=b""))

    later = 400_000_000
    for nanosec in (0, later):
        intake.on_odom(odometry_message(100, nanosec=nanosec))
    moment = (image("front"), image("left"), image("rear", later, "broken"))
    joined = intake.observe_moment(moment, complain)
    assert (joined.reason, joined.stamp_sec) == ("", 100.4)
    no_info = (
        "no CameraInfo yet; publish it on left/camera_info, remap the topic, or give a calibration file as "
        "camera.left.info_file"
    )
    assert bad == [("left", no_info), ("rear", "image data is cut off")]
    with pytest.raises(MessageError, match="image data is cut off"):
        intake.observe_moment(moment[1:], complain)
    with pytest.raises(NoCameraError, match="publish it on left/camera_info"):
        intake.observe_moment(moment[1:2], complain)
    assert len(bad) == 2


def test_a_moment_waits_for_the_mountings_of_all_its_cameras():
    given = {name: value for name, value in SETTINGS.values.items() if not name.startswith("camera.")}
    intake = DriveIntake(None, Settings.from_values(given | {"cameras": ("front", "left")}))
    moment = tuple(
        CameraImage(name, Message(header=header(100, frame_id=name))) for name in ("front", "left")
    )
    for name in ("front", "left"):
        for sec in (99, 101):
            assert not intake.is_mounted(moment)
            intake.mountings.on_transforms(transforms_message(name, sec=sec), static=False)
    assert intake.is_mounted(moment)
    intake.clear()
    assert not intake.is_mounted(moment)


def answer(fix, on_slope=False):
    return TrackedFix(fix, prior=None, keyframes=1, estimate=None, on_slope=on_slope)


def test_a_scale_that_stays_at_its_bound_is_doubtful_where_the_camera_height_is_known():
    intake = DriveIntake(GravityRecorder(), SETTINGS)
    known = len(intake.doubts.current())
    for _ in range(12):
        intake.on_answer(Message(scale_known=True), answer(Fix(7.0, scale=0.9, rejection=NOT_SURE)))
    assert "stays at its bound, 0.9" in intake.doubts.current()[known]
    for _ in range(12):
        intake.on_answer(Message(scale_known=False), answer(Fix(7.0, scale=1.2, rejection=NOT_SURE)))
    assert len(intake.doubts.current()) == known


def test_one_accepted_image_in_ten_is_examined_for_a_tilt(localizer, small_town):
    """Here the camera is said to look down by 3°, and looks straight ahead."""
    intake = DriveIntake(localizer, SETTINGS)
    known = len(intake.doubts.current())
    R_base_camera = R_base_optical_from_rpy(0.0, np.radians(3.0), 0.0)
    seen = localizer.observe(small_town.view(R_base_camera=R_base_camera))
    pose = small_town.pose
    fix = Fix(7.0, pose.x_m, pose.y_m, pose.yaw_rad, scale=1.0)
    for _ in range(TILT_EVERY * TILTS_LEAST):
        intake.on_answer(seen, answer(replace(fix, rejection=NOT_SURE)))
    for _ in range(TILT_EVERY * TILTS_LEAST - 1):
        intake.on_answer(seen, answer(fix))
    assert len(intake.doubts.current()) == known
    intake.on_answer(seen, answer(fix))
    # A single image shows that the mounting is tilted, but its axis only roughly.
    assert "images match the map best with the robot's" in intake.doubts.current()[known]


def test_answers_and_doubts_may_come_from_two_threads(monkeypatch):
    """In the node a timer asks for the doubts while the thread that works on images hands over its answers."""

    class Held:
        by_anyone = False

        def __enter__(self):
            self.by_anyone = True

        def __exit__(self, *_):
            self.by_anyone = False

    intake, held, guarded = DriveIntake(GravityRecorder(), SETTINGS), Held(), []
    intake._answers_lock = held
    for checked, method in (
        (intake.doubts, "on_scale"),
        (intake.lean_check, "on_pose"),
        (intake.doubts, "current"),
        (intake.lean_check, "doubts"),
    ):

        def noted(*_, method=method):
            guarded.append((method, held.by_anyone))
            return []

        monkeypatch.setattr(checked, method, noted)
    intake.on_answer(Message(scale_known=True), answer(Fix(7.0, 0.0, 0.0, 0.0, scale=1.0)))
    intake.current_doubts()
    assert guarded == [("on_scale", True), ("on_pose", True), ("current", True), ("doubts", True)]


def test_an_imu_that_leans_on_every_heading_is_doubtful_until_time_jumps():
    intake = DriveIntake(GravityRecorder(), SETTINGS)
    known = len(intake.current_doubts())
    for number in range(9):
        pitched = imu_message(100 + number)
        pitched.orientation = Message(x=0.0, y=np.sin(0.03), z=0.0, w=np.cos(0.03))
        intake.on_imu(pitched)
    several_cameras = Message(scale_known=True, height=None)
    several_cameras.on_ground = lambda slope: several_cameras
    for number in range(12):
        fix = Fix(100.0 + 0.7 * number, 0.0, 0.0, 0.2 * number, scale=1.0)
        intake.on_answer(several_cameras, answer(fix, on_slope=True))
    assert "by the IMU base_link leans by 3°, its front lower" in intake.current_doubts()[known]
    intake.clear()
    assert len(intake.current_doubts()) == known


def test_an_imu_that_is_never_filled_in_is_doubtful():
    intake = DriveIntake(None, SETTINGS)
    known = len(intake.doubts.current())
    for sec in range(100, 200):
        intake.on_imu(imu_message(sec))
    assert "the orientation of every Imu is exactly 0, 0, 0, 1" in intake.doubts.current()[known]


def test_a_narrow_lens_and_a_status_that_is_never_set_are_doubtful():
    intake = DriveIntake(None, SETTINGS)
    known = intake.doubts.current()
    narrow = Message(
        width=640, height=480, distortion_model="", d=[], k=[9000.0, 0, 320, 0, 9000, 240, 0, 0, 1],
        binning_x=0, binning_y=0, roi=Message(x_offset=0, y_offset=0, width=0, height=0),
    )  # fmt: skip
    intake.on_camera_info(narrow)
    intake.on_fix(fix_message(100, status=-2))
    lens, status = intake.doubts.current()[len(known) :]
    assert "sees only 4.1° across" in lens
    assert "never sets the status of NavSatFix" in status


@pytest.mark.parametrize(("latitude_deg", "taken"), [(49.75, True), (49.85, False)])  # 195 and 206 km
def test_positions_are_taken_up_to_200_km_from_the_datum(latitude_deg, taken):
    intake = DriveIntake(None, SETTINGS)
    with nullcontext() if taken else pytest.raises(MessageError, match="km from the datum"):
        intake.on_fix(fix_message(1, latitude_deg=latitude_deg))


def test_simulated_time_may_begin_at_its_first_second():
    intake = DriveIntake(None, SETTINGS)
    assert intake.on_image(Message(header=header(0, nanosec=500_000_000))) == 0.5


def test_a_drive_that_begins_again_elsewhere_with_the_same_orientation_has_not_turned():
    intake = DriveIntake(None, SETTINGS)
    for sec in range(10, 14):
        intake.on_odom(odometry_message(sec, x_m=1.5 * sec, speed_mps=1.5))
    intake.clear()
    for sec in range(4, 8):
        intake.on_odom(odometry_message(sec, x_m=1.5 * sec, y_m=60.0, speed_mps=1.5))


def test_clearing_forgets_what_was_measured():
    intake = DriveIntake(None, SETTINGS)
    intake.on_fix(fix_message(1))
    assert intake.tracker.gnss_disc_at(1.5) is not None
    intake.clear()
    assert intake.tracker.gnss_disc_at(1.5) is None


def test_doubtful_odometry_is_among_the_doubts():
    intake = DriveIntake(None, SETTINGS)
    for sec in range(1, 20):
        message = odometry_message(sec)
        message.header.frame_id = "/map"
        intake.on_odom(message)
    assert intake.odometry_frame == "map"
    slow, frame = (doubt for doubt in intake.current_doubts() if doubt.startswith("odom"))
    assert "odom comes every 1.0 s" in slow and "odom is in map" in frame


def test_paths_of_odometry_and_gnss_are_compared_until_time_jumps():
    """A position that is repeated while the robot drives is refused; after the jump it is the first of its path."""
    intake = DriveIntake(None, SETTINGS)

    def drive(sec: int, x_m: float) -> None:
        intake.on_odom(odometry_message(sec, x_m=x_m))
        intake.on_fix(fix_message(sec))

    drive(10, 0.0)
    drive(11, 3.0)
    with pytest.raises(MessageError, match="by odom the robot has driven 6 m"):
        drive(12, 6.0)
    intake.clear()
    drive(1, 9.0)


def test_an_image_that_is_repeated_while_odometry_drives_on_is_refused():
    intake = DriveIntake(GravityRecorder(), SETTINGS, black)
    intake.cameras[""] = object()
    for sec in range(100, 110):
        intake.on_odom(odometry_message(sec, x_m=0.4 * (sec - 100)))
        intake.on_odom(odometry_message(sec, x_m=0.4 * (sec - 100) + 0.2, nanosec=500_000_000))
    assert intake.observe(Message(header=header(100), encoding="rgb8", data=b"street")) == "seen"
    with pytest.raises(MessageError, match="is that of 100.000 to the last byte"):
        intake.observe(Message(header=header(109), encoding="rgb8", data=b"street"))
