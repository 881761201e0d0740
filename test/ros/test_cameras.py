"""Several cameras through the node: the poses of the offline replay, one for each moment."""

from dataclasses import replace

import pytest

pytest.importorskip("rclpy")

from node_client import without_timings

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.bag import read_drive
from xview_localizer.offline import localize_drive
from xview_localizer.ros.replay import replay_drive
from xview_localizer.settings import Settings
from xview_localizer.simulation.drive import DriveConfig, RigCamera, simulate_drive

RIG = (
    RigCamera("front", (0.4, 0.0, 1.8), (0.4, 1.2, 0.0)),
    RigCamera("left", (0.1, 0.3, 1.8), (0.0, 1.2, 90.0), late_sec=0.2),
)


@pytest.fixture(scope="module")
def rig_drive(tmp_path_factory):
    config = DriveConfig(
        length_m=60.0,
        town_size_m=200.0,
        kind="pinhole",
        image_rate_hz=0.5,
        map_metres_per_pixel=0.3,
        cameras=RIG,
    )
    return read_drive(simulate_drive(tmp_path_factory.mktemp("rig"), 5, config))


def test_two_cameras_out_of_step_give_one_pose_a_moment(domain, rig_drive):
    values = {**rig_drive.values, "model.threads": 1}
    settings = Settings.from_values(values)
    localizer = build_localizer(settings, open_map(settings))
    offline = list(localize_drive(rig_drive, localizer, settings))
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
