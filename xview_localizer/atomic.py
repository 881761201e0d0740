"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART_SUFFIX = ".part"  # of a file that is being written


def write_whole(path: Path, text: str) -> None:
    """Write a text file, as a whole or not at all."""
    with replaced(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` at the end, or is removed where writing fails.

    Threads and processes that write the same file at once do not disturb each other: the last one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}{PART_SUFFIX}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
