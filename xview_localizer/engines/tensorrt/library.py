"""NVIDIA's two runtimes behind one interface: TensorRT, and TensorRT-RTX with the same Python API."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from xview_localizer.engines.engine import EngineError

TENSORRT, TENSORRT_RTX = "tensorrt", "tensorrt_rtx"
# Each one depends on those before it.
_RTX_LIBRARIES = ("libcudart.so.*", "libtensorrt_rtx.so.*", "libtensorrt_onnxparser_rtx.so.*")
_REMEDIES = {
    TENSORRT: "it comes with JetPack, or with NVIDIA's packages for Ubuntu (python3-libnvinfer)",
    TENSORRT_RTX: "pip install 'xview_localizer[tensorrt-rtx]' (x86-64), or NVIDIA's TensorRT-RTX package",
}


@dataclass(frozen=True)
class TensorRtLibrary:
    """An imported runtime. `trt` has the API of the `tensorrt` module."""

    name: str  # "tensorrt" or "tensorrt_rtx"
    trt: ModuleType

    @property
    def version(self) -> str:
        return str(self.trt.__version__)

    @property
    def ahead_of_time(self) -> bool:
        """Whether engines can be built for a GPU that is not in this machine."""
        return self.name == TENSORRT_RTX


@cache
def load_library(name: str) -> TensorRtLibrary:
    """Import the runtime. Raises EngineError with the remedy where it is not installed."""
    if name not in _REMEDIES:
        raise EngineError(f"{name} has no engines of its own; those of {' and '.join(_REMEDIES)} are built")
    try:
        trt = import_module(name if name == TENSORRT or find_spec(name) else _rtx_of_wheels())
    except (ImportError, OSError) as error:
        raise EngineError(f"{name} cannot be loaded ({error}); {_REMEDIES[name]}") from error
    return TensorRtLibrary(name, trt)


def _rtx_of_wheels() -> str:
    """Name of the bindings' module, after loading the shared libraries of ONNX Runtime's wheel that they need."""
    spec = find_spec("onnxruntime_ep_nv_tensorrt_rtx")
    if spec is None or spec.origin is None:
        raise ImportError("neither tensorrt_rtx nor onnxruntime_ep_nv_tensorrt_rtx is installed")
    for pattern in _RTX_LIBRARIES:
        for path in sorted(Path(spec.origin).parent.glob(pattern)):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    return "tensorrt_rtx_bindings"
