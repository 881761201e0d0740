"""Numerical parity of an engine with ONNX Runtime in FP32, by output and by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from xview_localizer.engines.engine import Engine

# Greatest accepted relative error of an output: norm of the difference over norm of the reference.
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.15}


@dataclass(frozen=True)
class OutputError:
    """The errors of one tensor."""

    name: str
    relative: float  # ‖difference‖ / ‖reference‖; inf where a number is not finite
    greatest: float  # largest absolute difference


def compare(reference: Engine, candidate: Engine, inputs: Mapping[str, np.ndarray]) -> list[OutputError]:
    """Errors of the candidate's outputs, in the reference's order."""
    expected, got = reference.run(dict(inputs)), candidate.run(dict(inputs))
    return [tensor_error(name, expected[name], got[name]) for name in expected if name in got]


def tensor_error(name: str, expected: np.ndarray, got: np.ndarray) -> OutputError:
    """Errors of `got` against `expected`, arrays of one shape."""
    difference = got.astype(np.float64) - expected.astype(np.float64)
    if not np.isfinite(got).all():
        return OutputError(name, float("inf"), float("inf"))
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return OutputError(
        name, float(np.linalg.norm(difference)) / max(norm, 1e-12), float(np.abs(difference).max())
    )


def worst_layer(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray],
    open_reference: Callable[[onnx.ModelProto], Engine],
    open_candidate: Callable[[onnx.ModelProto], Engine],
) -> OutputError:
    """The layer that adds most to the error: the greatest increase over the errors of the layers before it.

    `model` is the FP32 graph; `open_candidate` lowers it like the failing engine and opens it in its runtime.
    """
    exposed = with_layer_outputs(model)
    errors = compare(open_reference(exposed), open_candidate(exposed), inputs)
    worst, before, added = errors[0], 0.0, -1.0
    for error in errors:
        if error.relative - before > added:
            worst, added = error, error.relative - before
        before = max(before, error.relative)
        if not np.isfinite(before):
            break
    return worst


def with_layer_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the floating-point outputs of all layers as its outputs, in the order of the layers."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(onnx.shape_inference.infer_shapes(model))
    graph = exposed.graph
    known = {value.name: value for value in [*graph.value_info, *graph.output]}
    names = [name for node in graph.node for name in node.output if node.op_type != "Constant"]
    del graph.output[:]
    graph.output.extend(
        known[name]
        for name in names
        if name in known and known[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    )
    return exposed
