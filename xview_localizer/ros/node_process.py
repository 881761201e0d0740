"""The localizer node in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from xview_localizer.parameters.file import parameter_file_text
from xview_localizer.parameters.table import Value

STOP_TIMEOUT_SEC = 15.0  # the node ends itself within 8 s of a signal (END_TIMEOUT_SEC)


class NodeProcess:
    """Runs the node with the given parameters and remaps; a context manager that ends it with SIGINT.

    `log` is what the node has printed so far; it is kept until the context ends. Environment variables (ROS_DOMAIN_ID
    …) are inherited.
    """

    def __init__(self, values: Mapping[str, Value], remaps: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="xview_localizer_")
        parameters = Path(self._folder.name) / "parameters.yaml"
        parameters.write_text(parameter_file_text(values))
        self._log_path = Path(self._folder.name) / "log.txt"
        command = [
            sys.executable,
            "-m",
            "xview_localizer.ros.main",
            "--ros-args",
            "--params-file",
            str(parameters),
        ]
        for name, topic in (remaps or {}).items():
            command += ["-r", f"{name}:={topic}"]
        with self._log_path.open("w") as output:
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment
            )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> int:
        """End the node and return its exit code; a node that does not end in time is killed."""
        if self.running:
            self._process.send_signal(with_signal)
        try:
            return self._process.wait(STOP_TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
