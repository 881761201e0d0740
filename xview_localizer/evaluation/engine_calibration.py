"""Calibration of a package's graphs for INT8, with the inputs that its own encoders give them on images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.descriptor_map import DescriptorMap
from xview_localizer.engines.tensorrt.calibration import calibrate_graph
from xview_localizer.evaluation.reference_engines import RecordingEngine, reference_engine
from xview_localizer.evaluation.spreading import spread
from xview_localizer.localizer import Localizer
from xview_localizer.models.networks import networks_over
from xview_localizer.models.package import ModelPackage
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

CALIBRATION_IMAGES = 16


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
    records = spread(dataset.records, CALIBRATION_IMAGES)
    with tempfile.TemporaryDirectory() as temporary:
        recorders = {
            name: RecordingEngine(reference_engine(graph, Path(temporary), threads))
            for name, graph in package.used_graphs.items()
        }
        networks = networks_over(recorders, package)
        for record in track(records):
            world = InMemoryMap(record.load_aerial())
            Localizer(networks, world).observe(ground_view(record))
            cell_m = package.spec.aerial.cell_m
            DescriptorMap(world, networks.aerial, package.spec.aerial).read(
                record.prior.x_m, record.prior.y_m, cell_m
            )
    return [
        calibrate_graph(graph, recorders[name].recorded, folder)
        for name, graph in package.used_graphs.items()
    ]
