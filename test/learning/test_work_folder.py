"""A work folder belongs to one run at a time and to the options it was made with."""

import subprocess
import sys

import pytest

pytest.importorskip("filelock")

from xview_localizer.learning.work_folder import WorkFolderError, alone_in, claim  # noqa: E402

DIES_IN = """
import os, sys
from pathlib import Path
from xview_localizer.learning.work_folder import alone_in

with alone_in(Path(sys.argv[1])):
    os._exit(7)
"""


def test_a_second_run_in_a_folder_is_refused(tmp_path):
    folder = tmp_path / "work"
    refused = pytest.raises(WorkFolderError, match=f"another run is at work in {folder}; wait")
    with alone_in(folder), alone_in(tmp_path / "other"), refused, alone_in(folder):
        pass
    with alone_in(folder):
        pass


def test_a_run_that_crashed_does_not_keep_its_folder(tmp_path):
    assert subprocess.run([sys.executable, "-c", DIES_IN, tmp_path]).returncode == 7
    with alone_in(tmp_path):
        pass


def test_a_folder_is_claimed_for_its_options(tmp_path):
    file, options = (
        tmp_path / "work" / "options.json",
        {"towns": 3, "styles": ("dry", "works"), "camera": 1.6},
    )
    claim(file, options)
    claim(file, options)
    for other, complaint in (
        (options | {"camera": 1.5}, "camera 1.6, not 1.5"),
        (options | {"more": 2}, "more None, not 2"),
        ({"towns": 3, "camera": 1.6}, r"styles \['dry', 'works'\], not None"),
    ):
        with pytest.raises(WorkFolderError, match=f"work was made with {complaint}; take the same options"):
            claim(file, other)
    assert [path.name for path in file.parent.iterdir()] == ["options.json"]
