"""The recording for Rerun holds every image, pose and reason on the drive's time line."""

import subprocess
import sys

import numpy as np
import pytest

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import RasterGrid

rr = pytest.importorskip("rerun")

from xview_localizer.evaluation.rerun_log import write_recording


@pytest.fixture
def printed(tmp_path, drive):
    """The recording as Rerun's own command prints it."""
    grid = RasterGrid.centred(0.0, 20.0, 1.0, 120, 100)
    aerial = AerialImage(np.zeros((120, 100, 3), np.uint8), np.ones((120, 100), bool), grid)
    images = [None, *[np.full((60, 120, 3), 40, np.uint8)] * 4]
    path = tmp_path / "new" / "drive.rrd"
    write_recording(path, drive, aerial, images)
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vvv", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_every_entity_is_recorded(printed):
    for entity in (
        "/map/aerial", "/map/truth", "/map/gnss", "/map/published", "/map/prior", "/map/pose/heading",
        "/map/pose/ellipse", "/map/pose/rivals", "/camera", "/error_m/gnss", "/error_m/published", "/error_m/pose",
        "/confidence", "/timing_ms/encode", "/verdict",
    ):  # fmt: skip
        assert entity in printed, entity


def test_an_image_that_is_missing_does_not_leave_the_one_before_in_its_place(printed):
    of_camera = [chunk for chunk in printed.split("Chunk(") if " - /camera - " in chunk]
    assert sorted("Clear:is_recursive" in chunk for chunk in of_camera) == [False, True]


def test_reasons_are_in_the_log(printed):
    assert "rejected: image is blank (no contrast)" in printed
    assert printed.count("accepted (") == 2
