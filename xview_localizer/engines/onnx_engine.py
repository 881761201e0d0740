"""ONNX Runtime behind the Engine interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from xview_localizer.engines.engine import EngineError, TensorSpec, check_inputs

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxEngine:
    """One ONNX graph in an ONNX Runtime session.

    `providers` are execution providers in order of preference; with `threads` 0 the runtime chooses.
    Raises EngineError where the graph cannot be loaded or a provider is not available.
    """

    def __init__(
        self, path: Path | str, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 0
    ) -> None:
        self._path = Path(path)
        if not providers:
            raise EngineError(
                "no execution provider is named; name one, such as CPUExecutionProvider, or auto"
            )
        missing = [name for name in providers if name not in ort.get_available_providers()]
        if missing:
            raise EngineError(
                f"execution provider {missing[0]} is not in this ONNX Runtime; "
                f"it has {', '.join(ort.get_available_providers())}"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Idle threads that spin would take the cores from other engines, NumPy and the robot's other programs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only; they are raised as well
        try:
            self._session = ort.InferenceSession(str(self._path), options, providers=list(providers))
        except Exception as error:  # ONNX Runtime's exceptions have no common public base class
            raise EngineError(f"cannot load {self._path}: {error}") from error
        if self.provider != providers[0]:
            raise EngineError(
                f"execution provider {providers[0]} cannot be used on this machine, its libraries or device are missing"
            )
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self._warm_up()

    @property
    def provider(self) -> str:
        """The execution provider that runs the graph."""
        return self._session.get_providers()[0]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once. Raises EngineError where `inputs` do not fit."""
        check_inputs(self._path.name, self.inputs, inputs)
        try:
            outputs = self._session.run(None, inputs)
        except Exception as error:
            raise EngineError(f"{self._path.name} failed: {error}") from error
        return {spec.name: array for spec, array in zip(self.outputs, outputs, strict=True)}

    def _warm_up(self) -> None:
        """Run once, since first runs allocate memory; graphs with free sizes do that at their first image."""
        if all(None not in spec.shape for spec in self.inputs):
            self.run({spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.inputs})


def _spec(node) -> TensorSpec:
    if node.type not in _DTYPES:
        raise EngineError(f"tensor {node.name!r} has the unsupported type {node.type}")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(node.name, shape, np.dtype(_DTYPES[node.type]))
