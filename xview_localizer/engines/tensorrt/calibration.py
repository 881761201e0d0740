"""Calibrated graphs beside the engines: what INT8 engines are built from.

A graph is calibrated once, by `engines calibrate`; a robot then builds from the file, without images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from xview_localizer.atomic import replaced
from xview_localizer.engines.engine import EngineError, Graph
from xview_localizer.engines.tensorrt.lowering import FP32, LOWERING_VERSION, lowered

SUFFIX = ".int8.onnx"


def calibrated_path(graph: Graph, folder: Path) -> Path:
    """Where the calibrated form of `graph` is kept."""
    return folder / f"{graph.name}-{graph.sha256[:16]}-{LOWERING_VERSION}{SUFFIX}"


def calibrated_graph(graph: Graph, folder: Path) -> Graph:
    """The calibrated form of `graph`. Raises EngineError where there is none."""
    path = calibrated_path(graph, folder)
    if not path.is_file():
        raise EngineError(
            f"{graph.name} has not been calibrated for int8: run xview-localizer engines calibrate --pairs FOLDER"
        )
    return replace(graph, path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def calibrate_graph(graph: Graph, inputs: Sequence[Mapping[str, np.ndarray]], folder: Path) -> Path:
    """Calibrate `graph` on recorded inputs and keep the result, atomically."""
    from xview_localizer.engines.tensorrt.quantization import calibrated

    path = calibrated_path(graph, folder)
    with replaced(path) as fresh:
        onnx.save(calibrated(lowered(graph.path, FP32), inputs), str(fresh))
    return path
