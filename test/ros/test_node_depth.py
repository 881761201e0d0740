"""The node with a depth network of its own: it is used where the ground confirms it, and named where it is not."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from ground_depth import write_ground_depth
from node_client import COMPRESSED

from xview_localizer.geometry.depth import DepthKind
from xview_localizer.ros.node_process import NodeProcess


@pytest.mark.parametrize(
    ("kind", "too_high", "source"),
    [
        (DepthKind.RELATIVE, 3.0, "network"),
        (
            DepthKind.METRIC,
            3.0,
            "flat ground: the metric depth differs by a factor of 0.33 from what the camera height implies",
        ),
    ],
    ids=["believed", "contradicted"],
)
def test_the_source_of_depth_is_reported(client, values, recorded, tmp_path, kind, too_high, source):
    """A network that sees the ground three times as far away as it is: its unit is its own, or declared wrongly."""
    depth = write_ground_depth(tmp_path, too_high * values["camera.height_m"], kind)
    with NodeProcess(values | COMPRESSED | {"model.depth": str(depth)}):
        client.play_until(recorded, lambda: [record for record in client.records if record.accepted])
        assert {record.depth_source for record in client.records if record.accepted} == {source}
        client.until(lambda: client.values.get("last_depth_source") == source)
