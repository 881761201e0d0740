"""What an engine is given: the inputs that its graph takes, in their shapes and types, or an error that names them."""

import numpy as np
import onnx
import pytest
from graphs import save_graph

from xview_localizer.engines.engine import EngineError
from xview_localizer.engines.onnx_engine import OnnxEngine

FITS = np.zeros((1, 5, 8), np.float32)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": FITS}, r"product.onnx needs the input 'x', got \['image'\]"),
        ({"x": FITS, "image": FITS}, r"product.onnx has no input 'image'; it takes \['x'\]"),
        ({"x": FITS[..., :7]}, r"'x' must have shape \(1, None, 8\), got \(1, 5, 7\)"),
        ({"x": FITS[0]}, r"'x' must have shape \(1, None, 8\), got \(5, 8\)"),
        ({"x": FITS.astype(np.float64)}, "'x' must be float32, got float64"),
    ],
)
def test_inputs_that_do_not_fit_are_named(product, inputs, message):
    with pytest.raises(EngineError, match=message):
        OnnxEngine(product.path, threads=1).run(inputs)


def test_a_free_axis_takes_any_size(product):
    engine = OnnxEngine(product.path, threads=1)
    assert [engine.run({"x": FITS[:, :size]})["y"].shape for size in (1, 5)] == [(1, 1, 8), (1, 5, 8)]


def test_a_type_that_arrays_do_not_have_is_named(tmp_path):
    path = tmp_path / "text.onnx"
    nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.STRING, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "text", values[:1], values[1:])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    with pytest.raises(EngineError, match=r"tensor 'x' has the unsupported type tensor\(string\)"):
        OnnxEngine(path, threads=1)


def test_a_graph_that_fails_is_named(tmp_path):
    """It has room for 4 rows, and declares any number of them."""
    nodes = [
        onnx.helper.make_node("Reshape", ["x", "shape"], ["turned"]),
        onnx.helper.make_node("MatMul", ["turned", "w"], ["y"]),
    ]
    graph = save_graph(tmp_path / "reshaped.onnx", nodes, {"w": np.eye(8)})
    model = onnx.load(str(graph.path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 4, 8], np.int64), "shape"))
    onnx.save(model, str(graph.path))
    with pytest.raises(EngineError, match="reshaped.onnx failed: .*Reshape"):
        OnnxEngine(graph.path, threads=1).run({"x": FITS})
