"""A setting of the C library's heap that keeps the memory freed after one image for the next image.

Matching and solving allocate arrays of some megabytes and free them soon. By default glibc returns such memory to the
kernel, which has to provide and zero every page again for the next image. That took a third of the time of a solve.
"""

from __future__ import annotations

import ctypes

# Options of mallopt(3), by malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Larger blocks are mapped separately and unmapped when freed. This is the greatest value that glibc accepts on all
# platforms.
MAPPED_FROM_BYTES = 32 << 20
# This much free memory is kept at the end of the heap.
KEPT_BYTES = 128 << 20


def keep_freed_memory() -> bool:
    """Make this process keep freed memory; False where the C library has no such setting, as on musl and macOS."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
