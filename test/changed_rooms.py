"""Prints the test files and folders of the rooms that changed against main, for `make quick`.

A changed module of a room stands for the room's tests, a root module for test_NAME.py, a document for the README's
tests. Where nothing matches, the fast geometry tests stand in.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
FALLBACK = "test/geometry"


def changed_files() -> set[str]:
    """Paths changed against the merge base with main, committed or not, new ones too."""

    def lines(*command: str) -> list[str]:
        found = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
        return found.stdout.splitlines()

    base = next(iter(lines("merge-base", "HEAD", "main")), "HEAD")
    return {*lines("diff", "--name-only", base), *lines("ls-files", "--others", "--exclude-standard")}


def paths_of_tests(paths: Iterable[str], root: Path = ROOT) -> list[str]:
    """Test paths, relative to `root`, that exist and belong to the changed `paths`."""
    wanted = set()
    for path in map(PurePosixPath, paths):
        if path.parts[0] == "test" and path.name.startswith("test_"):
            wanted.add(str(path))
        elif path.parts[0] == "test" and len(path.parts) > 2:
            wanted.add(str(path.parent))
        elif path.parts[0] == "xview_localizer" and len(path.parts) > 2:
            wanted.add(f"test/{path.parts[1]}")
        elif path.parts[0] == "xview_localizer":
            wanted.add(f"test/test_{path.stem}.py")
        elif path.suffix == ".md" or path.parts[0] == "docs":
            wanted.add("test/test_readme.py")
    # A file within a folder that is run anyway need not be named.
    there = {path for path in wanted if (root / path).exists()}
    return sorted(path for path in there if str(PurePosixPath(path).parent) not in there) or [FALLBACK]


if __name__ == "__main__":
    print(" ".join(paths_of_tests(changed_files())))
