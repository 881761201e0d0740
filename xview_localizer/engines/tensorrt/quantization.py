"""INT8 by explicit quantization: QuantizeLinear and DequantizeLinear at the inputs of a graph's products with weights.

Everything is symmetric, as TensorRT demands. Weights are quantized per output channel; those that a package keeps in
int8 come out as they are, since the largest of a channel has 127 steps in both. Each activation has one scale, from the
greatest value in runs on recorded inputs (ONNX Runtime's calibration). Layers that this harms most remain as they were.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, load, utils
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from xview_localizer.engines.parity import tensor_error

log = logging.getLogger(__name__)

Inputs = Mapping[str, np.ndarray]
# Greatest relative error of a graph's outputs, were the errors of its layers independent. The same weights with
# activations quantized at run time, as on CPUs, have 0.07 in the default package.
ERROR_BUDGET = 0.05
SENSITIVITY_INPUTS = 2  # recorded inputs on which each layer's error is measured


def calibrated(model: ModelProto, inputs: Sequence[Inputs]) -> ModelProto:
    """The lowered FP32 `model` with its products in INT8, except for those whose error is beyond ERROR_BUDGET.

    `inputs` are those of runs on images like the ones to come. A model without such products is returned as it is.
    """
    products = weight_products(model)
    if not products:
        return model
    quantized = all_quantized(model, products, inputs)
    spread = inputs[:: max(1, len(inputs) // SENSITIVITY_INPUTS)][:SENSITIVITY_INPUTS]
    errors = layer_errors(model, quantized, products, spread)
    kept = within_budget(errors)
    for name in sorted(set(errors) - kept, key=lambda name: -errors[name]):
        log.info("%s is not quantized; by itself it moves the outputs by %.3f", name, errors[name])
    return only_quantized(kept, model, quantized)


def weight_products(model: ModelProto) -> list[str]:
    """Names of the matrix products whose right factor is constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants]


class _Recorded(CalibrationDataReader):
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray]:
        return dict(next(self._inputs, {}))


def all_quantized(model: ModelProto, products: Sequence[str], inputs: Iterable[Inputs]) -> ModelProto:
    """The model with all `products` (names of nodes) quantized."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        own = ModelProto()
        own.CopyFrom(model)  # quantize_static moves the weights of what it is given into a file
        add_pre_process_metadata(own)  # else it advises to optimize the graph, which would rename its layers
        quantize_static(
            own,
            path,
            _Recorded(inputs),
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=list(products),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "OpTypesToExcludeOutputQuantization": ["MatMul"],
                "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
            },
        )
        return load(str(path))


def layer_errors(
    model: ModelProto, quantized: ModelProto, products: Sequence[str], inputs: Sequence[Inputs]
) -> dict[str, float]:
    """Greatest relative error of an output, over `inputs`, where only one layer is quantized; by layer."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    graph = switchable(model, quantized, products).SerializeToString()
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def outputs(layer: str) -> list[np.ndarray]:
        switches = {switch_of(name): np.array(name == layer) for name in products}
        return [output for each in inputs for output in session.run(None, {**each, **switches})]

    expected = outputs("")
    return {
        name: max(
            tensor_error(name, one, other).relative
            for one, other in zip(expected, outputs(name), strict=True)
        )
        for name in products
    }


def switch_of(product: str) -> str:
    """Name of the boolean input of a switchable graph that quantizes a product."""
    return f"{product}/quantized"


def switchable(model: ModelProto, quantized: ModelProto, products: Sequence[str]) -> ModelProto:
    """The `quantized` model with an input for each of the `products` by which it is quantized or as in `model`.

    One session then measures all layers.
    """
    mixed, original = _with_weights_of(model, quantized)
    nodes = []
    for node in mixed.graph.node:
        if node.name in products:
            for index, plain in enumerate(original[node.name].input):
                chosen = f"{node.name}/factor{index}"
                nodes.append(
                    helper.make_node("Where", [switch_of(node.name), node.input[index], plain], [chosen])
                )
                node.input[index] = chosen
        nodes.append(node)
    del mixed.graph.node[:]
    mixed.graph.node.extend(nodes)
    mixed.graph.input.extend(
        helper.make_tensor_value_info(switch_of(name), TensorProto.BOOL, []) for name in products
    )
    return mixed


def within_budget(errors: Mapping[str, float], budget: float = ERROR_BUDGET) -> set[str]:
    """The layers of least error whose errors, were they independent, together do not exceed the budget."""
    kept, total = set(), 0.0
    for name in sorted(errors, key=lambda name: errors[name]):
        total += errors[name] ** 2
        if total <= budget**2:
            kept.add(name)
    return kept


def only_quantized(layers: Collection[str], model: ModelProto, quantized: ModelProto) -> ModelProto:
    """The `quantized` model with the inputs of products other than `layers` as in `model`."""
    mixed, original = _with_weights_of(model, quantized)
    for node in mixed.graph.node:
        if node.name in original and node.name not in layers:
            node.input[:] = original[node.name].input
    names = [[value.name for value in values] for values in (mixed.graph.input, mixed.graph.output)]
    return utils.Extractor(mixed).extract_model(*names)  # without what is no longer used


def _with_weights_of(model: ModelProto, quantized: ModelProto) -> tuple[ModelProto, dict[str, NodeProto]]:
    """A copy of `quantized` with the weights of `model` beside its own, and the products of `model` by name."""
    mixed = ModelProto()
    mixed.CopyFrom(quantized)
    present = {tensor.name for tensor in mixed.graph.initializer}
    mixed.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in present)
    return mixed, {node.name: node for node in model.graph.node if node.op_type == "MatMul"}
