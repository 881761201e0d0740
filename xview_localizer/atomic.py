"""Writing files and folders so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART_SUFFIX = ".part"  # of a file that is being written
UNFINISHED_SUFFIX = ".unfinished"  # of a folder that is being filled


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


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill; it becomes `path` at the end, or is removed where filling it fails.

    Where the process is killed it stays, under a name that tells, until it is filled anew. Raises OSError where `path`
    is a file, or holds something already, which is never replaced.
    """
    if path.is_file():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if path.is_dir() and any(path.iterdir()):
        raise OSError(errno.ENOTEMPTY, "holds files already; remove it, or give another folder", str(path))
    path = path.absolute()  # `.` has no name of its own
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}{UNFINISHED_SUFFIX}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """An empty folder to write to; its files are put into `folder`, which may hold others, once all are written."""
    with tempfile.TemporaryDirectory() as fresh:
        yield Path(fresh)
        shutil.copytree(fresh, folder, dirs_exist_ok=True)
