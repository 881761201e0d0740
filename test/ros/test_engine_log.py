"""Log records of engines are passed on while the node configures, and not afterwards."""

import logging
from importlib.util import find_spec

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from xview_localizer.ros.engine_log import forwarded_engine_log
from xview_localizer.ros.node_process import NodeProcess


def test_records_of_the_engines_are_passed_on_while_they_are_opened():
    received = []
    build, elsewhere = (
        logging.getLogger(name)
        for name in ("xview_localizer.engines.tensorrt.build", "xview_localizer.aerial")
    )
    with forwarded_engine_log(lambda level, text: received.append((level, text))):
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
