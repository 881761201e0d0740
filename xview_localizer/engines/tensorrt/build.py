"""Building a TensorRT engine from a lowered graph."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xview_localizer.engines.engine import EngineError, InputSizes, SizeRange
from xview_localizer.engines.tensorrt.library import TensorRtLibrary
from xview_localizer.engines.tensorrt.progress import progress_monitor
from xview_localizer.engines.tensorrt.timings import TimingCache

if TYPE_CHECKING:  # a machine without onnx gets as far as the message that names it
    from onnx import ModelProto

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComputeCapability:
    """The compute capability of a GPU, such as 8.9 (Ada), 12.0 (Blackwell) or 8.7 (Jetson Orin)."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ComputeCapability:
        """The capability written like "8.9". Raises EngineError."""
        major, dot, minor = text.strip().partition(".")
        if not (dot and major.isdigit() and minor.isdigit()):
            raise EngineError(f"a compute capability is written like 8.9, got {text!r}")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def build_plan(
    name: str,
    model: ModelProto,
    sizes: InputSizes,
    library: TensorRtLibrary,
    ahead_of_time_for: ComputeCapability | None = None,
    timings: TimingCache | None = None,
) -> bytes:
    """The serialized engine, for this machine's GPU or ahead of time for GPUs of the given compute capability.

    `timings` stores the measured times of this GPU's kernels for later builds. The progress is logged. Raises
    EngineError with TensorRT's own message where it does not support the graph.
    """
    trt = library.trt
    messages = _Messages(trt)
    builder = _made(trt.Builder, messages, name, messages.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages.logger)
    if not parser.parse(model.SerializeToString()):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        raise EngineError(
            f"{name} has an operator that {library.name} {library.version} does not support: {_first(errors)}"
        )
    config = builder.create_builder_config()
    if ahead_of_time_for is not None:
        _aim_at(config, ahead_of_time_for, library)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes = profile_shapes(tuple(tensor.shape), sizes.get(tensor.name, {}), name, tensor.name)
        profile.set_shape(tensor.name, *shapes)
    config.add_optimization_profile(profile)
    config.progress_monitor = progress_monitor(trt, name)
    if timings is not None:
        timings.load(config)
    began = time.perf_counter()
    log.info("building the %s engine of %s, once", library.name, name)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{library.name} {library.version} cannot build {name}: {messages.last}")
    if timings is not None:
        timings.save(config)
    log.info("built the %s engine of %s in %.0f s", library.name, name, time.perf_counter() - began)
    return bytes(plan)


def profile_shapes(
    shape: tuple[int, ...], ranges: dict[int, SizeRange], graph: str, tensor: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Least, typical and greatest shape of an input with free axes (-1). Raises EngineError where one has no range."""
    undeclared = [axis for axis, size in enumerate(shape) if size < 0 and axis not in ranges]
    if undeclared:
        raise EngineError(
            f"{graph}: axis {undeclared[0]} of {tensor!r} is free, and its package declares no sizes for it"
        )
    fixed = [ranges[axis] if size < 0 else SizeRange(size, size, size) for axis, size in enumerate(shape)]
    return (
        tuple(size.least for size in fixed),
        tuple(size.typical for size in fixed),
        tuple(size.greatest for size in fixed),
    )


def _aim_at(config, capability: ComputeCapability, library: TensorRtLibrary) -> None:
    if not library.ahead_of_time:
        raise EngineError(
            f"{library.name} builds for the GPU of its own machine only; build there, or take tensorrt_rtx"
        )
    known = library.trt.ComputeCapability.__members__
    wanted = f"SM{capability.major}{capability.minor}"
    if wanted not in known:
        offered = ", ".join(f"{key[2:-1]}.{key[-1]}" for key in known if key.startswith("SM"))
        raise EngineError(
            f"{library.name} {library.version} does not build for compute capability {capability}; it has {offered}"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(known[wanted], 0)


def _made(make, messages: _Messages, name: str, *arguments):
    try:
        return make(*arguments)
    except (TypeError, RuntimeError) as error:  # raised by pybind for a null pointer
        raise EngineError(f"cannot build {name}: {messages.last or error}") from error


def _first(errors: list) -> str:
    if not errors:
        return "the parser gives no reason"
    # Later errors follow from the first one.
    error = next((entry for entry in errors if entry.node_name()), errors[0])
    return f"{error.node_operator()} {error.node_name()}: {error.desc()}".strip()


class _Messages:
    """TensorRT's logger: it passes errors on to the log and keeps the last one."""

    def __init__(self, trt) -> None:
        self.last = ""
        outer = self

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity, message: str) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    outer.last = message
                    log.debug("%s", message)

        self.logger = Logger()
