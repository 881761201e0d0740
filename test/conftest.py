"""One small town, one view of it and one localizer, shared by all tests that need them."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import yaml

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.geometry.camera import CameraModel, camera_from_dict
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import Networks
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path

CAMERA_HEIGHT_M = 1.8
_domains = itertools.count()
# pytest-xdist runs tests in several processes at once; those of one run share their parent, and each has a number.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
RUN = os.getppid() if WORKERS > 1 else os.getpid()
# Domains that every platform has ports for, a multiple of 2, 4 and 8 workers.
FIRST_DOMAIN, DOMAINS = 10, 88
EXIT_STATUS = int(pytest.ExitCode.INTERNAL_ERROR)  # until the session has finished


@dataclass(frozen=True)
class SmallTown:
    """A simulated town with its aerial image and the image of a panorama camera at `pose`."""

    aerial: AerialImage
    pose: Pose2
    camera: CameraModel
    image: np.ndarray

    def view(self, **changes) -> GroundView:
        """The ground view, with fields replaced by `changes`."""
        fields = {
            "image": self.image,
            "camera": self.camera,
            "R_base_camera": R_base_optical_from_rpy(0.0, 0.0, 0.0),
            "camera_in_base_m": np.zeros(3),
            "gravity_base": None,
            "camera_height_m": CAMERA_HEIGHT_M,
            "stamp_sec": 12.5,
        }
        return GroundView(**{**fields, **changes})


@pytest.fixture(scope="session")
def small_town() -> SmallTown:
    from xview_localizer.simulation.capture import Capture
    from xview_localizer.simulation.pairs_writer import sample_camera
    from xview_localizer.simulation.town import Town

    town = Town.generate(77, 130.0)
    rng = np.random.default_rng(0)
    aerial = town.render_orthophoto(Bounds.around(0.0, 0.0, 60.0), 0.2, Capture.sample(rng, aerial=True), rng)
    camera = camera_from_dict(sample_camera(rng, "equirectangular", vary=False))
    street = town.layout.streets[0]
    nearest = int(np.linalg.norm(street.line_xy_m, axis=1).argmin())
    free = next(i for i in range(nearest, nearest + 20) if not town.is_blocked(street.line_xy_m[i]))
    pose = Pose2(*street.line_xy_m[free].tolist(), float(np.arctan2(*street.direction[free][::-1])))
    image, _ = town.render_view(
        camera, pose, R_base_optical_from_rpy(0.0, 0.0, 0.0), CAMERA_HEIGHT_M, Capture.sample(rng), rng
    )
    return SmallTown(aerial, pose, camera, image)


@pytest.fixture(scope="session")
def package() -> ModelPackage:
    return ModelPackage.load(default_package_path())


@pytest.fixture(scope="session")
def networks(package) -> Networks:
    return open_networks(package, EngineConfig(threads=1))


@pytest.fixture(scope="session")
def localizer(small_town, networks) -> Localizer:
    return Localizer(networks, InMemoryMap(small_town.aerial))


@pytest.fixture
def calibration_file(tmp_path):
    """Writes a CameraInfo as camera_calibration and camera_info_manager do; returns the file."""

    def write(info, name="ost.yaml", **changes):
        def matrix(rows, data):
            data = [float(number) for number in data]
            return {"rows": rows, "cols": len(data) // rows, "data": data}

        roi = {key: int(getattr(info.roi, key)) for key in ("x_offset", "y_offset", "width", "height")}
        entries = {
            "image_width": int(info.width),
            "image_height": int(info.height),
            "camera_name": "narrow_stereo",
            "camera_matrix": matrix(3, info.k),
            "distortion_model": info.distortion_model,
            "distortion_coefficients": matrix(1, info.d),
            "rectification_matrix": matrix(3, np.eye(3).ravel()),
            "projection_matrix": matrix(3, np.eye(3, 4).ravel()),
            "binning_x": int(info.binning_x),
            "binning_y": int(info.binning_y),
            "roi": {**roi, "do_rectify": False},
        }
        path = tmp_path / name
        path.write_text(yaml.safe_dump(entries | changes))
        return path

    return write


@pytest.fixture
def domain(monkeypatch):
    """A DDS domain that neither another test of this run uses nor, most likely, another run beside it."""
    number = RUN + WORKER + WORKERS * next(_domains)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(FIRST_DOMAIN + number % DOMAINS))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start a node: importing and configuring takes it seconds before anything is tested."""
    for item in items:
        if "domain" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without tearing the interpreter down.

    One process has loaded TensorRT-RTX, PyTorch, ONNX Runtime, GDAL, rclpy and Rerun by now. Their own clean-ups at the
    interpreter's end crash after the last test has passed; tests of single rooms end cleanly.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_STATUS)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global EXIT_STATUS
    EXIT_STATUS = int(exitstatus)
