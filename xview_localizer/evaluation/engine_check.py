"""Comparing a package's engines with ONNX Runtime in FP32: tensor by tensor, and as poses."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnx

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.engine import Engine, Graph
from xview_localizer.engines.factory import ONNX_RUNTIME, EngineConfig, engine_for
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.parity import TOLERANCE, OutputError, compare, with_layer_outputs, worst_layer
from xview_localizer.engines.tensorrt.cache import EngineCache
from xview_localizer.engines.tensorrt.lowering import FP16, FP32, INT8, lowered
from xview_localizer.engines.tensorrt.open import graph_to_build
from xview_localizer.evaluation.reference_engines import RecordingEngine, reference_engine
from xview_localizer.evaluation.spreading import spread
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import wrap_angle_rad
from xview_localizer.ground_view import LevelView
from xview_localizer.localizer import Localizer
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.models.contracts import Networks
from xview_localizer.models.manifest import sha256
from xview_localizer.models.networks import networks_over
from xview_localizer.models.package import ModelPackage
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

POSES = 50  # images whose poses are compared
# All cells are matched. In a random draw, one usable cell more or less would move the pose by a decimetre.
ALL_CELLS = LocalizerConfig(max_cells=100_000)
PROBE_CAMERA = PinholeCamera(640, 480, 320.0, 320.0, 320.0, 240.0)
PROBE_HEIGHT_M = 1.8  # of the camera of the image by which graphs are compared


@dataclass(frozen=True)
class GraphCheck:
    """One graph's errors; `worst_layer` is determined where an error exceeds the tolerance."""

    graph: str
    errors: tuple[OutputError, ...]
    tolerance: float
    worst_layer: OutputError | None = None

    @property
    def passed(self) -> bool:
        """Whether every output is within the tolerance."""
        return all(error.relative <= self.tolerance for error in self.errors)


@dataclass(frozen=True)
class PoseLimits:
    """Accepted differences of poses, well below their errors, and the share of the images that must meet them."""

    position_m: float
    yaw_deg: float
    share: float


POSE_LIMITS = {
    FP32: PoseLimits(0.05, 0.1, 1.0),
    FP16: PoseLimits(0.05, 0.1, 1.0),
    INT8: PoseLimits(0.1, 0.2, 0.9),
}


@dataclass(frozen=True)
class PoseCheck:
    """Differences of the poses that the reference accepts: those that `limits.share` of the images do not exceed.

    The difference of an image is inf where the candidate finds no pose.
    """

    images: int
    position_m: float
    yaw_deg: float
    limits: PoseLimits

    @classmethod
    def of(cls, position_m: list[float], yaw_deg: list[float], limits: PoseLimits) -> PoseCheck:
        """The check of the differences of each image."""
        return cls(len(position_m), _within(position_m, limits.share), _within(yaw_deg, limits.share), limits)

    @property
    def passed(self) -> bool:
        """Whether poses were compared, and differ by no more than the limits."""
        return (
            self.images > 0
            and self.position_m <= self.limits.position_m
            and self.yaw_deg <= self.limits.yaw_deg
        )


@dataclass(frozen=True)
class EngineCheck:
    """A package with its opened reference engines (ONNX Runtime, FP32) and the opened engines to be checked."""

    package: ModelPackage
    config: EngineConfig
    folder: Path
    reference: Mapping[str, Engine]
    candidate: Mapping[str, Engine]

    def graphs(self) -> Iterable[GraphCheck]:
        """Check each graph with the inputs that it gets in the package's own encoders."""
        tolerance = TOLERANCE[self.config.precision]
        for name, inputs in self._recorded_inputs().items():
            errors = compare(self.reference[name], self.candidate[name], inputs)
            check = GraphCheck(name, tuple(errors), tolerance)
            if not check.passed:
                check = replace(check, worst_layer=self._worst_layer(self.package.used_graphs[name], inputs))
            yield check

    def poses(
        self, dataset: PairsDataset, track: Callable[[Iterable[PairRecord]], Iterable[PairRecord]] = iter
    ) -> PoseCheck:
        """Localize up to POSES images, spread over the data set, with both engines.

        Only poses that the reference accepts are compared.
        """
        networks = [self._networks(engines) for engines in (self.reference, self.candidate)]
        position_m, yaw_deg = [], []
        for record in track(spread(dataset.records, POSES)):
            world, view = InMemoryMap(record.load_aerial()), ground_view(record)
            one, other = (Localizer(each, world, ALL_CELLS).localize(view, record.prior) for each in networks)
            if not one.accepted:
                continue
            apart_m = np.hypot(one.x_m - other.x_m, one.y_m - other.y_m)
            turn_rad = abs(wrap_angle_rad(one.yaw_rad - other.yaw_rad))
            position_m.append(float(np.nan_to_num(apart_m, nan=np.inf)))
            yaw_deg.append(float(np.nan_to_num(np.degrees(turn_rad), nan=np.inf)))
        return PoseCheck.of(position_m, yaw_deg, POSE_LIMITS[self.config.precision])

    def _networks(self, engines: Mapping[str, Engine]) -> Networks:
        return networks_over(engines, self.package)

    def _recorded_inputs(self) -> dict[str, dict[str, np.ndarray]]:
        rng = np.random.default_rng(0)
        recording = {name: RecordingEngine(engine) for name, engine in self.reference.items()}
        networks = self._networks(recording)
        side = self.package.spec.aerial.image_px
        networks.aerial.describe(_smooth_noise(rng, side, side))
        image = _smooth_noise(rng, PROBE_CAMERA.height, PROBE_CAMERA.width)
        forward = R_base_optical_from_rpy(0.0, 0.0, 0.0)
        view = LevelView(image, PROBE_CAMERA, forward, PROBE_HEIGHT_M)
        networks.depth.estimate(view, networks.ground.describe(view))
        # A graph that the encoders did not run has no inputs, which its comparison reports.
        return {name: (engine.recorded or [{}])[-1] for name, engine in recording.items()}

    def _worst_layer(self, graph: Graph, inputs: Mapping[str, np.ndarray]) -> OutputError:
        """The layer with the greatest error: both engines are opened anew with all layers as outputs."""

        def saved(model: onnx.ModelProto, name: str) -> Path:
            path = self.folder / f"{graph.name}_{name}.onnx"
            onnx.save(model, str(path))
            return path

        def reference(exposed: onnx.ModelProto) -> Engine:
            return OnnxEngine(saved(exposed, "layers"))

        def candidate(exposed: onnx.ModelProto) -> Engine:
            if self.config.precision == INT8:
                # The effect of quantization shows in ONNX Runtime as well.
                quantized = onnx.load(str(_graph_to_build(graph, self.config).path))
                return OnnxEngine(saved(with_layer_outputs(quantized), "int8_layers"))
            path = saved(exposed, "layers")
            return _candidate(replace(graph, path=path, sha256=sha256(path)), self.config, self.folder)

        return worst_layer(lowered(graph.path, FP32), inputs, reference, candidate)


@contextmanager
def engine_check(package: ModelPackage, config: EngineConfig) -> Iterator[EngineCheck]:
    """An EngineCheck; its temporary files are deleted afterwards. Raises EngineError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference, candidate = {}, {}
        for graph_name, graph in package.used_graphs.items():
            reference[graph_name] = reference_engine(graph, folder, config.threads)
            candidate[graph_name] = _candidate(graph, config, folder)
        yield EngineCheck(package, config, folder, reference, candidate)


def _candidate(graph: Graph, config: EngineConfig, folder: Path) -> Engine:
    """The engine to be checked. ONNX Runtime runs the lowered graph, which checks the lowering without a GPU."""
    if config.runtime != ONNX_RUNTIME:
        return engine_for(graph, replace(config, fallback=False))
    path = folder / f"{graph.name}_candidate.onnx"
    onnx.save(lowered(_graph_to_build(graph, config).path, config.precision), str(path))
    return OnnxEngine(path, config.providers, config.threads)


def _within(differences: list[float], share: float) -> float:
    """The least difference that `share` of them do not exceed."""
    # This method takes one of the differences. Interpolation between two of them would give NaN beside inf.
    return float(np.quantile(differences, share, method="inverted_cdf")) if differences else 0.0


def _graph_to_build(graph: Graph, config: EngineConfig) -> Graph:
    return graph_to_build(graph, config.precision, EngineCache(config.cache_folder))


def _smooth_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An image [height, width, 3] with structure of all sizes, like photographs."""
    image = np.zeros((height, width, 3), np.float32)
    for step_px in (4, 16, 64):
        coarse = rng.random((height // step_px + 1, width // step_px + 1, 3), dtype=np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(85 * image, 0, 255).astype(np.uint8)
