"""The benchmark measures what it names, and compares with an earlier result."""

import json

import pytest
from ground_depth import write_ground_depth

from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.bench import compared, read_bench, run_bench


@pytest.fixture(scope="module")
def figures(package):
    return run_bench(package, 2, EngineConfig(threads=1))


def test_every_graph_and_stage_is_timed_and_the_conditions_are_named(figures, package):
    assert set(figures["graphs"]) == set(package.graphs)
    backbone = figures["graphs"]["backbone"]
    assert backbone["inputs"]["image"] == [1, 3, 252, 364] and backbone["file_mb"] > 10
    assert 0 < backbone["p5_ms"] <= backbone["median_ms"] <= backbone["p95_ms"]
    stages = figures["stages"]
    for camera in ("pinhole 90° 640×480", "panorama 512×256"):
        parts = [stages[f"{camera}: {part}"]["median_ms"] for part in ("view", "encode", "match", "solve")]
        assert 0 < sum(parts) < 1.5 * stages[f"{camera}: whole image"]["p95_ms"]
    assert figures["engines"]["threads"] == 1 and figures["engines"]["runtime"] == "onnxruntime"
    assert 100 < figures["peak_memory_mb"] < 20_000
    assert {"cpu", "gpu", "system"} <= figures["machine"].keys()


def test_a_separate_depth_network_is_timed_like_the_others(package, tmp_path):
    """And that of the package, whose place it takes, is not."""
    with_depth = package.with_depth(write_ground_depth(tmp_path))
    figures = run_bench(with_depth, 1, EngineConfig(threads=1))
    assert set(figures["graphs"]) == {*package.graphs, "depth"} - {"depth_head"}
    assert figures["graphs"]["depth"]["inputs"] == {"image": [1, 3, 90, 180]}
    assert figures["stages"]["pinhole 90° 640×480: depth"]["median_ms"] > 0


def test_ratios_to_an_earlier_result(figures, tmp_path):
    earlier = json.loads(json.dumps(figures))
    earlier["stages"]["panorama 512×256: solve"]["median_ms"] *= 2
    del earlier["graphs"]["aerial_head"]
    (tmp_path / "old.json").write_text(json.dumps(earlier))
    rows = {name: now / then for name, now, then in compared(figures, read_bench(tmp_path / "old.json"))}
    assert rows["panorama 512×256: solve"] == pytest.approx(0.5)
    assert rows["backbone"] == rows["peak memory, MB"] == 1.0 and "aerial_head" not in rows


@pytest.mark.parametrize("text", ["{", "[]", '{"stages": {}}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="old.json"):
        read_bench(path)
