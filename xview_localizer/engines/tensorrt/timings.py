"""TensorRT's timing cache: measured times of kernels on this GPU, stored so that later builds need not measure them."""

from __future__ import annotations

import logging
from pathlib import Path

from xview_localizer.atomic import replaced
from xview_localizer.engines.tensorrt.library import TensorRtLibrary

log = logging.getLogger(__name__)


SUFFIX = ".timings"


def timing_caches(folder: Path) -> list[Path]:
    """The timing caches in a folder of engines."""
    return sorted(folder.glob(f"*{SUFFIX}"))


class TimingCache:
    """One file for each runtime, version and GPU; a file that does not fit is replaced."""

    def __init__(self, folder: Path, library: TensorRtLibrary, gpu: str) -> None:
        about = f"{library.name}-{library.version}-{gpu}".replace("/", "_").replace(" ", "_")
        self.path = folder / f"{about}{SUFFIX}"

    def load(self, config) -> None:
        """Load the stored times into a builder's config."""
        known = self.path.read_bytes() if self.path.is_file() else b""
        cache = config.create_timing_cache(known)
        if cache is None or not config.set_timing_cache(cache, False):
            log.warning("%s is not usable here; kernels are timed again", self.path)
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def save(self, config) -> None:
        """Store the times that a build with `config` has measured, atomically."""
        with replaced(self.path) as fresh:
            fresh.write_bytes(bytes(config.get_timing_cache().serialize()))
