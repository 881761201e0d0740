"""The folder of a run's intermediate results: it is used by one run at a time, and only with the options it has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from xview_localizer.atomic import write_whole


class WorkFolderError(ValueError):
    """A folder of intermediate results cannot be used; the message says why, and what to do."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a work folder: two would overwrite each other's checkpoints.

    The system ends the lock with the process, so a crash leaves none behind. Raises WorkFolderError where another run
    holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / "in_use.lock").acquire(timeout=0)
    except Timeout as error:
        raise WorkFolderError(
            f"another run is at work in {folder}; wait until it has ended, or take another work folder"
        ) from error
    with lock:
        yield


def claim(file: Path, options: Mapping[str, object]) -> None:
    """Keep in `file` the `options`, ready for JSON, on which the results beside it depend.

    Raises WorkFolderError where the folder was made with others, naming the first that differs.
    """
    asked = json.loads(json.dumps(options))  # with the types that they have when they are read again
    if file.exists():
        before = json.loads(file.read_text())
        other = next((name for name in asked | before if before.get(name) != asked.get(name)), None)
        if other is not None:
            raise WorkFolderError(
                f"{file.parent} was made with {other} {before.get(other)}, not {asked.get(other)}; take the same "
                "options, or another work folder, or remove that one"
            )
    write_whole(file, json.dumps(asked, indent=2))
