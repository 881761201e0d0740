"""Publishes the node's state on /diagnostics, and logs what is new in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Header

from xview_localizer.ros import qos
from xview_localizer.ros.conversions import diagnostics_message, diagnostics_name
from xview_localizer.ros.diagnostics import OK, WARN, Finding, Report
from xview_localizer.ros.finding_log import FindingLog

NO_CLOCK = "use_sim_time is set, but nothing comes on /clock"


class StatePublisher:
    """The node's status `state`; its levels and texts are those of diagnostics.py."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = FindingLog(node.get_logger())
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.OUTPUT)

    def destroy(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(self, report: Report) -> None:
        """Publish a report of Health; a clock that stands still is added to it."""
        clock = self._node.get_clock()
        if clock.ros_time_is_active and clock.now().nanoseconds == 0:
            report = replace(report, findings=(Finding(WARN, NO_CLOCK), *report.findings))
        self._log.log_new(report.findings)
        self._send(report.level, report.text, report.values)

    def report_configuring(self, logging_level: int, text: str) -> None:
        """Log and publish a step of the configuration: engines may take minutes to build, without any other report."""
        worrying = logging_level >= logging.WARNING
        if worrying:  # rclpy wants a line of its own for each severity
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)
        self._send(WARN if worrying else OK, f"configuring: {text}", {"state": "configuring"})

    def _send(self, level: int, text: str, values: Mapping[str, str]) -> None:
        header = Header(stamp=self._node.get_clock().now().to_msg())
        name = diagnostics_name(self._node, "state")
        self._publisher.publish(diagnostics_message(header, name, level, text, values))
