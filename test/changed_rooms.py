"""Prints the test files and folders of the rooms that changed against main, for `make quick`.

A changed module of a room stands for the room's tests, a root module for test_NAME.py or else for the tests that
import it, a document for the README's tests, and any other file for the tests that name it. Where nothing matches, the
fast geometry tests stand in.
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


def tests_with(text: str, root: Path) -> set[str]:
    """Test files that contain `text`."""
    tests = (root / "test").rglob("test_*.py")
    return {str(test.relative_to(root)) for test in tests if text in test.read_text()}


def paths_of_tests(paths: Iterable[str], root: Path = ROOT) -> list[str]:
    """Test paths, relative to `root`, that exist and belong to the changed `paths`."""
    wanted = set()
    for path in map(PurePosixPath, paths):
        if path.parts[0] == "test" and path.name.startswith("test_"):
            wanted.add(str(path))
        elif path.parts[0] == "test" and len(path.parts) > 2:
            wanted.add(str(path.parent))
        elif path.parts[0] == "xview_localizer":
            name = PurePosixPath(path.parts[1]).stem
            own = [test for kind in (name, f"test_{name}*.py") for test in root.glob(f"test/{kind}")]
            own_paths = {str(test.relative_to(root)) for test in own}
            wanted |= own_paths or tests_with(f"xview_localizer.{name} import", root)
        elif path.suffix == ".md" or path.parts[0] == "docs":
            wanted.add("test/test_readme.py")
        elif path.suffix:
            wanted |= tests_with(path.name, root)
    # A file within a folder that is run anyway need not be named.
    there = {path for path in wanted if (root / path).exists()}
    return sorted(path for path in there if str(PurePosixPath(path).parent) not in there) or [FALLBACK]


if __name__ == "__main__":
    print(" ".join(paths_of_tests(changed_files())))
