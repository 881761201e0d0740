"""Small graphs for the engines' tests."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xview_localizer.engines.engine import Graph, SizeRange
from xview_localizer.models.manifest import sha256


def save_graph(path: Path, nodes, weights, channels: int = 8) -> Graph:
    """x [1, n, channels] to y of the same shape, n free."""
    shape = [1, "n", channels]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return Graph(path.stem, path, sha256(path), {"x": {1: SizeRange(1, 4, 16)}})
