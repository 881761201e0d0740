"""Lowered graphs compute what the shipped ones mean, and a layer that FP16 spoils is found by name."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from graphs import save_graph
from onnxruntime.quantization import QuantType, quantize_dynamic

from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.parity import compare, worst_layer
from xview_localizer.engines.tensorrt.lowering import FP16, FP32, half_precision, lowered

X = np.random.default_rng(1).random((1, 5, 8), dtype=np.float32)


def saved(model, path) -> OnnxEngine:
    onnx.save(model, str(path))
    return OnnxEngine(path, threads=1)


def relative_error(reference, candidate) -> float:
    return compare(reference, candidate, {"x": X})[0].relative


def test_dynamic_quantization_becomes_ordinary_products(product, tmp_path):
    quantized = tmp_path / "quantized.onnx"
    quantize_dynamic(
        product.path,
        quantized,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
    )
    model = lowered(quantized, FP32)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    plain, again = OnnxEngine(product.path, threads=1), saved(model, tmp_path / "lowered.onnx")
    # Rounded weights remain, rounding of the activations is gone.
    assert 0 < relative_error(plain, again) < relative_error(plain, OnnxEngine(quantized, threads=1))


def test_quantized_operators_of_another_kind_are_refused(product, tmp_path):
    quantized = tmp_path / "quantized.onnx"
    quantize_dynamic(product.path, quantized, op_types_to_quantize=["MatMul"])
    model = onnx.load(str(quantized))
    next(node for node in model.graph.node if node.op_type == "Cast").op_type = "Identity"
    onnx.save(model, str(quantized))
    with pytest.raises(ValueError, match="expected one Cast behind a quantized product"):
        lowered(quantized, FP32)


def quantized_by_others(graph, path):
    """With all its products quantized, also those of two activations."""
    quantize_dynamic(
        graph.path, path, op_types_to_quantize=["MatMul"], extra_options={"MatMulConstBOnly": False}
    )
    return path


def test_products_may_share_their_weights(tmp_path):
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], ["once"], name="once"),
        onnx.helper.make_node("MatMul", ["once", "w"], ["y"], name="twice"),
    ]
    weight = np.random.default_rng(0).normal(size=(8, 8))
    graph = save_graph(tmp_path / "shared.onnx", nodes, {"w": weight})
    model = lowered(quantized_by_others(graph, tmp_path / "quantized.onnx"), FP32)
    onnx.checker.check_model(model)
    assert [tensor.name for tensor in model.graph.initializer] == ["w_quantized_float"]
    again = saved(model, tmp_path / "lowered.onnx")
    assert relative_error(OnnxEngine(graph.path, threads=1), again) < 0.05


def test_a_zero_point_that_is_left_out_is_zero(product, tmp_path):
    quantized = tmp_path / "quantized.onnx"
    quantize_dynamic(
        product.path, quantized, weight_type=QuantType.QInt8, extra_options={"WeightSymmetric": True}
    )
    expected = saved(lowered(quantized, FP32), tmp_path / "with.onnx")
    model = onnx.load(str(quantized))
    del next(node for node in model.graph.node if node.op_type == "MatMulInteger").input[3:]
    onnx.save(model, str(quantized))
    again = saved(lowered(quantized, FP32), tmp_path / "without.onnx")
    assert relative_error(expected, again) == 0


def test_quantized_products_without_weights_are_refused(tmp_path):
    nodes = [
        onnx.helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        onnx.helper.make_node("MatMul", ["x", "turned"], ["square"], name="of activations"),
        onnx.helper.make_node("MatMul", ["square", "x"], ["y"]),
    ]
    graph = save_graph(tmp_path / "attention.onnx", nodes, {})
    with pytest.raises(ValueError, match=r"quantized product 'of activations_quant' has no constant factor"):
        lowered(quantized_by_others(graph, tmp_path / "quantized.onnx"), FP32)


def test_half_precision_keeps_float_inputs_and_outputs(product, tmp_path):
    half = saved(lowered(product.path, FP16), tmp_path / "half.onnx")
    assert [spec.dtype for spec in half.inputs + half.outputs] == [np.float32, np.float32]
    assert 0 < relative_error(OnnxEngine(product.path, threads=1), half) < 1e-3


def test_the_layer_that_half_precision_spoils_is_named(overflowing, tmp_path):
    model = onnx.load(str(overflowing.path))
    worst = worst_layer(
        model,
        {"x": X},
        lambda exposed: saved(exposed, tmp_path / "reference.onnx"),
        lambda exposed: saved(half_precision(exposed), tmp_path / "candidate.onnx"),
    )
    assert worst.name == "swollen" and worst.relative == pytest.approx(1 - 65504 / 1e5, rel=1e-3)


def test_the_shipped_graphs_survive_lowering(package):
    """Checked as `engines check` does; ONNX Runtime runs the FP16 graphs, so no GPU is needed."""
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.engine_check import engine_check

    with engine_check(package, EngineConfig(threads=1, precision=FP16)) as checks:
        results = {check.graph: check for check in checks.graphs()}
    assert set(results) == set(package.graphs)
    for check in results.values():
        assert check.passed and 0 < max(error.relative for error in check.errors) < 5e-3
    off = replace(results["backbone"], tolerance=1e-6)
    assert not off.passed
