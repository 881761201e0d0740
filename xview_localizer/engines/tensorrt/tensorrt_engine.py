"""TensorRT and TensorRT-RTX behind the Engine interface."""

from __future__ import annotations

import threading
import weakref

import numpy as np

from xview_localizer.engines.engine import EngineError, TensorSpec, check_inputs
from xview_localizer.engines.tensorrt import cuda
from xview_localizer.engines.tensorrt.library import TensorRtLibrary

Shapes = tuple[tuple[int, ...], ...]


class TensorRtEngine:
    """One engine with its own stream, pinned buffers for the largest inputs, and a CUDA graph for each input shape.

    Engines overlap on the GPU when run from different threads, since each has its own stream. Thread-safe. Raises
    EngineError where the plan does not fit this machine or its memory does not suffice.
    """

    def __init__(self, name: str, plan: bytes, library: TensorRtLibrary) -> None:
        self._name, trt = name, library.trt
        cuda.this_gpu()  # TensorRT's own message does not name what is missing
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"the engine of {name} does not fit this GPU or {library.name} {library.version}; "
                "xview-localizer engines clean, then build again"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"too little GPU memory for {name}; end other programs, or take a smaller model"
            )
        self._read_tensors(trt)
        self._stream = cuda.new_stream()
        self._buffers: dict[str, cuda.PinnedBuffer] = {}
        # Before they are filled: where memory does not suffice for all of them, those made so far are given back.
        weakref.finalize(self, _release, self._buffers, self._stream)
        self._allocate()
        self._graphs: dict[Shapes, object] = {}
        self._seen: set[Shapes] = set()
        self._lock = threading.Lock()
        typical = {spec.name: np.zeros(self._profile[spec.name][1], spec.dtype) for spec in self.inputs}
        self.run(typical)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once. Raises EngineError where `inputs` do not fit."""
        check_inputs(self._name, self.inputs, inputs)
        shapes = tuple(inputs[spec.name].shape for spec in self.inputs)
        self._check_profile(shapes)
        with self._lock:
            for spec in self.inputs:
                np.copyto(self._buffers[spec.name].host(inputs[spec.name].shape), inputs[spec.name])
            if shapes in self._graphs:
                cuda.call("cudaGraphLaunch", self._graphs[shapes], self._stream)
            else:
                self._first_runs(shapes)
            cuda.call("cudaStreamSynchronize", self._stream)
            outputs = self._output_shapes(shapes)
            return {name: self._buffers[name].host(shape).copy() for name, shape in outputs.items()}

    def _read_tensors(self, trt) -> None:
        inputs, outputs = [], []
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(size if size >= 0 else None for size in self._engine.get_tensor_shape(name))
            spec = TensorSpec(name, shape, np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))))
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (inputs if is_input else outputs).append(spec)
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._profile = {
            spec.name: [tuple(shape) for shape in self._engine.get_tensor_profile_shape(spec.name, 0)]
            for spec in self.inputs
        }

    def _allocate(self) -> None:
        greatest = tuple(self._profile[spec.name][2] for spec in self.inputs)
        shapes = dict(zip((spec.name for spec in self.inputs), greatest, strict=True))
        shapes.update(self._output_shapes(greatest))
        for spec in self.inputs + self.outputs:
            buffer = self._buffers[spec.name] = cuda.PinnedBuffer(shapes[spec.name], spec.dtype)
            self._context.set_tensor_address(spec.name, int(buffer.device))

    def _check_profile(self, shapes: Shapes) -> None:
        for spec, shape in zip(self.inputs, shapes, strict=True):
            least, _, greatest = self._profile[spec.name]
            if not all(low <= size <= high for low, size, high in zip(least, shape, greatest, strict=True)):
                raise EngineError(
                    f"{self._name}: {spec.name!r} of shape {shape} is outside of the sizes that the engine was built "
                    f"for, {least} to {greatest}"
                )

    def _output_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        for spec, shape in zip(self.inputs, shapes, strict=True):
            self._context.set_input_shape(spec.name, shape)
        return {spec.name: tuple(self._context.get_tensor_shape(spec.name)) for spec in self.outputs}

    def _first_runs(self, shapes: Shapes) -> None:
        """Run without a CUDA graph; at a shape's second run record one (TensorRT allocates memory in the first)."""
        outputs = self._output_shapes(shapes)
        again = shapes in self._seen
        self._seen.add(shapes)
        if again:
            cuda.begin_capture(self._stream)
        for spec, shape in zip(self.inputs, shapes, strict=True):
            self._buffers[spec.name].upload(shape, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(f"{self._name} failed on the GPU")
        for name, shape in outputs.items():
            self._buffers[name].download(shape, self._stream)
        if again:
            self._graphs[shapes] = cuda.end_capture(self._stream)
            cuda.call("cudaGraphLaunch", self._graphs[shapes], self._stream)


def _release(buffers: dict[str, cuda.PinnedBuffer], stream) -> None:
    for buffer in buffers.values():
        buffer.free()
    cuda.call("cudaStreamDestroy", stream)
