"""ROS parameter files: read as ROS reads them, written for nodes that are started here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xview_localizer.parameters.table import SettingsError, Values

# What every node of ROS takes beside its own parameters; both are switches.
OF_EVERY_NODE = ("use_sim_time", "start_type_description_service")


def _nodes(document: object, namespace: str = "") -> Iterator[tuple[str, object]]:
    """Name and `ros__parameters` of each node in a parameter file; namespaces may be nested. Raises YAMLError."""
    for key, entry in document.items() if isinstance(document, dict) else ():
        name = f"{namespace}/{str(key).strip('/')}".lstrip("/")
        if isinstance(entry, dict) and "ros__parameters" in entry:
            if beside := ", ".join(str(other) for other in entry if other != "ros__parameters"):
                raise yaml.YAMLError(
                    f"'{beside}' stands beside 'ros__parameters' under '{key}', where ROS fails or skips it; a node's "
                    "own parameters need a block of their own"
                )
            yield name, entry["ros__parameters"]
        else:
            yield from _nodes(entry, name)


class _ParameterLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML comes without types
    """Numbers as ROS reads them (see _NUMBERS).

    What ROS cannot read is refused here, too: aliases. So are keys that are given twice.
    """

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            line = event.start_mark.line + 1
            raise yaml.YAMLError(
                f"ROS reads no aliases, such as *{event.anchor} in line {line}; write the value"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, object]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                given = f"'{name}' is given twice, in lines {lines[name]} and {line}"
                raise yaml.YAMLError(f"{given}; write it once")
            lines[name] = line
        return super().construct_mapping(node, deep)


# Numbers in ROS, by their YAML tags: 3e-2 is one, which YAML 1.1 takes for a text, and 48:08:13, 1_000 and 0b11 are
# texts, which YAML 1.1 takes for numbers (48:08:13 for 173293).
_NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(0x[0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$",
    "tag:yaml.org,2002:float": r"[-+]?((\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|\.(inf|Inf|INF))$|\.(nan|NaN|NAN)$",
}
_NOT_OF_ROS = (*_NUMBERS, "tag:yaml.org,2002:timestamp")  # dates are texts, too
_ParameterLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_OF_ROS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _ParameterLoader.add_implicit_resolver(_tag, re.compile(_pattern), list("-+.0123456789"))


def read_parameter_file(path: Path | str) -> dict[str, object]:
    """Values of a ROS parameter file: what stands for `/**` or a node `localizer` in whatever namespace.

    Raises SettingsError.
    """
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), _ParameterLoader)
        nodes = list(_nodes(document))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    values: dict[str, object] = {}
    others: list[str] = []
    for node, parameters in nodes:
        if node.split("/")[-1] not in ("*", "**", "localizer"):
            others.append(node)
            continue
        if not isinstance(parameters, dict):
            found = "nothing" if parameters is None else repr(parameters)
            raise SettingsError(f"{path}: 'ros__parameters' of '{node}' must hold parameters, got {found}")
        values.update(_flat(parameters, path))
    if not values:
        found = f"; it has them for {', '.join(others)}" if others else ""
        raise SettingsError(f"{path} has no 'ros__parameters' under '/**' or 'localizer'{found}")
    for name in OF_EVERY_NODE:
        if not isinstance(value := values.pop(name, False), bool):
            raise SettingsError(f"{path}: {name} must be true or false, without quotes, got {value!r}")
    return values


def parameter_file_text(values: Values) -> str:
    """A ROS parameter file that gives the node these values; None is left out."""
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }
    return yaml.safe_dump({"/**": {"ros__parameters": plain}})


def _flat(document: Mapping[Any, object], path: Path | str, prefix: str = "") -> dict[str, object]:
    """Values by their dotted names. Raises SettingsError where one is empty, or given both nested and dotted."""
    flat: dict[str, object] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if value is None or value == []:  # ROS reads an empty list as nothing
            raise SettingsError(f"{path}: {name} has no value; write one, or leave the line out")
        plain = tuple(value) if isinstance(value, list) else value
        found = _flat(value, path, f"{name}.") if isinstance(value, Mapping) else {name: plain}
        if twice := sorted(flat.keys() & found.keys()):
            raise SettingsError(f"{path} gives {twice[0]} twice, nested and with dots; write it once")
        flat |= found
    return flat
