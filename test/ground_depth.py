"""A depth package without weights: its network sees level ground, whatever the image shows."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xview_localizer.geometry.depth import DepthKind, flat_ground_range_m
from xview_localizer.models.depth_cuts import input_camera
from xview_localizer.models.depth_package import (
    GRAPH_FILE,
    PANORAMA,
    DepthInput,
    DepthSpec,
    write_depth_manifest,
)

IMAGE = DepthInput(90, 180, PANORAMA)
SKY_M = 500.0


def write_ground_depth(folder: Path, height_m: float = 1.0, kind: DepthKind = DepthKind.RELATIVE) -> Path:
    """Write the package of a panoramic network for cameras `height_m` over the ground."""
    folder.mkdir(parents=True, exist_ok=True)
    column, row = np.meshgrid(np.arange(IMAGE.columns_px) + 0.5, np.arange(IMAGE.rows_px) + 0.5)
    rays = input_camera(IMAGE, 2 * np.pi).rays(np.column_stack([column.ravel(), row.ravel()]))
    range_m = np.minimum(flat_ground_range_m(rays @ [[0, 0, 0], [0, 0, -1], [0, 0, 0]], height_m), SKY_M)
    size = [IMAGE.rows_px, IMAGE.columns_px]
    constants = {"zero": np.zeros(1), "ground": range_m.reshape(1, 1, *size)}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["grey", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "ground"], ["range"]),
        ],
        "depth",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("range", TensorProto.FLOAT, [1, 1, *size])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), str(folder / GRAPH_FILE))
    write_depth_manifest(folder, DepthSpec("level ground", kind, False, 80.0, IMAGE), "CC0", "computed")
    return folder
