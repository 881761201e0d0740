"""One place opens engines: by trying providers, and with a fallback only where one is configured."""

import subprocess
import sys

import numpy as np
import onnxruntime as ort
import pytest

from xview_localizer.engines import providers
from xview_localizer.engines.engine import EngineError, Graph, SizeRange, TensorSpec, typical_inputs
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.engines.tensorrt.library import load_library


def test_auto_takes_a_working_provider_and_logs_it(product, caplog):
    caplog.set_level("INFO")
    engine = engine_for(product, EngineConfig(providers=("auto",), threads=1))
    assert engine.provider in providers.CANDIDATES
    assert f"product: {engine.provider} is taken" in caplog.text
    assert engine.run({"x": np.ones((1, 3, 8), np.float32)})["y"].shape == (1, 3, 8)


def test_auto_takes_the_fastest_at_the_sizes_that_are_typical(product, monkeypatch):
    """Of two, one of which takes ten times as long as the clock shows."""
    ticks = iter(np.cumsum([0, 10, 0, 10, 0, 10, 0, 1, 0, 1, 0, 1.0]))
    opened, timed = [], []

    class Engine:
        inputs = (TensorSpec("x", (1, None, 8), np.dtype(np.float32)),)

        def __init__(self, path, names, threads):
            opened.append(self)

        def run(self, inputs):
            timed.append(inputs["x"].shape)

    monkeypatch.setattr(ort, "get_available_providers", lambda: list(providers.CANDIDATES[:2]))
    monkeypatch.setattr(providers, "OnnxEngine", Engine)
    monkeypatch.setattr(providers.time, "perf_counter", lambda: next(ticks))
    assert providers.fastest_engine(product) is opened[1]
    assert set(timed) == {(1, 4, 8)}


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_auto_leaves_out_what_cannot_be_used(product, caplog, monkeypatch):
    """ONNX Runtime lists providers whose libraries are missing, and goes on with the CPU without a word."""
    listed = ["CUDAExecutionProvider", *ort.get_available_providers()]
    monkeypatch.setattr(ort, "get_available_providers", lambda: listed)
    engine = engine_for(product, EngineConfig(providers=("auto",), threads=1))
    assert engine.provider != "CUDAExecutionProvider"
    assert "CUDAExecutionProvider is not used" in caplog.text


def test_a_graph_that_no_provider_runs_is_an_error(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(EngineError, match="no execution provider .* runs"):
        engine_for(Graph("broken", broken, ""), EngineConfig(providers=("auto",)))


def test_typical_inputs_have_declared_sizes():
    spec = TensorSpec("x", (1, None, 8, None), np.dtype(np.float32))
    inputs = typical_inputs((spec,), {"x": {1: SizeRange(1, 4, 16)}})
    assert inputs["x"].shape == (1, 4, 8, 1)


def test_an_unknown_runtime_is_refused_by_name(product):
    with pytest.raises(EngineError, match="unknown runtime 'tensorflow'; there are onnxruntime, tensorrt"):
        engine_for(product, EngineConfig("tensorflow"))


def test_engines_of_a_runtime_that_has_none_are_refused_by_name():
    with pytest.raises(
        EngineError, match="onnxruntime has no engines of its own; those of tensorrt and tensorrt_rtx"
    ):
        load_library("onnxruntime")


@pytest.fixture
def without_tensorrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def test_without_the_runtime_the_message_names_the_remedy(product, without_tensorrt, tmp_path):
    config = EngineConfig("tensorrt", cache_folder=str(tmp_path))
    with pytest.raises(EngineError, match="tensorrt cannot be loaded .*; it comes with JetPack"):
        engine_for(product, config)


WITHOUT_ONNX = """
import sys
from types import SimpleNamespace
sys.modules["onnx"] = None
sys.modules["tensorrt"] = SimpleNamespace(__version__="10.3")
from xview_localizer.engines.engine import EngineError, Graph
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.engines.tensorrt import cuda, open
open.this_gpu = lambda: cuda.Gpu("Orin", "8.7")
try:
    engine_for(Graph("product", sys.argv[1], ""), EngineConfig("tensorrt"))
except EngineError as error:
    print(error)
"""


def test_an_engine_without_onnx_is_refused_by_name(product):
    """Which the base installation lacks. In a process of its own, which has not imported it yet."""
    command = [sys.executable, "-c", WITHOUT_ONNX, str(product.path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith("building engines needs onnx") and "pip install onnx" in told


def test_no_provider_is_none(product):
    with pytest.raises(EngineError, match="no execution provider is named"):
        engine_for(product, EngineConfig(providers=()))


def test_the_fallback_runs_what_tensorrt_cannot(product, without_tensorrt, tmp_path, caplog):
    engine = engine_for(
        product, EngineConfig("tensorrt", cache_folder=str(tmp_path), fallback=True, threads=1)
    )
    assert engine.provider == "CPUExecutionProvider"
    assert "product runs in ONNX Runtime instead of tensorrt: tensorrt cannot be loaded" in caplog.text
