"""ROS parameter files: read as ROS reads them, written for nodes that are started here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xview_localizer.parameters.table import SettingsError, Values


def _nodes(document: object, namespace: str = "") -> Iterator[tuple[str, object]]:
    """Name and `ros__parameters` of each node in a parameter file; namespaces may be nested."""
    for key, entry in document.items() if isinstance(document, dict) else ():
        name = f"{namespace}/{str(key).strip('/')}".lstrip("/")
        if isinstance(entry, dict) and "ros__parameters" in entry:
            yield name, entry["ros__parameters"]
        else:
            yield from _nodes(entry, name)


class _ParameterLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML comes without types
    """Numbers as ROS reads them: 3e-2 and 1e3 are doubles, which YAML 1.1 takes for texts."""


_ParameterLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_parameter_file(path: Path | str) -> dict[str, object]:
    """Values of a ROS parameter file: what stands for `/**` or a node `localizer` in whatever namespace.

    Raises SettingsError.
    """
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), _ParameterLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or no such date
        raise SettingsError(f"cannot read {path}: {error}") from error
    values: dict[str, object] = {}
    for node, parameters in _nodes(document):
        if node.split("/")[-1] not in ("**", "localizer"):
            continue
        if not isinstance(parameters, dict):
            found = "nothing" if parameters is None else repr(parameters)
            raise SettingsError(f"{path}: 'ros__parameters' of '{node}' must hold parameters, got {found}")
        values.update(_flat(parameters))
    if not values:
        raise SettingsError(f"{path} has no 'ros__parameters' under '/**' or 'localizer'")
    values.pop("use_sim_time", None)
    return values


def parameter_file_text(values: Values) -> str:
    """A ROS parameter file that gives the node these values; None is left out."""
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }
    return yaml.safe_dump({"/**": {"ros__parameters": plain}})


def _flat(document: Mapping[Any, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = tuple(value) if isinstance(value, list) else value
    return flat
