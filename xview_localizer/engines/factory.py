"""The one place that chooses a runtime for a graph."""

from __future__ import annotations

from dataclasses import dataclass

from xview_localizer.engines.engine import Engine, Graph
from xview_localizer.engines.onnx_engine import OnnxEngine


@dataclass(frozen=True)
class EngineConfig:
    """How graphs are run. `providers` are execution providers of ONNX Runtime in order of preference; `threads` 0 lets
    the runtime choose."""

    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


def engine_for(graph: Graph, config: EngineConfig = EngineConfig()) -> Engine:
    """The engine that runs `graph` as `config` asks. Raises EngineError where it is not to be had."""
    return OnnxEngine(graph.path, config.providers, config.threads)
