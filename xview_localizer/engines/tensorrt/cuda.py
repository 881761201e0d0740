"""The calls of the CUDA runtime that an engine needs, with errors that name the remedy."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from xview_localizer.engines.engine import EngineError


def _runtime():
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise EngineError(
            f"TensorRT engines need cuda-bindings ({error}); pip install cuda-bindings"
        ) from error
    return runtime


def call(function: str, *arguments):
    """Result of a function of the CUDA runtime. Raises EngineError with CUDA's own message."""
    runtime = _runtime()
    status, *results = getattr(runtime, function)(*arguments)
    if status != runtime.cudaError_t.cudaSuccess:
        _, message = runtime.cudaGetErrorString(status)
        hint = ""
        if status == runtime.cudaError_t.cudaErrorMemoryAllocation:
            hint = "; the GPU has too little free memory: end other programs on it, or take a smaller model"
        raise EngineError(f"{function} failed: {message.decode()}{hint}")
    return results[0] if results else None


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine."""

    name: str
    compute_capability: str


def this_gpu() -> Gpu:
    """The first GPU. Raises EngineError where there is none, or no driver for it."""
    try:
        properties = call("cudaGetDeviceProperties", 0)
    except EngineError as error:
        raise EngineError(f"no NVIDIA GPU is usable here ({error})") from error
    return Gpu(properties.name.rstrip(b"\0").decode(), f"{properties.major}.{properties.minor}")


class PinnedBuffer:
    """Page-locked host memory and GPU memory of the same size, for one tensor of at most `shape`."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._bytes = int(np.prod(shape)) * dtype.itemsize
        self._dtype = dtype
        self.device = call("cudaMalloc", self._bytes)
        try:
            self._host = call("cudaMallocHost", self._bytes)
        except EngineError:
            call("cudaFree", self.device)
            raise
        memory = (ctypes.c_uint8 * self._bytes).from_address(int(self._host))
        self._flat = np.frombuffer(memory, dtype=dtype)

    def host(self, shape: tuple[int, ...]) -> np.ndarray:
        """The host's memory as an array of `shape`."""
        return self._flat[: int(np.prod(shape))].reshape(shape)

    def upload(self, shape: tuple[int, ...], stream) -> None:
        """Copy the first elements to the GPU, in the stream."""
        self._copy(self.device, self._host, shape, "cudaMemcpyHostToDevice", stream)

    def download(self, shape: tuple[int, ...], stream) -> None:
        """Copy the first elements from the GPU, in the stream."""
        self._copy(self._host, self.device, shape, "cudaMemcpyDeviceToHost", stream)

    def _copy(self, target, source, shape: tuple[int, ...], kind: str, stream) -> None:
        size = int(np.prod(shape)) * self._dtype.itemsize
        call("cudaMemcpyAsync", target, source, size, getattr(_runtime().cudaMemcpyKind, kind), stream)

    def free(self) -> None:
        call("cudaFree", self.device)
        call("cudaFreeHost", self._host)


def new_stream():
    """A new stream, which does not wait for the default one."""
    return call("cudaStreamCreateWithFlags", _runtime().cudaStreamNonBlocking)


def begin_capture(stream) -> None:
    """Record subsequent work on the stream as a CUDA graph instead of running it."""
    call("cudaStreamBeginCapture", stream, _runtime().cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)


def end_capture(stream):
    """The recorded CUDA graph, ready to launch."""
    return call("cudaGraphInstantiate", call("cudaStreamEndCapture", stream), 0)
