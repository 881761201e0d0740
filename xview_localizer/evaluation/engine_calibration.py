"""Calibrating a package's graphs for INT8 on images, as its own encoders see them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.descriptor_map import DescriptorMap
from xview_localizer.engines.engine import Engine
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.tensorrt.calibration import calibrate_graph
from xview_localizer.engines.tensorrt.lowering import FP32, lowered
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import Networks
from xview_localizer.models.package import ModelPackage
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

CALIBRATION_IMAGES = 16


class _Recorder:
    """Runs an engine and keeps all its inputs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.kept: list[dict[str, np.ndarray]] = []

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.kept.append(inputs)
        return self._engine.run(inputs)


def calibrate_package(
    package: ModelPackage,
    dataset: PairsDataset,
    folder: Path,
    track: Callable[[Iterable[PairRecord]], Iterable[PairRecord]] = iter,
    threads: int = 0,
) -> list[Path]:
    """Calibrate each graph on CALIBRATION_IMAGES of the dataset, spread over it; the files in `folder`.

    Raises EngineError, PairsError.
    """
    records = list(dataset)[:: max(1, len(dataset) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    with tempfile.TemporaryDirectory() as temporary:
        recorders = {}
        for name, graph in package.graphs.items():
            path = Path(temporary) / f"{name}.onnx"
            onnx.save(lowered(graph.path, FP32), str(path))
            recorders[name] = _Recorder(OnnxEngine(path, threads=threads))
        networks: Networks = package.family.networks(recorders, package.spec)
        for record in track(records):
            world = InMemoryMap(record.load_aerial())
            Localizer(networks, world).observe(ground_view(record))
            cell_m = package.spec.aerial.cell_m
            DescriptorMap(world, networks.aerial, package.spec.aerial).read(
                record.prior.x_m, record.prior.y_m, cell_m
            )
    return [calibrate_graph(graph, recorders[name].kept, folder) for name, graph in package.graphs.items()]
