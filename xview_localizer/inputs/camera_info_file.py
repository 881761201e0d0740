"""Calibration files of cameras, as camera_calibration writes them and camera_info_manager reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from xview_localizer.inputs.camera_info import CameraInfo, RegionOfInterest
from xview_localizer.inputs.message_types import input_of
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.parameters.table import Values

# Keys that a file must have. Of the others only binning and roi are used, and they may be left out.
KEYS = ("image_width", "image_height", "camera_matrix", "distortion_model", "distortion_coefficients")
# Formats of other tools: a pattern that occurs in their files, and the text that names the format and the remedy.
OTHER_FORMATS = (
    (
        r"^%YAML:|!!opencv-matrix",
        "is of OpenCV's FileStorage: delete its first line and each !!opencv-matrix, and name its entries as "
        "camera_calibration does",
    ),
    (
        r"^\[image\]",
        "is in the ini format: take the ost.yaml beside it, or name it ost.ini and run "
        "`ros2 run camera_calibration_parsers convert ost.ini ost.yaml`",
    ),
    (
        r"^cam\d+:",
        "is a camchain of Kalibr: write intrinsics [fu, fv, pu, pv] as camera_matrix [fu, 0, pu, 0, fv, pv, 0, 0, 1], "
        "resolution as image_width and image_height, distortion_coeffs as distortion_coefficients, radtan as plumb_bob",
    ),
    (
        r"^[kK]:",
        "is a message as `ros2 topic echo` prints it: name width image_width, height image_height, k camera_matrix and "
        "d distortion_coefficients, these two with rows, cols and data",
    ),
)


def replaced_inputs(values: Values, cameras: Sequence[str]) -> set[str]:
    """The CameraInfo inputs of those `cameras` whose parameters name a calibration file.

    A file that the user names takes precedence over any CameraInfo that is published or recorded. `values` may be
    incomplete.
    """
    return {
        input_of(camera, "camera_info")
        for camera in cameras
        if values.get(f"{parameter_prefix(camera)}.info_file")
    }


def read_camera_info(path: Path) -> CameraInfo:
    """The content of a calibration file; whether it describes a possible camera is checked by the caller.

    Raises ValueError whose text is meant to follow the file's name.
    """
    document = _read(path)
    missing = [key for key in KEYS if key not in document]
    if missing:
        found = ", ".join(map(str, document)) or "no keys"
        raise ValueError(
            f"lacks {', '.join(missing)} (it has {found}); give a file of camera_calibration (ost.yaml), or write it "
            "as docs/robot.md shows"
        )
    if not isinstance(model := document["distortion_model"], str):
        raise ValueError(f"has {model!r} for distortion_model; write its name, such as plumb_bob")
    roi = document.get("roi", {})
    if not isinstance(roi, Mapping):
        raise ValueError(f"has {roi!r} for roi; write x_offset, y_offset, width and height, or leave it out")
    return CameraInfo(
        width=_count(document, "image_width"),
        height=_count(document, "image_height"),
        distortion_model=model,
        d=_numbers(document, "distortion_coefficients"),
        k=_numbers(document, "camera_matrix"),
        binning_x=_count(document, "binning_x"),
        binning_y=_count(document, "binning_y"),
        roi=RegionOfInterest(*(_count(roi, key) for key in ("x_offset", "y_offset", "width", "height"))),
    )


def _read(path: Path) -> Mapping[str, Any]:
    """The file's entries. Raises ValueError where it cannot be read or is of another format."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}); give the path of the file, not package://"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError("is no text; give the YAML file of the calibration") from error
    for sign, what in OTHER_FORMATS:
        if re.search(sign, text, re.MULTILINE):
            raise ValueError(what)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no such date
        raise ValueError(f"is no YAML: {error}") from error
    return document if isinstance(document, Mapping) else {}


def _count(entries: Mapping[str, Any], key: str) -> int:
    """A whole number of pixels or the like; 0 where it is left out."""
    value = entries.get(key, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"has {value!r} for {key}; write a whole number that is not negative")
    return value


def _numbers(document: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """The data of a matrix, row by row. NumPy also converts numbers that YAML reads as text, such as 1e-05."""
    try:
        rows, cols, data = (document[key][name] for name in ("rows", "cols", "data"))
        numbers = np.asarray(data, dtype=np.float64).ravel()
        wanted = int(rows * cols)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(
            f"has no matrix for {key} ({error!r}); write rows, cols and data, a list of numbers"
        ) from error
    if len(numbers) != wanted:
        raise ValueError(f"has {len(numbers)} numbers for {key}, not {rows} × {cols}; correct it")
    return tuple(numbers.tolist())
