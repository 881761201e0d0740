"""Giving memory back to the system, where a part of the process has ended for good."""

from __future__ import annotations

import ctypes
import gc


def give_back_memory() -> None:
    """Collect what holds itself in circles, and let glibc return what threads have freed, which it keeps otherwise."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
