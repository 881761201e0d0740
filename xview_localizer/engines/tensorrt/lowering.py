"""Lowering of a package's graph for TensorRT: floating point only, with the types in which it is to run.

Dynamic quantization (int8 weights, activations quantized at run time) is for CPUs. TensorRT has no such operators, so
those products become ordinary ones with the same weights. FP16 is a property of the graph (strong typing), not a hint
to the builder; operators that need the range or resolution of FP32 keep it. So is INT8: it is written into the graph by
calibration (quantization.py), and what it leaves in floating point becomes FP16 here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, version_converter

FP32, FP16, INT8 = "fp32", "fp16", "int8"
# To be raised with every change of this file that changes engines of the same graph.
LOWERING_VERSION = 1
# The first in which QuantizeLinear and DequantizeLinear take FP16.
FP16_SCALES_OPSET = 19
# Means of squares and logarithms overflow or lose digits in FP16; sampling coordinates need a thousandth of a pixel.
FP32_OPERATORS = (
    "LayerNormalization", "InstanceNormalization", "ReduceMean", "ReduceL2", "Sqrt", "Pow", "Reciprocal", "Softmax",
    "Log", "Exp", "Sin", "Softplus", "GridSample", "Resize", "AveragePool",
)  # fmt: skip


def lowered(path: Path, precision: str) -> ModelProto:
    """The graph in `precision`; inputs and outputs stay FP32. INT8 is that of a calibrated graph.

    Raises ValueError where a quantized operator does not stand among those that this package's export writes.
    """
    model = without_dynamic_quantization(onnx.load(str(path)))
    return model if precision == FP32 else half_precision(model)


def without_dynamic_quantization(model: ModelProto) -> ModelProto:
    """The model with DynamicQuantizeLinear, MatMulInteger, Cast and Mul replaced by MatMul of the same weights."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, list] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    dead: list = []
    for product in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        quantize = _made_by("DynamicQuantizeLinear", product.input[0], makers)
        cast = _only(users[product.output[0]], "Cast")
        rescale = _only(users[cast.output[0]], "Mul")
        scales = _made_by("Mul", next(name for name in rescale.input if name != cast.output[0]), makers)
        name = f"{product.input[1]}_float"
        if name not in constants:  # products may share their weights
            constants[name] = numpy_helper.from_array(_weights(product, scales, constants), name)
            graph.initializer.append(constants[name])
        product.CopyFrom(
            onnx.helper.make_node(
                "MatMul",
                [quantize.input[0], name],
                [rescale.output[0]],
                name=rescale.output[0].removesuffix("_output_0"),
            )
        )
        dead += [cast, rescale, scales, quantize]
    _remove(graph, dead)
    left = sorted({node.op_type for node in graph.node} & {"DynamicQuantizeLinear", "MatMulInteger"})
    if left:
        raise ValueError(f"the operator {left[0]} stands where no product follows it")
    return model


def _weights(product, scales, constants: dict) -> np.ndarray:
    """The constant factor of a quantized product as real numbers; its zero point may be left out, and is 0 then."""
    weight_scale = next((name for name in scales.input if name in constants), None)
    if product.input[1] not in constants or weight_scale is None:
        raise ValueError(f"the quantized product {product.name!r} has no constant factor")
    weight = numpy_helper.to_array(constants[product.input[1]]).astype(np.float32)
    if len(product.input) > 3:
        weight -= numpy_helper.to_array(constants[product.input[3]]).astype(np.float32)
    return weight * numpy_helper.to_array(constants[weight_scale])


def _made_by(operator: str, name: str, makers: dict):
    """The node that makes a tensor, which has to be of an operator."""
    maker = makers.get(name)
    if maker is None or maker.op_type != operator:
        found = "none" if maker is None else maker.op_type
        raise ValueError(f"expected one {operator} before a quantized product, found {found}")
    return maker


def _only(nodes: list, operator: str):
    if len(nodes) != 1 or nodes[0].op_type != operator:
        raise ValueError(
            f"expected one {operator} behind a quantized product, found {[n.op_type for n in nodes]}"
        )
    return nodes[0]


def _remove(graph, dead: list) -> None:
    gone = {name for node in dead for name in node.output}
    kept = [node for node in graph.node if not gone.intersection(node.output) or node.op_type == "MatMul"]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def half_precision(model: ModelProto) -> ModelProto:
    """The model in FP16 except for FP32_OPERATORS; inputs and outputs stay FP32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        model = version_converter.convert_version(model, FP16_SCALES_OPSET)
    blocked = [*DEFAULT_OP_BLOCK_LIST, *FP32_OPERATORS]
    return convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
