"""Several cameras through the node: the poses of the offline replay, one for each moment."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from node_client import without_timings

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.messages import MessageError
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.ros.replay import replay_drive


@pytest.fixture(scope="module")
def values(rig_drive):
    return {**rig_drive.values, "model.threads": 1}


@pytest.fixture(scope="module")
def localizer(values):
    settings = Settings.from_values(values)
    return build_localizer(settings, open_map(settings))


@pytest.fixture(scope="module")
def offline(rig_drive, localizer, values):
    """The records of the offline replay."""
    return list(localize_drive(rig_drive, localizer, Settings.from_values(values)))


def test_two_cameras_out_of_step_give_one_pose_a_moment(domain, rig_drive, values, localizer, offline):
    assert offline[0].stamp_sec % 1 == pytest.approx(0.2)  # the later of the two
    assert any(record.accepted for record in offline)
    assert without_timings(replay_drive(rig_drive, values)) == without_timings(offline)
    # The front camera alone, at its own stamps.
    topics = {
        role.removeprefix("front/"): topic for role, topic in rig_drive.topics.items() if "left" not in role
    }
    front = replace(rig_drive, topics=topics)
    alone = {
        name.replace("camera.front.", "camera."): value
        for name, value in values.items()
        if name != "cameras" and not name.startswith("camera.left") and name != "camera.height_m"
    }
    single = list(localize_drive(front, localizer, Settings.from_values(alone)))
    assert len(single) == len(offline)
    assert all(record.stamp_sec % 1 == 0 for record in single)


def test_an_offline_replay_names_a_camera_whose_images_are_left_out(
    rig_drive, localizer, values, monkeypatch
):
    observe, doubts = DriveIntake.observe, []

    def observe_front(intake, message, camera):
        if camera == "left":
            raise MessageError("image data is cut off")
        return observe(intake, message, camera)

    monkeypatch.setattr(DriveIntake, "observe", observe_front)
    records = list(localize_drive(rig_drive, localizer, Settings.from_values(values), doubts.append))
    of_left = f"{len(records)} messages of left/image ({rig_drive.topics['left/image']})"
    assert f"{of_left} were not used, such as: image data is cut off" in doubts


def test_a_bare_recording_and_a_parameter_file_that_names_its_cameras(rig_drive, values, localizer, offline):
    """Topics by the cameras' names, mountings by TF."""
    parameters = {
        name: value
        for name, value in Settings.from_values(values).values.items()
        if value is not None and not name.endswith(("position_in_base_m", "rpy_deg"))
    }
    bare = open_drive(rig_drive.bag, parameters)
    records = list(localize_drive(bare, localizer, Settings.from_values(bare.values)))
    assert [record.accepted for record in records] == [record.accepted for record in offline]
    found = [(record.x_m, record.y_m) for record in records]
    np.testing.assert_allclose(found, [(record.x_m, record.y_m) for record in offline], atol=1e-3)
