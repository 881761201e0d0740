"""The findings of /diagnostics in the node's log, too: each when it is new, not every second."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from rclpy.impl.rcutils_logger import RcutilsLogger

from xview_localizer.ros.diagnostics import ERROR, Finding

# Texts that differ in their numbers alone are of the same finding, which goes on.
NUMBER = re.compile(r"\d+(?:\.\d+)?")
# A finding that comes back after a shorter while is not new.
GONE_AFTER_SEC = 30.0


class FindingLog:
    """Logs findings that were not there before, or not for GONE_AFTER_SEC."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._seen_at: dict[str, float] = {}  # time.monotonic, by the text without its numbers

    def log_new(self, findings: Sequence[Finding]) -> None:
        """Take the findings of a report, those that were logged already included."""
        now = time.monotonic()
        known = {text: at for text, at in self._seen_at.items() if now - at <= GONE_AFTER_SEC}
        for finding in findings:
            text = NUMBER.sub("", finding.text)
            if text not in known:
                self._log(finding)
            known[text] = now
        self._seen_at = known

    def _log(self, finding: Finding) -> None:
        if finding.level == ERROR:  # rclpy wants a line of its own for each severity
            self._logger.error(finding.text)
        else:
            self._logger.warning(finding.text)
