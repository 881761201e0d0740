"""Choice of the runtime for a graph."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from xview_localizer.engines.engine import Engine, EngineError, Graph
from xview_localizer.engines.names import RuntimeName
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.providers import AUTO, fastest_engine

log = logging.getLogger(__name__)

RUNTIMES = tuple(name.value for name in RuntimeName)
ONNX_RUNTIME = RuntimeName.onnxruntime.value


@dataclass(frozen=True)
class EngineConfig:
    """Settings of inference.

    `providers` are execution providers of ONNX Runtime in order of preference, or "auto" alone; with `threads` 0 the
    runtime chooses. `precision` ("fp16", "fp32" or "int8") and `cache_folder` (empty: ~/.cache/xview_localizer/engines)
    are for TensorRT; where that is not available, `fallback` lets ONNX Runtime run the graph instead.
    """

    runtime: str = ONNX_RUNTIME
    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    precision: str = "fp16"
    cache_folder: str = ""
    fallback: bool = False


def engine_for(graph: Graph, config: EngineConfig = EngineConfig()) -> Engine:
    """The engine that runs `graph` with `config`. Raises EngineError where it is not available."""
    if config.runtime == ONNX_RUNTIME:
        return _onnx_engine(graph, config)
    try:
        return _tensorrt_engine(graph, config)
    except EngineError as error:
        if not config.fallback:
            raise
        log.warning("%s runs in ONNX Runtime instead of %s: %s", graph.name, config.runtime, error)
        return _onnx_engine(graph, config)


def _onnx_engine(graph: Graph, config: EngineConfig) -> Engine:
    if config.providers == (AUTO,):
        return fastest_engine(graph, config.threads)
    return OnnxEngine(graph.path, config.providers, config.threads)


def _tensorrt_engine(graph: Graph, config: EngineConfig) -> Engine:
    if config.runtime not in RUNTIMES:
        raise EngineError(f"unknown runtime {config.runtime!r}; there are {', '.join(RUNTIMES)}")
    from xview_localizer.engines.tensorrt.cache import EngineCache
    from xview_localizer.engines.tensorrt.open import open_engine

    return open_engine(graph, config.runtime, config.precision, EngineCache(config.cache_folder))
