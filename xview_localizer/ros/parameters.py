"""The settings table as ROS parameters: declared with descriptors and ranges, unknown ones refused."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from xview_localizer.parameters.problems import problems_of_given
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Setting, SettingsError, settings_table

_TYPES = {
    (bool, False): Parameter.Type.BOOL,
    (int, False): Parameter.Type.INTEGER,
    (float, False): Parameter.Type.DOUBLE,
    (str, False): Parameter.Type.STRING,
    (float, True): Parameter.Type.DOUBLE_ARRAY,
    (str, True): Parameter.Type.STRING_ARRAY,
}


def declare_parameters(node: Node) -> None:
    """Declare the whole table. Raises SettingsError listing unknown and invalid overrides.

    Values that have no default may still be missing: they can be set until the node is configured.
    """
    # rclpy offers no public way to see overrides of parameters that nobody declared, which is what typos are.
    overrides = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
    own = {name: value for name, value in overrides.items() if not node.has_parameter(name)}
    if problems := problems_of_given(own):
        raise SettingsError("\n".join(problems))
    for setting in settings_table(own).values():
        default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        kind = _TYPES[setting.kind, setting.length is not None]
        node.declare_parameter(setting.name, kind if default is None else default, _descriptor(setting))


def read_settings(node: Node) -> Settings:
    """Settings of the node's parameters. Raises SettingsError."""
    values: dict[str, object] = {}
    for name, setting in _table_of(node).items():
        try:
            value = node.get_parameter(name).value
        except ParameterUninitializedException:
            continue
        values[name] = tuple(value) if setting.length is not None else value
    return Settings.from_values(values)


def check_change(node: Node, parameters: list[Parameter], configured: bool) -> SetParametersResult:
    """Whether parameters may be set: valid, and only while the node is not configured."""
    table = _table_of(node)
    for parameter in parameters:
        setting = table.get(parameter.name)
        if setting is None:
            continue
        if configured:
            reason = f"{parameter.name} can be changed only while the node is unconfigured; clean it up first"
            return SetParametersResult(successful=False, reason=reason)
        problem = setting.problem(tuple(parameter.value) if setting.length is not None else parameter.value)
        if problem:
            return SetParametersResult(successful=False, reason=problem)
    return SetParametersResult(successful=True)


def _table_of(node: Node) -> dict[str, Setting]:
    """The table of the node's cameras, which cannot change any more."""
    try:
        return settings_table({"cameras": tuple(node.get_parameter("cameras").value or ())})
    except ParameterUninitializedException:
        return settings_table({})


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=setting.description, read_only=setting.read_only)
    if setting.choices:
        descriptor.additional_constraints = "one of: " + ", ".join(map(str, setting.choices))
    if setting.length is not None or setting.minimum is None:
        return descriptor
    if setting.kind is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=setting.minimum, to_value=setting.maximum)
        ]
    else:
        highest = 2**31 - 1 if setting.maximum is None else int(setting.maximum)
        descriptor.integer_range = [IntegerRange(from_value=int(setting.minimum), to_value=highest, step=1)]
    return descriptor
