"""A published ONNX graph as a package holds it: one file, with the values of inputs that never change built in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from xview_localizer.models.manifest import ModelPackageError


def save_self_contained(source: Path, constants: Mapping[str, float], out: Path) -> None:
    """Write `source`, with weights that it keeps in files beside it, and with the named inputs as constants.

    Raises ModelPackageError.
    """
    try:
        model = onnx.load(str(source))
    except Exception as error:  # onnx's errors of reading have no common base class
        raise ModelPackageError(f"{source} cannot be read as an ONNX graph: {error}") from error
    for name, number in constants.items():
        _build_in(model.graph, name, number)
    try:
        onnx.save(model, str(out))
    except ValueError as error:  # protobuf's limit
        raise ModelPackageError(
            f"{source} is too large for a package, which holds up to 2 GB: {error}"
        ) from error


def _build_in(graph: onnx.GraphProto, name: str, number: float) -> None:
    """Turn the input `name` into a constant, all of it `number`. Raises ModelPackageError."""
    found = next((each for each in graph.input if each.name == name), None)
    if found is None:
        raise ModelPackageError(
            f"the graph has no input {name!r}; it has {', '.join(each.name for each in graph.input)}"
        )
    tensor = found.type.tensor_type
    shape = [dim.dim_value or 1 for dim in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if np.issubdtype(dtype, np.integer) and not number.is_integer():
        raise ModelPackageError(f"the input {name!r} takes whole numbers, not {number}")
    graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, number, dtype), name))
    graph.input.remove(found)
