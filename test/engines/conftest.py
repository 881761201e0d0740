"""Graphs of a few layers."""

import numpy as np
import pytest
from graphs import save_graph
from onnx import helper

from xview_localizer.engines.engine import Graph


@pytest.fixture
def product(tmp_path) -> Graph:
    """One matrix product."""
    weight = np.random.default_rng(0).normal(size=(8, 8))
    return save_graph(
        tmp_path / "product.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}
    )


@pytest.fixture
def overflowing(tmp_path) -> Graph:
    """Fine in FP32; the factor of the layer `swell` is more than FP16 can hold."""
    nodes = [
        helper.make_node("Add", ["x", "one"], ["shifted"], name="shift"),
        helper.make_node("Mul", ["shifted", "large"], ["swollen"], name="swell"),
        helper.make_node("Mul", ["swollen", "small"], ["y"], name="shrink"),
    ]
    return save_graph(tmp_path / "overflowing.onnx", nodes, {"one": [1.0], "large": [1e5], "small": [1e-5]})
