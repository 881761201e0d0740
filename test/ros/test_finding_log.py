"""Findings of the diagnostics in the log: once, however long they last."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from xview_localizer.ros.diagnostics import ERROR, WARN, Finding
from xview_localizer.ros.finding_log import GONE_AFTER_SEC, FindingLog


class Logger:
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(f"W {text}")

    def error(self, text):
        self.lines.append(f"E {text}")


@pytest.fixture
def clock(monkeypatch):
    """time.monotonic, to be set by hand."""
    now = [100.0]
    monkeypatch.setattr("xview_localizer.ros.finding_log.time.monotonic", lambda: now[0])
    return now


def test_a_finding_is_logged_when_it_is_new(clock):
    logger = Logger()
    log = FindingLog(logger)
    for count in range(5, 60):
        silent = Finding(WARN, "nothing on fix for more than 3 s")
        log.log_new([silent, Finding(ERROR, f"{count} tiles of 2.5 MB cannot be read")])
        clock[0] += 1.0
    assert logger.lines == ["W nothing on fix for more than 3 s", "E 5 tiles of 2.5 MB cannot be read"]


@pytest.mark.parametrize(("gone_sec", "times"), [(GONE_AFTER_SEC - 1, 1), (GONE_AFTER_SEC + 1, 2)])
def test_a_finding_is_logged_again_where_it_was_gone_for_long(clock, gone_sec, times):
    logger = Logger()
    log = FindingLog(logger)
    for _ in range(2):
        log.log_new([Finding(WARN, "nothing on fix")])
        clock[0] += gone_sec / 2
        log.log_new([])
        clock[0] += gone_sec / 2
    assert logger.lines == times * ["W nothing on fix"]
