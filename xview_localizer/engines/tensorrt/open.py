"""Opening the TensorRT engine of a graph: from the cache, or lowered, built and stored there."""

from __future__ import annotations

from xview_localizer.engines.engine import Engine, EngineError, Graph
from xview_localizer.engines.tensorrt.build import ComputeCapability, build_plan
from xview_localizer.engines.tensorrt.cache import EngineCache, EngineKey
from xview_localizer.engines.tensorrt.cuda import this_gpu
from xview_localizer.engines.tensorrt.library import TensorRtLibrary, load_library
from xview_localizer.engines.tensorrt.tensorrt_engine import TensorRtEngine
from xview_localizer.engines.tensorrt.timings import TimingCache

ANY_GPU = "any"


def open_engine(graph: Graph, runtime: str, precision: str, cache: EngineCache) -> Engine:
    """The engine of `graph` on this machine's GPU. Raises EngineError."""
    library = load_library(runtime)
    capability = ComputeCapability.parse(this_gpu().compute_capability)
    plan = cached_plan(graph_to_build(graph, precision, cache), library, precision, cache, capability)
    return TensorRtEngine(graph.name, plan, library)


def graph_to_build(graph: Graph, precision: str, cache: EngineCache) -> Graph:
    """What engines of `precision` are built from: the graph itself, or for INT8 its calibrated form.

    Raises EngineError where it has not been calibrated.
    """
    if precision != _lowering().INT8:
        return graph
    from xview_localizer.engines.tensorrt.calibration import calibrated_graph

    return calibrated_graph(graph, cache.folder)


def cached_plan(
    graph: Graph, library: TensorRtLibrary, precision: str, cache: EngineCache, capability: ComputeCapability
) -> bytes:
    """The plan of a graph that `graph_to_build` gave, for GPUs of `capability`.

    TensorRT, unlike TensorRT-RTX, builds for this machine's GPU only. Raises EngineError.
    """
    key = engine_key(graph, library, precision, capability)
    # TensorRT-RTX times kernels at run time, not when it builds.
    aim = capability if library.ahead_of_time else None
    timings = None if library.ahead_of_time else TimingCache(cache.folder, library, key.gpu)
    try:
        return cache.get(
            key,
            lambda: build_plan(graph.name, _lowered(graph, precision), graph.sizes, library, aim, timings),
        )
    except OSError as error:
        raise EngineError(
            f"the engine of {graph.name} cannot be kept in {cache.folder} ({error}); make the folder writable, or "
            "name another one (model.engine_cache_dir, --cache)"
        ) from error


def engine_key(
    graph: Graph, library: TensorRtLibrary, precision: str, capability: ComputeCapability
) -> EngineKey:
    """The cache key of an engine. Raises EngineError where it would have to be built on another machine."""
    lowering = _lowering()
    gpu = ANY_GPU
    if not library.ahead_of_time:
        own = this_gpu()
        gpu = own.name
        if own.compute_capability != str(capability):
            raise EngineError(
                f"{library.name} builds for the GPU of its own machine only ({own.name}, compute capability "
                f"{own.compute_capability}), not for {capability}; build there, or take tensorrt_rtx"
            )
    sizes = {name: {axis: vars(size) for axis, size in axes.items()} for name, axes in graph.sizes.items()}
    return EngineKey(
        graph=graph.name,
        graph_sha256=graph.sha256,
        lowering=lowering.LOWERING_VERSION,
        runtime=library.name,
        runtime_version=library.version,
        gpu=gpu,
        compute_capability=str(capability),
        precision=precision,
        profile=repr(sizes),
    )


def unfit_reason(key: EngineKey) -> str:
    """The reason why this machine cannot use an engine; empty where it can. Without a GPU, the GPU is not checked."""
    try:
        version, lowering_version = load_library(key.runtime).version, _lowering().LOWERING_VERSION
    except EngineError as error:
        return str(error)
    if version != key.runtime_version:
        return f"stale: {key.runtime} {key.runtime_version} made it, here is {version}"
    if lowering_version != key.lowering:
        return "stale: another version of xview_localizer lowered its graph"
    try:
        gpu = this_gpu()
    except EngineError:
        return ""
    if gpu.compute_capability != key.compute_capability or key.gpu not in (ANY_GPU, gpu.name):
        return f"foreign: the GPU here is {gpu.name} ({gpu.compute_capability})"
    return ""


def _lowering():
    try:
        from xview_localizer.engines.tensorrt import lowering
    except ImportError as error:
        raise EngineError(f"building engines needs onnx ({error}); pip install onnx") from error
    return lowering


def _lowered(graph: Graph, precision: str):
    try:
        return _lowering().lowered(graph.path, precision)
    except Exception as error:  # onnx's tools have no common one for graphs that they cannot convert
        raise EngineError(f"{graph.path} cannot be brought into {precision}: {error}") from error
