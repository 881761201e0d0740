"""Reading entries of a package's YAML file, with errors that name the entry, and checking its graphs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class ModelPackageError(ValueError):
    """A model package is missing, incomplete or altered; the message names the file and what to do."""


class Entries:
    """The entries of a YAML document by dotted path; paths are relative to `under`."""

    def __init__(self, document: object, under: str = "") -> None:
        self._document, self._under = document, under

    def under(self, path: str) -> Entries:
        """The same document, with paths relative to `path`."""
        return Entries(self._document, f"{self._under}.{path}".lstrip("."))

    def __call__(self, path: str, convert: Callable[[Any], T], default: T | None = None) -> T:
        """The entry at `path`, converted; a missing last key gives `default` unless that is None.

        Raises ValueError naming the entry.
        """
        path = f"{self._under}.{path}".lstrip(".")
        *above, last = path.split(".")
        entry, place = self._document, ""
        for key in above:
            entry, place = _below(entry, key, place), f"{place}.{key}".lstrip(".")
        if default is not None and isinstance(entry, dict) and last not in entry:
            return default
        entry = _below(entry, last, place)
        try:
            return convert(entry)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path}: {error}") from error


def _below(entry: object, key: str, place: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(
            f"{place or 'the document'} must be a mapping that holds '{key}', got {type(entry).__name__}"
        )
    if key not in entry:
        raise ValueError(f"{place}.{key}".lstrip(".") + " is missing")
    return entry[key]


def flag(value: object) -> bool:
    """A YAML truth value; a text such as "false" is none. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def number(value: Any) -> float:
    """A finite number. Raises ValueError."""
    result = float(value)
    if not math.isfinite(result):
        raise ValueError(f"must be finite, got {value!r}")
    return result


def positive(value: Any) -> float:
    """A finite number above 0. Raises ValueError."""
    result = number(value)
    if result <= 0:
        raise ValueError(f"must be above 0, got {value!r}")
    return result


def count(value: Any) -> int:
    """A whole number above 0. Raises ValueError."""
    result = positive(value)
    if not result.is_integer():
        raise ValueError(f"must be a whole number, got {value!r}")
    return int(result)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def manifest_in(folder: Path, kind: str, name: str) -> Path:
    """Path of the manifest `name` of a package of this `kind`. Raises ModelPackageError where `folder` is none."""
    if folder.is_file():
        raise ModelPackageError(f"{folder} is a file; a {kind} is a folder: the one that holds {name}")
    if not (folder / name).is_file():
        raise ModelPackageError(f"{folder} is not a {kind}: it has no {name}")
    return folder / name


def path_inside(folder: Path, name: str) -> Path:
    """Path of what a package names. Raises ModelPackageError where it lies outside of the package."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ModelPackageError(
            f"model package {folder} names {name}, which lies outside of it; a package's files must lie inside"
        )
    return folder / name


def checked_graph(folder: Path, file: str, expected_sha256: str) -> Path:
    """Path of a package's graph, its checksum verified. Raises ModelPackageError."""
    path = path_inside(folder, file)
    if not path.is_file():
        raise ModelPackageError(f"model package {folder} lacks {file}; copy the whole package again")
    digest = sha256(path)
    if digest != expected_sha256:
        raise ModelPackageError(
            f"{path} has sha256 {digest}, the package lists {expected_sha256}; "
            "the file was altered or truncated, copy the package again"
        )
    return path
