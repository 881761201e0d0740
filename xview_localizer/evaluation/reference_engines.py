"""Reference engines, with which others are compared: a package's graphs in ONNX Runtime and FP32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from xview_localizer.engines.engine import Engine, Graph
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.tensorrt.lowering import FP32, lowered


def reference_engine(graph: Graph, folder: Path, threads: int) -> OnnxEngine:
    """The lowered graph in FP32, written to `folder`. Raises EngineError."""
    path = folder / f"{graph.name}_{FP32}.onnx"
    onnx.save(lowered(graph.path, FP32), str(path))
    return OnnxEngine(path, threads=threads)


class RecordingEngine:
    """Runs an engine and keeps all its inputs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.recorded: list[dict[str, np.ndarray]] = []

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.recorded.append(inputs)
        return self._engine.run(inputs)
