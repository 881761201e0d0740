"""INT8: weights as they were, scales from recorded inputs, and layers that it harms left out."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from graphs import save_graph
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from xview_localizer.engines.engine import EngineError
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.parity import compare
from xview_localizer.engines.tensorrt.cache import EngineCache
from xview_localizer.engines.tensorrt.calibration import calibrate_graph, calibrated_path
from xview_localizer.engines.tensorrt.lowering import FP16, FP32, INT8, lowered
from xview_localizer.engines.tensorrt.open import graph_to_build
from xview_localizer.engines.tensorrt.quantization import (
    all_quantized,
    calibrated,
    layer_errors,
    only_quantized,
    weight_products,
    within_budget,
)

RNG = np.random.default_rng(3)
INPUTS = [{"x": RNG.normal(size=(1, n, 8)).astype(np.float32)} for n in (5, 7, 4)]


@pytest.fixture
def spiky(tmp_path):
    """Two products; before the second one a channel becomes 300 times as large as the others, and after it small."""
    scale = np.array([300.0] + 7 * [1.0])
    second = RNG.normal(size=(8, 8)) / scale[:, None]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"], name="even"),
        helper.make_node("Mul", ["h", "scale"], ["spikes"], name="spread"),
        helper.make_node("MatMul", ["spikes", "second"], ["y"], name="spiky"),
    ]
    return save_graph(
        tmp_path / "spiky.onnx", nodes, {"first": RNG.normal(size=(8, 8)), "scale": scale, "second": second}
    )


def operators(model) -> list[str]:
    return [node.op_type for node in model.graph.node]


def initializers(model) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def relative_error(reference, candidate, inputs) -> float:
    return max(compare(reference, candidate, each)[0].relative for each in inputs)


def saved(model, path) -> OnnxEngine:
    onnx.save(model, str(path))
    return OnnxEngine(path, threads=1)


def test_int8_weights_of_a_package_stay_as_they_are(product, tmp_path):
    dynamic = tmp_path / "dynamic.onnx"
    quantize_dynamic(
        product.path, dynamic, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"], per_channel=True
    )
    plain = lowered(dynamic, FP32)
    before, after = (
        initializers(onnx.load(str(dynamic))),
        initializers(all_quantized(plain, weight_products(plain), INPUTS)),
    )
    (kept,) = (array for array in before.values() if array.dtype == np.int8 and array.ndim == 2)
    (now,) = (array for array in after.values() if array.dtype == np.int8 and array.ndim == 2)
    np.testing.assert_array_equal(now, kept)


def test_scales_come_from_the_recorded_inputs_and_are_symmetric(product):
    model = lowered(product.path, FP32)
    arrays = initializers(all_quantized(model, weight_products(model), INPUTS))
    greatest = max(np.abs(each["x"]).max() for each in INPUTS)
    assert arrays["x_scale"] == pytest.approx(greatest / 127, rel=1e-6)
    assert not any(array.any() for name, array in arrays.items() if name.endswith("zero_point"))


def test_a_layer_that_int8_harms_is_left_out_by_name(spiky, tmp_path, caplog):
    caplog.set_level("INFO")
    plain = lowered(spiky.path, FP32)
    everything = all_quantized(plain, weight_products(plain), INPUTS)
    errors = layer_errors(plain, everything, weight_products(plain), INPUTS)
    assert errors["spiky"] > 0.2 and 0 < errors["even"] < 0.05
    model = calibrated(plain, INPUTS)
    assert "spiky is not quantized" in caplog.text and "even is" not in caplog.text
    assert operators(model).count("QuantizeLinear") == 1
    assert not {"second_quantized", "first"} & initializers(model).keys()
    error = relative_error(
        saved(plain, tmp_path / "plain.onnx"), saved(model, tmp_path / "int8.onnx"), INPUTS
    )
    assert error == pytest.approx(errors["even"], rel=1e-3)


def test_layers_share_a_budget_as_independent_errors_do():
    assert within_budget({"a": 0.03, "b": 0.04, "c": 0.01}, budget=0.04) == {"a", "c"}
    assert within_budget({"a": 0.03, "b": 0.04}, budget=0.05) == {"a", "b"}


def test_without_any_layer_the_graph_is_as_before(spiky):
    plain = lowered(spiky.path, FP32)
    same = only_quantized((), plain, all_quantized(plain, weight_products(plain), INPUTS))
    assert operators(same) == operators(plain) and initializers(same).keys() == initializers(plain).keys()


def test_what_is_not_quantized_becomes_fp16(product, tmp_path):
    path = calibrate_graph(product, INPUTS, tmp_path / "engines")
    model = lowered(path, INT8)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["x_scale"] == TensorProto.FLOAT16 and types["w_quantized"] == TensorProto.INT8
    plain, int8, half = (
        OnnxEngine(product.path, threads=1),
        saved(model, tmp_path / "int8.onnx"),
        saved(lowered(product.path, FP16), tmp_path / "half.onnx"),
    )
    assert relative_error(plain, half, INPUTS) < relative_error(plain, int8, INPUTS) < 0.05


def test_int8_is_built_from_the_calibrated_graph(product, tmp_path):
    cache = EngineCache(tmp_path / "engines")
    assert graph_to_build(product, FP16, cache) is product
    with pytest.raises(EngineError, match="product has not been calibrated .*engines calibrate"):
        graph_to_build(product, INT8, cache)
    path = calibrate_graph(product, INPUTS, cache.folder)
    assert [each.name for each in cache.folder.iterdir()] == [path.name]
    first = graph_to_build(product, INT8, cache)
    assert first.path == path and first.sizes == product.sizes and first.sha256 != product.sha256
    calibrate_graph(product, [{"x": 2 * INPUTS[0]["x"]}], cache.folder)
    assert graph_to_build(product, INT8, cache).sha256 != first.sha256  # other ranges, another engine
    assert calibrated_path(replace(product, sha256="ab" * 32), cache.folder) != path
