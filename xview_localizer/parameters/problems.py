"""What is wrong with parameters, one by one and with each other, in texts that say what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from xview_localizer.parameters.table import OF_A_CAMERA, SETTINGS, Values, camera_value, settings_table


def find_problems(given: Values) -> list[str]:
    """One line for each unknown, invalid, contradictory or missing value."""
    missing = [
        f"{setting.name} must be given: {setting.description}"
        for setting in SETTINGS.values()
        if setting.required and setting.name not in given
    ]
    return [*problems_of_given(given), *missing]


def problems_of_given(given: Values) -> list[str]:
    """The same without those that are missing, which may still be given."""
    table = settings_table(given)
    of_each = [
        table[name].problem(value) if name in table else f"unknown parameter {name}{_hint(name, table)}"
        for name, value in given.items()
    ]
    return [*_camera_problems(given), *filter(None, of_each), *_contradictions(given)]


def _hint(unknown: str, table: Iterable[str]) -> str:
    """What may have been meant by an unknown name, or an empty string."""
    if unknown.startswith("qos_overrides."):
        return "; leave it out: the QoS of an input follows its publishers"
    close = difflib.get_close_matches(unknown, table)
    return f"; did you mean {close[0]}?" if close else ""


def _contradictions(given: Values) -> list[str]:
    """What is wrong with values that are valid one by one."""
    names = ("frames.map", "frames.base", "gnss.min_radius_m", "gnss.max_radius_m")
    values = {name: given.get(name, SETTINGS[name].default) for name in names}
    if any(SETTINGS[name].problem(value) for name, value in values.items()):
        return []
    map_frame, base_frame, min_radius_m, max_radius_m = values.values()
    frames = [frame.strip("/") for frame in (map_frame, base_frame)]
    problems = []
    if not all(frames) or frames[0] == frames[1]:
        problems.append(
            f"frames.map and frames.base must be names of two frames, got {map_frame!r} and {base_frame!r}"
        )
    if min_radius_m > max_radius_m:
        problems.append(
            f"gnss.min_radius_m must not exceed gnss.max_radius_m, got {min_radius_m} and {max_radius_m}: every image "
            "would be rejected"
        )
    return problems


def _camera_problems(given: Values) -> list[str]:
    """What is wrong with the names of several cameras, and with values that would be meant for all of them."""
    cameras = given.get("cameras") or ()
    if not cameras or SETTINGS["cameras"].problem(cameras):
        return []
    problems = [
        f"cameras must be names of letters, digits and _, got {camera!r}"
        for camera in cameras
        if not re.fullmatch(r"[A-Za-z]\w*", camera) or camera in OF_A_CAMERA
    ]
    if len(set(cameras)) < len(cameras):
        problems.append(f"cameras must be different names, got {', '.join(cameras)}")
    problems += [
        f"camera.{key} is of one camera; give camera.{cameras[0]}.{key} and so on, or leave it to TF"
        for key in ("position_in_base_m", "rpy_deg")
        if f"camera.{key}" in given
    ]
    problems += [
        f"camera.{key} is of one camera; give camera.{cameras[0]}.{key} and so on"
        for key in ("mask", "info_file")
        if given.get(f"camera.{key}")
    ]
    heights = [camera_value({"camera.height_m": 0.0, **given}, camera, "height_m") for camera in cameras]
    if any(heights) and not all(heights):
        problems.append(
            "camera.height_m must be given for all cameras or for none: one scale is solved for them"
        )
    return problems
