"""Progress of a build in the log, so that a build of minutes does not look like a node that hangs."""

from __future__ import annotations

import logging
import time
from types import ModuleType

log = logging.getLogger(__name__)

REPORT_PERIOD_SEC = 5.0


def progress_monitor(trt: ModuleType, graph: str, period_sec: float = REPORT_PERIOD_SEC):
    """A progress monitor for a builder's config that logs the outermost phase, at most every `period_sec`."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}
            self._reported_at = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self._steps.get(phase_name, 0)
            if steps and time.monotonic() - self._reported_at >= period_sec:
                self._reported_at = time.monotonic()
                log.info("%s: %s, step %d of %d", graph, phase_name, step + 1, steps)
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
