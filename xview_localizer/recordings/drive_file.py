"""The `drive.yaml` beside a recording, which describes the robot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xview_localizer.parameters.table import Value
from xview_localizer.recordings.bag import TF_TOPICS, BagError, Drive


def read_drive(path: Path | str) -> Drive:
    """Drive of a folder with `drive.yaml`, or of that file. Raises BagError.

    Only `bag` must be there. Mountings that are left out come from TF, the rest from a parameter file (see drives.py).
    """
    path = Path(path)
    path = path / "drive.yaml" if path.is_dir() else path
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        topics = document.get("topics", {})
        if not isinstance(topics, dict):
            raise TypeError(f"topics must name the topic of each role, got {topics!r}")
        topics = TF_TOPICS | {role: str(topic) for role, topic in topics.items()}
        values, bag = _described_values(document, path.parent), path.parent / document["bag"]
    except OSError as error:
        raise BagError(
            f"{path} cannot be read: {error}; a drive is a folder with drive.yaml beside its bag"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise BagError(
            f"{path} cannot be understood as a drive.yaml: {why}; it names the `bag`, and what is known of `datum`, "
            "`camera`, `antenna_in_base_m`, `topics` and `map` (a parameter file is given by --params-file)"
        ) from error
    return Drive(bag, topics, values, path.parent, path.resolve().parent.name)


def _described_values(document: Mapping[str, Any], folder: Path) -> dict[str, Value | None]:
    """The settings that a drive.yaml holds. Raises whatever a malformed entry leads to."""
    values: dict[str, Value | None] = {}
    if "datum" in document:
        datum = {"altitude_m": 0.0, **document["datum"]}
        values |= {
            f"datum.{key}": float(datum[key]) for key in ("latitude_deg", "longitude_deg", "altitude_m")
        }
    if "map" in document:
        values["map.source"] = _map_source(folder, document["map"])
    cameras = {"camera": document.get("camera", {})}
    if "cameras" in document:
        values["cameras"] = tuple(document["cameras"])
        cameras = {f"camera.{name}": camera for name, camera in document["cameras"].items()}
    mountings = {"gnss.antenna_in_base_m": document.get("antenna_in_base_m")}
    for prefix, camera in cameras.items():
        values[f"{prefix}.height_m"] = float(camera.get("height_m", 0.0))
        mountings[f"{prefix}.position_in_base_m"] = camera.get("in_base_m")
        mountings[f"{prefix}.rpy_deg"] = camera.get("rpy_deg")
    values |= {
        name: tuple(float(number) for number in mounting)
        for name, mounting in mountings.items()
        if mounting is not None
    }
    return values


def _map_source(folder: Path, source: str) -> str:
    """The map as drive.yaml names it: a file beside it, or a URL."""
    return source if "://" in source else str((folder / source).resolve())
