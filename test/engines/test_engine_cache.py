"""Engines on disk: built once, found again, never half written, and what is damaged is built anew."""

import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from xview_localizer.engines.engine import EngineError, Graph, SizeRange
from xview_localizer.engines.tensorrt.build import ComputeCapability
from xview_localizer.engines.tensorrt.cache import (
    CacheError,
    EngineCache,
    EngineKey,
    read_engine,
    write_engine,
)
from xview_localizer.engines.tensorrt.cuda import Gpu
from xview_localizer.engines.tensorrt.library import TensorRtLibrary
from xview_localizer.engines.tensorrt.open import cached_plan, engine_key, unfit_reason

KEY = EngineKey("backbone", "ab" * 32, 1, "tensorrt_rtx", "1.7.1", "any", "8.9", "fp16", "{}")
PLAN = bytes(range(256)) * 64


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


def refuse() -> bytes:
    raise AssertionError("the engine was there")


def test_an_engine_is_built_once_and_found_again(cache):
    assert cache.get(KEY, lambda: PLAN) == PLAN
    assert cache.get(KEY, refuse) == PLAN
    assert [(key, problem) for _, key, problem in cache.entries()] == [(KEY, "")]


@pytest.mark.parametrize(
    "changes",
    [
        {"graph_sha256": "cd" * 32},
        {"lowering": 2},
        {"runtime": "tensorrt"},
        {"runtime_version": "1.8"},
        {"gpu": "Orin"},
        {"compute_capability": "12.0"},
        {"precision": "fp32"},
        {"profile": "{1}"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_an_engine_depends_on_makes_another(cache, changes):
    cache.get(KEY, lambda: PLAN)
    assert cache.get(replace(KEY, **changes), lambda: b"other") == b"other"
    assert cache.get(KEY, refuse) == PLAN


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-1], "cut off or altered"),
        (lambda content: content[:-1] + b"\0", "cut off or altered"),
        (lambda content: b"", "no engine of this version"),
        (lambda content: content.replace(b'"size"', b'"sise"'), "header cannot be read"),
        (lambda content: content.replace(b'"lowering"', b'"lowered"'), "header cannot be read"),
    ],
)
def test_a_damaged_engine_is_named_and_built_again(cache, caplog, damage, problem):
    cache.get(KEY, lambda: PLAN)
    path = cache.folder / KEY.file_name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CacheError, match=problem):
        read_engine(path)
    assert [entry[1] for entry in cache.entries()] == [None]
    assert cache.get(KEY, lambda: b"fresh") == b"fresh"
    assert problem in caplog.text
    assert cache.get(KEY, refuse) == b"fresh"


def test_a_file_under_another_s_name_is_not_taken(cache):
    cache.folder.mkdir()
    write_engine(cache.folder / KEY.file_name, replace(KEY, compute_capability="12.0"), b"foreign")
    assert cache.get(KEY, lambda: PLAN) == PLAN


def test_two_at_once_build_once(cache):
    building, go_on = threading.Event(), threading.Event()
    plans = []

    def build() -> bytes:
        building.set()
        assert go_on.wait(30)
        return PLAN

    first = threading.Thread(target=lambda: plans.append(cache.get(KEY, build)))
    first.start()
    assert building.wait(30)
    second = threading.Thread(target=lambda: plans.append(EngineCache(cache.folder).get(KEY, refuse)))
    second.start()
    go_on.set()
    for thread in (first, second):
        thread.join(30)
    assert plans == [PLAN, PLAN]


def test_who_waits_for_another_s_build_says_so(cache, monkeypatch):
    building, told = threading.Event(), []

    def tell(text: str, *about: object) -> None:
        told.append(text % about)
        waiting.set()

    waiting = threading.Event()
    monkeypatch.setattr("xview_localizer.engines.tensorrt.cache.log.info", tell)

    def build() -> bytes:
        building.set()
        assert waiting.wait(30)
        return PLAN

    first = threading.Thread(target=cache.get, args=(KEY, build))
    first.start()
    assert building.wait(30)
    assert cache.get(KEY, refuse) == PLAN
    first.join(30)
    assert told == [f"waiting for another process, which builds {KEY.file_name}"]


def test_a_sound_engine_is_read_where_nothing_can_be_written(cache):
    """As in a read-only file system. Root can write anywhere, so here a folder takes the lock file's place."""
    write_engine(cache.folder / KEY.file_name, KEY, PLAN)
    (cache.folder / KEY.file_name).with_suffix(".lock").mkdir()
    assert cache.get(KEY, refuse) == PLAN


def test_a_failed_build_leaves_nothing_behind(cache):
    def fail() -> bytes:
        raise RuntimeError("unsupported operator")

    with pytest.raises(RuntimeError):
        cache.get(KEY, fail)
    assert not cache.entries()
    assert cache.get(KEY, lambda: PLAN) == PLAN


def plan_of(graph_file, folder):
    """As a node gets it, up to TensorRT's own part."""
    library = TensorRtLibrary("tensorrt_rtx", SimpleNamespace(__version__="1.7.1"))
    graph = Graph("backbone", graph_file, "ab" * 32)
    return cached_plan(graph, library, "fp16", EngineCache(folder), ComputeCapability(8, 9))


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(product, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="backbone cannot be kept in .*file.*model.engine_cache_dir"):
        plan_of(product.path, tmp_path / "file" / "engines")


def test_a_graph_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match="cut.onnx cannot be brought into fp16"):
        plan_of(tmp_path / "cut.onnx", tmp_path / "engines")


@pytest.fixture
def orin(monkeypatch):
    """A machine with TensorRT and this GPU."""
    monkeypatch.setattr("xview_localizer.engines.tensorrt.open.this_gpu", lambda: Gpu("Orin", "8.7"))
    library = TensorRtLibrary("tensorrt", SimpleNamespace(__version__="10.3"))
    monkeypatch.setattr("xview_localizer.engines.tensorrt.open.load_library", lambda name: library)
    return library


def test_an_engine_of_tensorrt_is_for_this_gpu_alone(product, orin):
    key = engine_key(product, orin, "fp32", ComputeCapability(8, 7))
    assert (key.runtime, key.runtime_version, key.precision) == ("tensorrt", "10.3", "fp32")
    assert (key.gpu, key.compute_capability) == ("Orin", "8.7")
    with pytest.raises(EngineError, match=r"GPU of its own machine only \(Orin, .* 8.7\), not for 8.9"):
        engine_key(product, orin, "fp32", ComputeCapability(8, 9))


def test_engines_of_other_sizes_are_others(product, orin):
    wider = replace(product, sizes={"x": {1: SizeRange(1, 4, 17)}})
    one, other = (engine_key(graph, orin, "fp16", ComputeCapability(8, 7)) for graph in (product, wider))
    assert one.file_name != other.file_name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"gpu": "any"}, ""),
        ({"gpu": "Thor"}, r"foreign: the GPU here is Orin \(8.7\)"),
        ({"compute_capability": "8.9"}, "foreign"),
        ({"runtime_version": "10.2"}, "stale: tensorrt 10.2 made it, here is 10.3"),
        ({"lowering": 0}, "stale: another version of xview_localizer lowered its graph"),
    ],
)
def test_what_keeps_an_engine_from_fitting_is_told(product, orin, changes, reason):
    key = engine_key(product, orin, "fp16", ComputeCapability(8, 7))
    told = unfit_reason(replace(key, **changes))
    assert re.match(reason, told) and bool(told) == bool(reason)
