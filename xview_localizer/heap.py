"""The C library's heap: memory that one image has freed is kept for the next.

Matching and solving fill arrays of some megabytes and free them at once. By default glibc gives such memory back to
the kernel, and gets every page of it anew, zeroed, for the next image: a third of the time of a solve.
"""

from __future__ import annotations

import ctypes

# Options of mallopt(3), by malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Larger blocks are mapped on their own and unmapped when freed. It is the most that glibc takes on every platform.
MAPPED_FROM_BYTES = 32 << 20
# Of free memory at the heap's end, so much is kept.
KEPT_BYTES = 128 << 20


def keep_freed_memory() -> bool:
    """Set this process's allocator so; False where the C library has no such setting, as musl and macOS."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
