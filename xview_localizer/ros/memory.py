"""Giving memory back to the system, where a part of the process has ended for good."""

from __future__ import annotations

import ctypes
import gc


def give_back_memory() -> None:
    """Collect reference cycles, and make glibc return the memory that threads have freed, which it would keep."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
