"""`xview-localizer engines …`: TensorRT engines of a model package."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import logging
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import Package, SeparateDepth, load_package, print_line, tracked
from xview_localizer.engines.names import PrecisionName, RuntimeName

engines = typer.Typer(no_args_is_help=True, help="TensorRT engines of model packages.")

Runtime = Annotated[RuntimeName, typer.Option(help="What runs the engines; onnxruntime: check only.")]
Precision = Annotated[PrecisionName, typer.Option(help="int8 needs engines calibrate first.")]
Cache = Annotated[str, typer.Option(help="Folder of engines; ~/.cache/xview_localizer/engines by default.")]


@engines.callback()
def show_progress() -> None:
    """TensorRT engines of model packages."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


@engines.command()
def build(
    model: Package = None,
    depth: SeparateDepth = None,
    runtime: Runtime = RuntimeName.tensorrt,
    precision: Precision = PrecisionName.fp16,
    compute_capability: Annotated[
        str, typer.Option(help="For which GPUs, as 8.9,12.0; by default for the one of this machine.")
    ] = "",
    cache: Cache = "",
) -> None:
    """Build a package's engines where they are missing; one with wrong outputs on this machine's GPU is refused.

    Example: xview-localizer engines build
    Example: xview-localizer engines build --runtime tensorrt_rtx --compute-capability 8.9,12.0
    """
    from xview_localizer.engines.engine import EngineError
    from xview_localizer.engines.tensorrt.build import ComputeCapability
    from xview_localizer.engines.tensorrt.cache import EngineCache
    from xview_localizer.engines.tensorrt.cuda import this_gpu
    from xview_localizer.engines.tensorrt.library import load_library
    from xview_localizer.engines.tensorrt.open import cached_plan, engine_key, graph_to_build

    package, library, store = load_package(model, depth), load_library(runtime.value), EngineCache(cache)
    targets = [text for text in compute_capability.split(",") if text] or [this_gpu().compute_capability]
    made: list[Path] = []
    for capability in map(ComputeCapability.parse, targets):
        for graph in [graph_to_build(each, precision.value, store) for each in package.used_graphs.values()]:
            plan = cached_plan(graph, library, precision.value, store, capability)
            key = engine_key(graph, library, precision.value, capability)
            made.append(store.folder / key.file_name)
            print_line(f"{graph.name}: {len(plan) / 1e6:.0f} MB, {made[-1]}")
    if compute_capability:
        print_line(
            "built ahead of time; `engines check` on a machine with such a GPU compares them with the reference"
        )
        return
    try:
        check(model, depth, runtime, precision, None, cache)
    except EngineError:
        for path in made:
            path.unlink(missing_ok=True)
        raise


@engines.command()
def calibrate(
    pairs: Annotated[Path, typer.Option(help="Folder in the pairs format: images like those to come.")],
    model: Package = None,
    depth: SeparateDepth = None,
    cache: Cache = "",
) -> None:
    """Prepare a package's graphs for INT8, once: the ranges of activations come from images, and layers that INT8
    harms most are left out.

    Example: xview-localizer engines calibrate --pairs val
    """
    from xview_localizer.engines.tensorrt.cache import EngineCache
    from xview_localizer.evaluation.engine_calibration import calibrate_package
    from xview_localizer.recordings.pairs import PairsDataset

    folder = EngineCache(cache).folder
    for path in calibrate_package(load_package(model, depth), PairsDataset(pairs), folder, tracked("images")):
        print_line(str(path))


@engines.command("list")
def list_engines(cache: Cache = "") -> None:
    """List the engines that are kept, what they are for, and what is wrong with them.

    Example: xview-localizer engines list
    """
    from xview_localizer.engines.tensorrt.cache import EngineCache
    from xview_localizer.engines.tensorrt.open import unfit_reason

    store = EngineCache(cache)
    entries = store.entries()
    if not entries:
        print_line(f"no engines in {store.folder}")
    for path, key, problem in entries:
        about = f"{path.name}: {path.stat().st_size / 1e6:.0f} MB"
        if key is not None:
            about += f", {key.runtime} {key.runtime_version}, {key.precision}"
            about += f", for {key.gpu} GPU of compute capability {key.compute_capability}"
        print_line(f"{about}; {problem or unfit_reason(key) or 'fine'}")


@engines.command()
def check(
    model: Package = None,
    depth: SeparateDepth = None,
    runtime: Runtime = RuntimeName.tensorrt,
    precision: Precision = PrecisionName.fp16,
    pairs: Annotated[
        Optional[Path], typer.Option(help="Folder in the pairs format: compare poses on it too.")
    ] = None,
    cache: Cache = "",
) -> None:
    """Compare a package's engines with ONNX Runtime in FP32; exit code 1 where they differ too much.

    Example: xview-localizer engines check --pairs val
    Example: xview-localizer engines check --runtime onnxruntime --precision fp16
    """
    from xview_localizer.engines.engine import EngineError
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.engine_check import engine_check
    from xview_localizer.recordings.pairs import PairsDataset

    config = EngineConfig(runtime.value, precision=precision.value, cache_folder=cache)
    failed: list[str] = []
    with engine_check(load_package(model, depth), config) as checks:
        for result in checks.graphs():
            for error in result.errors:
                print_line(
                    f"{result.graph}: {error.name} differs by {error.relative:.2%} of its norm "
                    f"(allowed: {result.tolerance:.1%}), a single number by up to {error.greatest:.2g}"
                )
            if result.worst_layer is not None:
                failed.append(f"{result.graph}, worst layer {result.worst_layer.name}")
        if pairs is not None:
            poses = checks.poses(PairsDataset(pairs))
            if not poses.images:
                raise EngineError(
                    f"{pairs} has no pose that FP32 accepts, so none can be compared; give images of the model's kind"
                )
            print_line(
                f"poses of {poses.images} images: {poses.limits.share:.0%} within {poses.position_m:.3f} m and "
                f"{poses.yaw_deg:.2f}° of each other (allowed {poses.limits.position_m} m, {poses.limits.yaw_deg}°)"
            )
            failed += [] if poses.passed else ["poses"]
    if failed:
        raise EngineError(
            f"{runtime.value} {precision.value} differs too much from FP32: {'; '.join(failed)}; use fp32"
        )


@engines.command()
def clean(
    cache: Cache = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that fit, and timings.")] = False,
) -> None:
    """Remove engines that are damaged or made for another GPU or runtime.

    Example: xview-localizer engines clean
    """
    from xview_localizer.engines.tensorrt.cache import EngineCache
    from xview_localizer.engines.tensorrt.open import unfit_reason
    from xview_localizer.engines.tensorrt.timings import timing_caches

    store, why_all = EngineCache(cache), "--all" if everything else ""
    reasons = {path: problem or unfit_reason(key) or why_all for path, key, problem in store.entries()}
    reasons |= dict.fromkeys(timing_caches(store.folder), why_all)
    unwanted = {path: reason for path, reason in reasons.items() if reason}
    for path, reason in unwanted.items():
        path.unlink()
        path.with_suffix(".lock").unlink(missing_ok=True)
        print_line(f"removed {path.name}: {reason}")
    print_line(f"removed {len(unwanted)} files" if unwanted else "nothing to remove")
