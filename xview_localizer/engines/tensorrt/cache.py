"""A cache of engines on disk: one file for each, with the key that it was built for and a checksum.

Files are replaced atomically and built under a lock, so two nodes that start at once build an engine once, and a reader
never sees an incomplete file. Sound engines are only read: they may lie in a folder that cannot be written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from xview_localizer.atomic import replaced

log = logging.getLogger(__name__)

_MAGIC = b"xview-localizer engine 1\n"
SUFFIX = ".engine"
DEFAULT_FOLDER = "~/.cache/xview_localizer/engines"


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on."""

    graph: str
    graph_sha256: str
    lowering: int
    runtime: str
    runtime_version: str
    gpu: str  # name; "any" for engines built ahead of time
    compute_capability: str
    precision: str
    profile: str

    @property
    def file_name(self) -> str:
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.graph}-{self.precision}-sm{self.compute_capability}-{digest[:16]}{SUFFIX}"


class CacheError(ValueError):
    """An engine file cannot be used; the message gives the cause."""


class EngineCache:
    """A folder of engines."""

    def __init__(self, folder: Path | str = "") -> None:
        self.folder = Path(folder or DEFAULT_FOLDER).expanduser()

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The plan of `key`; built and stored where the folder has none, or a damaged one."""
        path = self.folder / key.file_name
        # A sound engine is read without the lock, so that it may lie in a folder that cannot be written.
        with suppress(CacheError):
            return _kept_plan(path, key)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            try:
                return _kept_plan(path, key)  # another process may have built it meanwhile
            except CacheError as error:
                if path.exists():
                    log.warning("%s is built again: %s", path, error)
            plan = build()
            write_engine(path, key, plan)
            return plan

    def entries(self) -> list[tuple[Path, EngineKey | None, str]]:
        """Path, key and problem of every engine file; the problem is empty where the file is sound."""
        entries = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                key, _ = read_engine(path)
                entries.append((path, key, ""))
            except CacheError as error:
                entries.append((path, None, str(error)))
        return entries


def write_engine(path: Path, key: EngineKey, plan: bytes) -> None:
    """Write an engine file atomically."""
    header = json.dumps({"key": asdict(key), "size": len(plan), "sha256": hashlib.sha256(plan).hexdigest()})
    with replaced(path) as fresh, fresh.open("wb") as file:
        file.write(_MAGIC + header.encode() + b"\n" + plan)
        file.flush()
        os.fsync(file.fileno())


def read_engine(path: Path) -> tuple[EngineKey, bytes]:
    """Key and plan of an engine file. Raises CacheError where there is none, or a damaged one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CacheError("it is not there") from error
    if not content.startswith(_MAGIC):
        raise CacheError("it is no engine of this version of xview_localizer")
    header, _, plan = content[len(_MAGIC) :].partition(b"\n")
    try:
        document = json.loads(header)
        key = EngineKey(**document["key"])
        whole = document["size"] == len(plan) and document["sha256"] == hashlib.sha256(plan).hexdigest()
    except (ValueError, KeyError, TypeError) as error:
        raise CacheError(f"its header cannot be read ({error})") from error
    if not whole:
        raise CacheError("it was cut off or altered")
    return key, plan


def _kept_plan(path: Path, key: EngineKey) -> bytes:
    """The plan in an engine file. Raises CacheError where it cannot be used for `key`."""
    found, plan = read_engine(path)
    if found != key:
        raise CacheError("it was built for another key")
    return plan


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of an engine file; a second process waits for it, and says so."""
    with path.with_suffix(".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process, which builds %s", path.name)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
