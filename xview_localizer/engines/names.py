"""What users choose of engines, by name: in parameters and on the command line."""

from __future__ import annotations

from enum import Enum


class RuntimeName(str, Enum):
    """What runs the graphs."""

    onnxruntime = "onnxruntime"
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt_rtx"


class PrecisionName(str, Enum):
    """Numbers that TensorRT engines compute with."""

    fp16 = "fp16"
    fp32 = "fp32"
    int8 = "int8"
