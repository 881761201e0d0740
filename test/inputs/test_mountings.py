"""Where sensors sit: parameters overrule TF, and without both a message is refused, never taken as if at the origin."""

from types import SimpleNamespace as Message

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.levelling import R_BODY_OPTICAL, R_base_optical_from_rpy
from xview_localizer.inputs.intake import DriveIntake, NotMountedError
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.moments import CameraImage
from xview_localizer.inputs.mountings import CameraMounting, MountingConfig, MountingError, Mountings
from xview_localizer.parameters.settings import Settings

REQUIRED = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}
DOWN_5_DEG = R_base_optical_from_rpy(0.0, np.radians(5.0), 0.1)


def header(frame_id="", sec=0):
    return Message(frame_id=frame_id, stamp=Message(sec=sec, nanosec=0))


def stamped(parent, child, xyz_m=(0.0, 0.0, 0.0), R=np.eye(3), sec=0):
    x, y, z, w = Rotation.from_matrix(R).as_quat()
    translation = Message(**dict(zip("xyz", xyz_m, strict=True)))
    transform = Message(translation=translation, rotation=Message(x=x, y=y, z=z, w=w))
    return Message(header=header(parent, sec), child_frame_id=child, transform=transform)


def mountings(*transforms, camera=CameraMounting(), **config):
    known = Mountings(MountingConfig(cameras={"": camera}, **config))
    known.on_transforms(Message(transforms=list(transforms)), static=True)
    return known


def test_the_camera_sits_where_its_optical_frame_is():
    by_tf = mountings(stamped("/base_link", "/camera_optical_frame", (0.4, 0.0, 1.6), DOWN_5_DEG))
    R, t_m = by_tf.camera(header("camera_optical_frame", 1.0))
    np.testing.assert_allclose(R, DOWN_5_DEG, atol=1e-12)
    np.testing.assert_array_equal(t_m, [0.4, 0.0, 1.6])


@pytest.mark.parametrize("frame", ["camera_link", "front_camera"])
def test_a_body_frame_is_understood_by_its_z(frame):
    """Simulators name the link, x along the view: its z points up, where no camera on wheels looks."""
    body = DOWN_5_DEG @ R_BODY_OPTICAL.T
    R, _ = mountings(stamped("base_link", frame, R=body)).camera(header(frame, 1.0))
    np.testing.assert_allclose(R, DOWN_5_DEG, atol=1e-12)


def test_an_optical_frame_that_looks_at_the_sky_is_refused():
    with pytest.raises(
        MountingError, match=r"z of camera_optical_frame points up.*REP 103.*set camera.rpy_deg"
    ):
        mountings(stamped("base_link", "camera_optical_frame")).camera(header("camera_optical_frame", 1.0))


def test_parameters_overrule_tf_one_by_one():
    at_m, R = np.array([1.0, 2.0, 3.0]), np.eye(3)
    tf = stamped("base_link", "camera", (0.4, 0.0, 1.6), DOWN_5_DEG)
    by_position = mountings(tf, camera=CameraMounting(in_base_m=at_m)).camera(header("camera", 1.0))
    np.testing.assert_allclose(by_position[0], DOWN_5_DEG, atol=1e-12)
    assert by_position[1] is at_m
    by_rotation = mountings(tf, camera=CameraMounting(R_base_camera=R)).camera(header("camera", 1.0))
    assert by_rotation[0] is R
    np.testing.assert_array_equal(by_rotation[1], [0.4, 0.0, 1.6])
    assert mountings(camera=CameraMounting(at_m, R)).camera(header("", 1.0)) == (R, at_m)


@pytest.mark.parametrize("frame", ["map", "/odom", "robot1/odom"])
def test_a_frame_that_the_robot_moves_in_is_no_mounting(frame):
    """TF knows where it is in base_link: as far off as the robot has driven."""
    by_tf = mountings(stamped(frame, "base_link", (3.0, 0.0, 0.0)))
    with pytest.raises(
        MountingError, match="the NavSatFix is in .*, which the robot moves in; .*gnss.antenna"
    ):
        by_tf.antenna_in_base_m(header(frame, 1.0))


def test_a_mounting_in_millimetres_is_refused():
    by_tf = mountings(stamped("base_link", "gps", (-300.0, 0.0, 1700.0)))
    with pytest.raises(MountingError, match="gps is 1726 m from base_link.*transforms are in metres"):
        by_tf.antenna_in_base_m(header("gps", 1.0))


def test_the_base_may_be_named_with_a_slash():
    settings = Settings.from_values(REQUIRED | {"frames.base": "/base_link"})
    known = Mountings(settings.mountings)
    known.on_transforms(Message(transforms=[stamped("base_link", "gps", (1.0, 0.0, 0.0))]), static=True)
    np.testing.assert_array_equal(known.antenna_in_base_m(header("gps", 1.0)), [1.0, 0.0, 0.0])


def test_what_is_missing_is_named_with_what_to_set():
    nothing = mountings()
    both = "publish it or set camera.position_in_base_m and camera.rpy_deg"
    with pytest.raises(MountingError, match=f"^no transform base_link → camera_optical_frame; {both}$"):
        nothing.camera(header("camera_optical_frame", 1.0))
    with pytest.raises(MountingError, match="→ eye; publish it or set camera.rpy_deg$"):
        mountings(camera=CameraMounting(in_base_m=np.zeros(3))).camera(header("eye", 1.0))
    with pytest.raises(MountingError, match="→ eye; publish it or set camera.position_in_base_m$"):
        mountings(camera=CameraMounting(R_base_camera=np.eye(3))).camera(header("eye", 1.0))
    with pytest.raises(MountingError, match="no transform base_link → gps; .* set gnss.antenna_in_base_m"):
        nothing.antenna_in_base_m(header("gps", 1.0))
    with pytest.raises(MountingError, match="no transform chassis → imu_link; publish it or set imu.rpy_deg"):
        mountings(base_frame="chassis").R_base_imu(header("imu_link", 1.0))
    with pytest.raises(MountingError, match="the image names no frame_id"):
        nothing.camera(header("", 1.0))


def test_an_imu_in_base_link_needs_no_transform():
    np.testing.assert_array_equal(mountings().R_base_imu(header("base_link", 1.0)), np.eye(3))


@pytest.mark.parametrize(("parent", "child"), [("gps", "/gps"), ("", "gps"), ("base_link", "")])
def test_a_transform_that_places_nothing_replaces_nothing(parent, child):
    known = mountings(stamped("base_link", "gps", (1.0, 0.0, 2.0)))
    with pytest.raises(MessageError, match="transform of .* in .* places nothing"):
        known.on_transforms(Message(transforms=[stamped(parent, child)]), static=True)
    np.testing.assert_allclose(known.antenna_in_base_m(header("gps")), [1.0, 0.0, 2.0])


def test_a_bad_transform_leaves_the_others():
    known = Mountings(MountingConfig())
    bad = stamped("base_link", "imu_link")
    bad.transform.rotation.w = 7.0
    with pytest.raises(MessageError, match="transform of imu_link: orientation is no unit quaternion"):
        known.on_transforms(
            Message(transforms=[bad, stamped("base_link", "gps", (1.0, 0.0, 2.0))]), static=True
        )
    np.testing.assert_array_equal(known.antenna_in_base_m(header("gps", 1.0)), [1.0, 0.0, 2.0])


def odometry(child_frame_id, position=(0.0, 0.0, 0.0), R=np.eye(3), sec=100, frame_id="odom"):
    x, y, z, w = Rotation.from_matrix(R).as_quat()
    pose = Message(
        position=Message(**dict(zip("xyz", position, strict=True))), orientation=Message(x=x, y=y, z=z, w=w)
    )
    twist = Message(linear=Message(x=0.0, y=0.0, z=0.0))
    return Message(
        header=header(frame_id, sec), child_frame_id=child_frame_id, pose=Message(pose=pose), twist=Message(twist=twist)
    )  # fmt: skip


def intake(*transforms, **values):
    known = DriveIntake(None, Settings.from_values(REQUIRED | values), rgb_from_image=lambda message: "image")
    known.mountings.on_transforms(Message(transforms=list(transforms)), static=True)
    return known


def test_odometry_of_a_camera_becomes_that_of_base_link():
    """A visual odometry: the pose of the optical frame, 0.4 m ahead of base_link and 1.6 m up, in a level frame."""
    robot = intake(stamped("base_link", "camera_optical_frame", (0.4, 0.1, 1.6), DOWN_5_DEG))
    yaw = Rotation.from_euler("z", 0.7).as_matrix()
    at_m = np.array([3.0, 4.0, 0.0]) + yaw @ [0.4, 0.1, 1.6]
    robot.on_odom(odometry("camera_optical_frame", at_m, yaw @ DOWN_5_DEG))
    pose = robot.tracker.odometry_at(100.0).pose
    np.testing.assert_allclose([pose.x_m, pose.y_m, pose.yaw_rad], [3.0, 4.0, 0.7], atol=1e-9)
    assert robot.odometry_frame == "odom"  # that which is broadcast in map


def test_odometry_of_another_frame_is_refused_unless_it_is_the_footprint():
    robot = intake()
    for child in ("", "base_link", "/base_footprint"):
        intake().on_odom(odometry(child))
    with pytest.raises(
        MessageError, match="pose of zed_camera_link, not of base_link, and there is no transform"
    ):
        robot.on_odom(odometry("zed_camera_link"))
    assert robot.tracker.odometry_at(100.0) is None
    intake(**{"frames.base": "zed_camera_link"}).on_odom(odometry("zed_camera_link"))


def test_odometry_with_its_frames_swapped_is_refused_though_tf_knows_them():
    """TF's motion and the pose's would cancel each other, and the robot seem to stand."""
    robot = intake()
    robot.mountings.on_transforms(
        Message(transforms=[stamped("robot1/odom", "base_link", (3.0, 0.0, 0.0), sec=100)]), static=False
    )
    with pytest.raises(
        MessageError, match="pose of robot1/odom, which the robot moves in: .* are swapped, or it is"
    ):
        robot.on_odom(odometry("/robot1/odom"))
    assert robot.tracker.odometry_at(100.0) is None


def test_a_footprint_has_the_prefix_of_its_robot():
    """As with robot_state_publisher's frame_prefix, and in Gazebo."""
    robot = intake(**{"frames.base": "robot1/base_link"})
    robot.on_odom(odometry("robot1/base_footprint"))
    with pytest.raises(MessageError, match="is the pose of robot2/base_footprint, not of robot1/base_link"):
        robot.on_odom(odometry("robot2/base_footprint"))


def test_a_footprint_that_tf_puts_elsewhere_is_there():
    robot = intake(stamped("base_footprint", "base_link", (-1.0, 0.0, 0.3)))
    robot.on_odom(odometry("base_footprint", (5.0, 0.0, 0.0)))
    assert robot.tracker.odometry_at(100.0).pose.x_m == 4.0


def test_images_wait_for_a_transform_and_say_which():
    robot = intake()
    robot.cameras[""] = Message(width=4, height=3)
    image = Message(header=header("camera_optical_frame", 100), encoding="rgb8", data=b"")
    assert not robot.is_mounted((CameraImage("", image),))
    with pytest.raises(
        NotMountedError, match="no transform base_link → camera_optical_frame; publish it or set"
    ):
        robot.view(image)
    transform = stamped("base_link", "camera_optical_frame", (0.4, 0.0, 1.6), DOWN_5_DEG)
    robot.mountings.on_transforms(Message(transforms=[transform]), static=True)
    assert robot.is_mounted((CameraImage("", image),))
    np.testing.assert_array_equal(robot.view(image).camera_in_base_m, [0.4, 0.0, 1.6])


def test_an_image_is_not_taken_as_level_while_the_imu_hangs_somewhere():
    robot = intake(stamped("base_link", "camera_optical_frame", R=DOWN_5_DEG))
    robot.cameras[""] = Message(width=4, height=3)
    upright = Message(x=0.0, y=0.0, z=0.0, w=1.0)
    imu = Message(header=header("imu_link", 100), orientation=upright, orientation_covariance=[0.0] * 9)
    with pytest.raises(
        MessageError, match="no transform base_link → imu_link; publish it or set imu.rpy_deg"
    ):
        robot.on_imu(imu)
    image = Message(header=header("camera_optical_frame", 100), encoding="rgb8", data=b"")
    with pytest.raises(NotMountedError, match="base_link → imu_link"):
        robot.view(image)
    robot.mountings.on_transforms(Message(transforms=[stamped("base_link", "imu_link")]), static=True)
    robot.on_imu(imu)
    assert robot.view(image).gravity_base is not None
    image.header.stamp.sec = 110  # the IMU has been silent for long
    assert robot.view(image).gravity_base is None


def test_a_jump_of_time_forgets_moving_transforms():
    robot = intake()
    robot.mountings.on_transforms(Message(transforms=[stamped("base_link", "gps", sec=100)]), static=False)
    robot.mountings.antenna_in_base_m(header("gps", 100.0))
    robot.clear()
    with pytest.raises(MountingError, match="no transform base_link → gps"):
        robot.mountings.antenna_in_base_m(header("gps", 100.0))


def test_sensors_take_a_transform_that_lags_a_little():
    """None of them waits as images do; what is older than tf.timeout_sec is refused."""
    pan = stamped("base_link", "pan", (0.2, 0.0, 1.0), sec=100)
    late = Mountings(MountingConfig(hold_sec=0.5))
    late.on_transforms(Message(transforms=[pan]), static=False)
    np.testing.assert_array_equal(late.R_base_imu(header("pan", 100.4)), np.eye(3))
    np.testing.assert_array_equal(late.antenna_in_base_m(header("pan", 100.4)), [0.2, 0.0, 1.0])
    np.testing.assert_array_equal(late.T_child_base("pan", 100.4).t_m, [-0.2, 0.0, -1.0])
    too_late = header("pan", 100.6)
    for lookup, asked in (
        (late.R_base_imu, (too_late,)), (late.antenna_in_base_m, (too_late,)), (late.camera, (too_late,)),
        (late.T_child_base, ("pan", 100.6)),
    ):  # fmt: skip
        with pytest.raises(MountingError, match="pan is known from 100.000 to 100.000 s"):
            lookup(*asked)
    with pytest.raises(
        MountingError, match=r"no transform base_link → pan at 100.400 s: .*; publish it or set"
    ):
        late.camera(header("pan", 100.4))
