"""Choice of the fastest execution provider of ONNX Runtime on this machine, by measurement."""

from __future__ import annotations

import logging
import time

import onnxruntime as ort

from xview_localizer.engines.engine import EngineError, Graph, typical_inputs
from xview_localizer.engines.onnx_engine import OnnxEngine

log = logging.getLogger(__name__)

AUTO = "auto"
CANDIDATES = (
    "NvTensorRTRTXExecutionProvider",
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "CPUExecutionProvider",
)
TIMED_RUNS = 3


def fastest_engine(graph: Graph, threads: int = 0) -> OnnxEngine:
    """The graph on the provider that runs it fastest; providers that cannot run it are logged with the cause.

    Raises EngineError where none can.
    """
    engines: dict[str, tuple[float, OnnxEngine]] = {}
    problems = {}
    for provider in [name for name in CANDIDATES if name in ort.get_available_providers()]:
        try:
            engine = OnnxEngine(graph.path, (provider,), threads)
            engines[provider] = (_best_ms(engine, graph), engine)
        except EngineError as error:
            problems[provider] = str(error)
    for provider, problem in problems.items():
        log.warning("%s: %s is not used: %s", graph.name, provider, problem)
    if not engines:
        raise EngineError(f"no execution provider of this ONNX Runtime runs {graph.path}: {problems}")
    chosen = min(engines, key=lambda provider: engines[provider][0])
    timings = ", ".join(
        f"{provider} {milliseconds:.1f} ms" for provider, (milliseconds, _) in engines.items()
    )
    log.info("%s: %s is taken (%s)", graph.name, chosen, timings)
    return engines[chosen][1]


def _best_ms(engine: OnnxEngine, graph: Graph) -> float:
    """Shortest of several runs at typical sizes, after a first run, which may compile."""
    inputs = typical_inputs(engine.inputs, graph.sizes)
    engine.run(inputs)
    times_ms = []
    for _ in range(TIMED_RUNS):
        began = time.perf_counter()
        engine.run(inputs)
        times_ms.append(1e3 * (time.perf_counter() - began))
    return min(times_ms)
