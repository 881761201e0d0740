"""Freed memory is kept: in a process of its own, because the setting is the process's."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Fills and frees two arrays of 8 MB, as an image's solve does, and prints the page faults of all but the first time.
FAULTS = """
import resource, sys
import numpy as np
from xview_localizer.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for image in range(21):
    first, second = np.ones(1 << 20), np.ones(1 << 20)
    del first, second
    if image == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(allocator: str) -> int:
    command = [sys.executable, "-c", FAULTS, allocator]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_arrays_are_not_fetched_from_the_kernel_again():
    assert page_faults("kept") < 0.1 * page_faults("default")
