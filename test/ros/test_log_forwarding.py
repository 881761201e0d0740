"""Log records of engines and maps reach the node's log while they matter, and not afterwards."""

import logging
import re
from importlib.util import find_spec
from itertools import product

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from node_client import COMPRESSED

from xview_localizer.aerial.mercator import pixel_from_geodetic
from xview_localizer.ros.log_forwarding import ENGINES_LOGGER, forwarded_log
from xview_localizer.ros.node_process import NodeProcess


def test_records_of_the_engines_are_passed_on_while_they_are_opened():
    received = []
    build, elsewhere = (
        logging.getLogger(name)
        for name in ("xview_localizer.engines.tensorrt.build", "xview_localizer.aerial")
    )
    with forwarded_log(ENGINES_LOGGER, logging.INFO, lambda *record: received.append(record)):
        build.info("building the %s engine of %s, once", "tensorrt", "backbone")
        build.debug("detail")
        build.warning("damaged")
        elsewhere.info("a tile")
    build.info("later")
    assert received == [
        (logging.INFO, "building the tensorrt engine of backbone, once"),
        (logging.WARNING, "damaged"),
    ]


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is here: engines would be built")
def test_without_tensorrt_the_log_names_the_provider_of_each_graph(client, values):
    given = {"model.runtime": "tensorrt", "model.fallback": True, "autostart": True}
    with NodeProcess(values | given) as process:
        client.until(lambda: any(entry.value == "active" for d in client.diagnostics for entry in d.values))
        for graph in ("backbone", "ground_head", "aerial_head"):
            assert (
                f"{graph} runs in ONNX Runtime instead of tensorrt: tensorrt cannot be loaded" in process.log
            )


def test_tiles_that_are_left_out_stand_in_the_node_s_log(client, values, recorded, tmp_path):
    rng = np.random.default_rng(0)
    for zoom in range(17, 21):  # whichever the node reads: around the datum, every second tile is broken
        middle_px = pixel_from_geodetic(
            values["datum.latitude_deg"], values["datum.longitude_deg"], zoom, 256
        )
        column, row = (middle_px // 256).astype(int)
        for x, y in product(range(column - 3, column + 4), range(row - 3, row + 4)):
            picture = cv2.imencode(".png", rng.integers(0, 256, (256, 256, 3), np.uint8))[1].tobytes()
            folder = tmp_path / str(zoom) / str(x)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{y}.png").write_bytes(picture if (x + y) % 2 else b"no picture")
    broken = {"map.source": f"file://{tmp_path}/{{z}}/{{x}}/{{y}}.png"}
    with NodeProcess(values | COMPRESSED | broken) as process:
        client.play_until(recorded, lambda: client.records)
        assert re.search(r"\[WARN\] \[[\d.]+\] \[localizer\]: map: tile left out: ", process.log)
