"""The public names exist and are imported only when used."""

import subprocess
import sys

import pytest

import xview_localizer


def test_every_public_name_exists():
    assert sorted(xview_localizer._HOME) == sorted(xview_localizer.__all__)
    for name in xview_localizer.__all__:
        assert getattr(xview_localizer, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        xview_localizer.Nothing  # noqa: B018


def test_import_loads_nothing_heavy():
    code = "import sys, xview_localizer; print({'numpy', 'cv2', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
