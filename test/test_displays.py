"""RViz and Foxglove are not here: that their files parse and name topics of the node is checked statically."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
OUTPUTS = (ROOT / "xview_localizer" / "ros" / "outputs.py").read_text()
PUBLISHED = {f"/localizer/{name}" for name in re.findall(r'"~/([a-z/_]+)", qos', OUTPUTS)}


def test_rviz_shows_topics_of_the_node():
    manager = yaml.safe_load((ROOT / "config" / "localizer.rviz").read_text())["Visualization Manager"]
    topics = {display["Topic"]["Value"] for display in manager["Displays"] if "Topic" in display}
    debug = {f"/localizer/debug/{name}" for name in ("image", "markers", "aerial")}
    assert topics == {"/localizer/pose", "/localizer/estimate", *debug} <= PUBLISHED


def test_foxglove_shows_topics_of_the_node():
    text = (ROOT / "config" / "foxglove_layout.json").read_text()
    layout = json.loads(text)
    assert set(re.findall(r"/localizer/[a-z/_]+", text)) <= PUBLISHED

    def panels(node):
        return {node} if isinstance(node, str) else panels(node["first"]) | panels(node["second"])

    assert panels(layout["layout"]) == set(layout["configById"])
