"""Genuine builds with TensorRT-RTX, ahead of time: no GPU is needed to build, only to run.

Skipped where the `tensorrt-rtx` extra is not installed.
"""

from dataclasses import replace

import numpy as np
import pytest
from graphs import save_graph
from onnx import helper

from xview_localizer.engines.engine import EngineError
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.engines.tensorrt.build import ComputeCapability
from xview_localizer.engines.tensorrt.cache import EngineCache, read_engine
from xview_localizer.engines.tensorrt.calibration import calibrate_graph
from xview_localizer.engines.tensorrt.cuda import this_gpu
from xview_localizer.engines.tensorrt.library import load_library
from xview_localizer.engines.tensorrt.open import cached_plan, engine_key, graph_to_build, unfit_reason
from xview_localizer.engines.tensorrt.progress import progress_monitor
from xview_localizer.engines.tensorrt.timings import TimingCache

pytest.importorskip("onnxruntime_ep_nv_tensorrt_rtx")

ADA, BLACKWELL = ComputeCapability(8, 9), ComputeCapability(12, 0)


@pytest.fixture(scope="module")
def library():
    return load_library("tensorrt_rtx")


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


@pytest.mark.parametrize("capability", [ADA, BLACKWELL], ids=str)
@pytest.mark.parametrize("name", ["backbone", "ground_head", "aerial_head"])
def test_every_shipped_graph_builds(package, library, cache, name, capability):
    graph = package.graphs[name]
    plan = cached_plan(graph, library, "fp16", cache, capability)
    # FP16: about half the FP32 weights, and not the int8 ones.
    weights = graph.path.stat().st_size * (4 if name == "backbone" else 1)
    assert 0.35 * weights < len(plan) < 2 * weights
    key, kept = read_engine(cache.folder / engine_key(graph, library, "fp16", capability).file_name)
    assert kept == plan and key.compute_capability == str(capability)


def test_int8_products_are_built_as_such(package, library, cache):
    """The weights of the default package's backbone are int8 in the engine, but for the few layers left out."""
    rng, graph = np.random.default_rng(0), package.graphs["backbone"]
    calibrate_graph(graph, [{"image": rng.random((1, 3, 84, 84), dtype=np.float32)}], cache.folder)
    to_build = graph_to_build(graph, "int8", cache)
    plan = cached_plan(to_build, library, "int8", cache, ADA)
    assert len(plan) < 0.9 * len(cached_plan(graph, library, "fp16", cache, ADA))
    key, _ = read_engine(cache.folder / engine_key(to_build, library, "int8", ADA).file_name)
    assert (key.precision, key.graph_sha256) == ("int8", to_build.sha256)


def test_an_unsupported_operator_is_named_with_its_layer(tmp_path, library, cache):
    strange = helper.make_node("MyOwnOperator", ["x"], ["y"], name="strange")
    graph = save_graph(tmp_path / "strange.onnx", [strange], {})
    with pytest.raises(EngineError, match="strange has an operator that .* does not support: MyOwnOperator"):
        cached_plan(graph, library, "fp32", cache, ADA)
    assert not cache.entries()


def test_a_free_axis_without_sizes_is_refused(product, library, cache):
    with pytest.raises(EngineError, match="axis 1 of 'x' is free, and its package declares no sizes"):
        cached_plan(replace(product, sizes={}), library, "fp32", cache, ADA)


def test_a_gpu_that_it_does_not_build_for_is_named(product, library, cache):
    with pytest.raises(EngineError, match="does not build for compute capability 8.7; it has 7.5, 8.0"):
        cached_plan(product, library, "fp32", cache, ComputeCapability(8, 7))


def test_engines_of_another_version_are_stale(product, library):
    key = engine_key(product, library, "fp16", ADA)
    assert "stale: tensorrt_rtx 0.9 made it" in unfit_reason(replace(key, runtime_version="0.9"))


def test_without_a_gpu_an_engine_is_refused_with_the_reason(product, cache):
    try:
        this_gpu()
    except EngineError:
        with pytest.raises(EngineError, match="no NVIDIA GPU is usable here"):
            engine_for(product, EngineConfig("tensorrt_rtx", cache_folder=str(cache.folder)))
    else:
        pytest.skip("there is a GPU here")


@pytest.mark.parametrize("text", ["89", "8.", "ada"])
def test_compute_capabilities_are_checked(text):
    with pytest.raises(EngineError, match="is written like 8.9"):
        ComputeCapability.parse(text)


@pytest.mark.parametrize("name", ["backbone", "depth_head"])
def test_graphs_of_an_updated_package_build_too(library, cache, tmp_path, name):
    """The backbone with integer inputs, depth on its own."""
    pytest.importorskip("torch")
    from xview_localizer.models.package import default_package_path
    from xview_localizer.models.update import update_package

    graph = update_package(default_package_path(), tmp_path / "package").graphs[name]
    assert len(cached_plan(graph, library, "fp16", cache, ADA)) > 10_000


def test_a_build_logs_its_progress(library, caplog):
    monitor = progress_monitor(library.trt, "backbone", period_sec=0.0)
    with caplog.at_level("INFO"):
        monitor.phase_start("Building engine", None, 4)
        monitor.phase_start("Timing kernels", "Building engine", 90)
        assert monitor.step_complete("Timing kernels", 3) and monitor.step_complete("Building engine", 1)
        monitor.phase_finish("Building engine")
        monitor.step_complete("Building engine", 2)
    assert caplog.messages == ["backbone: Building engine, step 2 of 4"]


def test_timings_of_a_gpu_are_kept_and_damaged_ones_replaced(library, tmp_path):
    builder = library.trt.Builder(library.trt.Logger())
    timings = TimingCache(tmp_path, library, "NVIDIA Orin / AGX")
    assert timings.path.parent == tmp_path
    for content in (None, b"damaged"):
        if content is not None:
            timings.path.write_bytes(content)
        config = builder.create_builder_config()
        timings.load(config)
        timings.save(config)
        assert timings.path.read_bytes() not in (b"", b"damaged")
    assert [path.name for path in tmp_path.iterdir()] == [timings.path.name]
