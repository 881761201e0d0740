"""Mutation tests: are the tests of a room able to fail?

Breaks one place of a room at a time (an operator, a comparison, a number, a condition, a statement) and runs those of
the room's tests that execute the line; a mutant that all of them pass survives. `make mutants` runs this.

Why not mutmut or cosmic-ray: most of what is to be mutated here are module constants, properties and fields of frozen
dataclasses, which mutmut leaves out; cosmic-ray mutates the working tree and starts Python with all imports for each
mutant. Here the mutated source goes through an import hook into a fork of a process that has the libraries already, and
a sample is drawn with a fixed seed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import io
import json
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "xview_localizer"
# Room → its modules and its tests, both relative to the repository.
ROOMS = {
    "geometry": (["geometry/*.py"], ["test/geometry"]),
    # The defaults of their configurations are those of config/localizer.yaml, which test_settings.py holds them to.
    "tracking": (["tracking/*.py"], ["test/tracking", "test/parameters"]),
    "belief": (
        ["belief/*.py"],
        ["test/belief", "test/test_rejection.py", "test/tracking/test_drive_belief.py", "test/parameters"],
    ),
    "intake": (["inputs/intake.py"], ["test/inputs"]),
    "messages": (["inputs/messages.py", "inputs/image_messages.py"], ["test/inputs/test_messages.py"]),
    "settings": (["parameters/*.py"], ["test/parameters"]),
}
BAR = 0.85
# Numbers that are no behaviour: how finely, how often and of how many the solvers compute, settled by measurement. A
# little more or less is as right, and a test that pins them would repeat them. Classes (their defaults) and constants.
TUNING = {
    "CalibrationSpec", "DenseSolverConfig", "PairsSolverConfig", "VotingConfig",
    "CELLS_AT_ONCE", "COVARIANCE_SAMPLES", "EDGE_CELLS", "KERNEL_CELLS", "LOSS_PER_M", "MAX_HYPOTHESES",
    "MEAN_SAMPLES", "NEWTON_ITERATIONS", "NEWTON_TOLERANCE", "NO_EVIDENCE", "PROPOSAL_INFLATION", "ROUNDS",
    "SUPERSAMPLING", "TABLE_SIZE",
}  # fmt: skip
# A mutant may run for ever: this much processor time, beside three times that of all tests, counts as a failure.
SPARE_CPU_SEC = 20
SURVIVED, KILLED = 0, 1

COMPARISONS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: that of kind `variant` at the `node`-th node of a module's syntax tree."""

    module: str
    node: int
    variant: int
    line: int
    text: str


@dataclass(frozen=True)
class Baseline:
    """The tests of a room without a mutant: by node id the seconds each took and the lines it executed."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, set[int]]]
    libraries: list[str]


# --- what is changed ---


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """The mutated forms of one node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield _with(node, ops=[COMPARISONS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield _with(node, value=node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield _with(node, value=1.5 * node.value or 1.0)
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Raise) or _is_call(node):
        yield ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    mutated = copy.copy(node)
    for name, value in fields.items():
        setattr(mutated, name, value)
    return mutated


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def mutable_nodes(tree: ast.Module) -> list[ast.AST]:
    """All nodes that a test can be asked to notice.

    Left out are texts, since a message may be worded otherwise, annotations and decorators (`frozen=True` keeps
    programmers from mistakes and changes no result), and TUNING.
    """
    nodes: list[ast.AST] = []

    def visit(node: ast.AST, parent: ast.AST | None = None) -> None:
        if _is_tuning(node, parent):
            return
        nodes.append(node)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                        visit(child, node)

    visit(tree)
    return nodes


def _is_tuning(node: ast.AST, parent: ast.AST | None) -> bool:
    """Whether a statement gives one of TUNING its value."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    if isinstance(parent, ast.ClassDef):
        names.add(parent.name)
    return not TUNING.isdisjoint(names)


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module, given by its dotted name."""
    found = []
    for number, node in enumerate(mutable_nodes(ast.parse(_path(module).read_text()))):
        for variant, mutated in enumerate(changes(node)):
            text = f"{_short(node)}  →  {_short(mutated)}"
            found.append(Mutant(module, number, variant, node.lineno, text))
    return found


def _short(node: ast.AST) -> str:
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split("\n")[0]
    return text if len(text) <= 90 else f"{text[:87]}..."


def mutated_code(mutant: Mutant):
    """The code object of the mutated module."""
    path = _path(mutant.module)
    tree = ast.parse(path.read_text())
    target = mutable_nodes(tree)[mutant.node]
    mutated = list(changes(target))[mutant.variant]

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.copy_location(mutated, node) if node is target else super().visit(node)

    return compile(ast.fix_missing_locations(Replace().visit(tree)), str(path), "exec")


class MutantImporter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from mutated code and leaves all others alone."""

    def __init__(self, module: str, code) -> None:
        self._module, self._code = module, code

    def find_spec(self, name, path=None, target=None):
        if name == self._module:
            return importlib.util.spec_from_file_location(name, _path(name), loader=self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module) -> None:
        exec(self._code, module.__dict__)


def _path(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


# --- running tests in forks ---


def in_fork(work: Callable[[], int], cpu_sec: float | None = None) -> int:
    """Run `work` in a fork without output and return its pid; its exit code is what `work` returns."""
    pid = os.fork()
    if pid:
        return pid
    code = KILLED
    with suppress(BaseException), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        if cpu_sec is not None:
            limit = int(cpu_sec) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        code = work()
    os._exit(code)


def run_pytest(arguments: list[str], plugins: list[object] | None = None) -> int:
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-x", *arguments], plugins=plugins))


class LineRecorder:
    """A pytest plugin: writes to `out` how long each test takes, which lines of the given files it executes, and which
    libraries all of them import. It writes at the end of the session, as conftest.py ends the process after that."""

    def __init__(self, files: set[str], out: Path) -> None:
        self._files, self._out = files, out
        self._lines: dict[str, set[int]] = {}
        self._seconds: dict[str, float] = {}
        self._lines_of: dict[str, dict[str, list[int]]] = {}

    def _trace(self, frame, event, _argument):
        file = frame.f_code.co_filename
        if file not in self._files:
            return None
        lines = self._lines.setdefault(file, set())

        def local(frame, event, _argument):
            if event == "line":
                lines.add(frame.f_lineno)
            return local

        return local

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        self._lines = {}
        began = time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        yield
        sys.settrace(None)
        threading.settrace(None)
        self._seconds[item.nodeid] = time.process_time() - began
        self._lines_of[item.nodeid] = {file: sorted(lines) for file, lines in self._lines.items()}

    def pytest_sessionfinish(self) -> None:
        libraries = sorted(
            name
            for name, module in list(sys.modules.items())
            if "site-packages" in str(getattr(module, "__file__", "")) and PACKAGE not in name
        )
        self._out.write_text(json.dumps([self._seconds, self._lines_of, libraries]))


def baseline(modules: list[str], tests: list[str], out: Path) -> Baseline:
    """Run a room's tests once, unmutated, in a fork. Exits where they fail."""

    recorder = LineRecorder({str(_path(module)) for module in modules}, out)
    out.unlink(missing_ok=True)
    _, status = os.waitpid(in_fork(lambda: run_pytest(tests, [recorder])), 0)
    if status or not out.is_file():
        sys.exit(f"the tests {' '.join(tests)} fail without any mutant; mend them first")
    seconds, lines, libraries = json.loads(out.read_text())
    executed = {
        test: {file: set(numbers) for file, numbers in files.items()} for test, files in lines.items()
    }
    return Baseline(seconds, executed, libraries)


def tests_for(mutant: Mutant, base: Baseline) -> list[str]:
    """The tests that execute the mutant's line, fast ones first; all of them where it runs at import."""
    file = str(_path(mutant.module))
    covering = [test for test, files in base.lines.items() if mutant.line in files.get(file, ())]
    inside = {line for files in base.lines.values() for line in files.get(file, ())}
    chosen = covering if covering or mutant.line in inside else list(base.lines)
    return sorted(chosen, key=base.seconds.__getitem__)


def run_mutant(mutant: Mutant, tests: list[str]) -> int:
    sys.meta_path.insert(0, MutantImporter(mutant.module, mutated_code(mutant)))
    return SURVIVED if run_pytest(tests) == 0 else KILLED


def survivors(mutants: list[Mutant], base: Baseline, jobs: int) -> list[Mutant]:
    """Run all mutants, `jobs` at a time."""
    for name in base.libraries:
        with suppress(Exception):
            importlib.import_module(name)
    limit_sec = 3 * sum(base.seconds.values()) + SPARE_CPU_SEC
    running: dict[int, Mutant] = {}
    alive: list[Mutant] = []
    queue = list(reversed(mutants))
    while queue or running:
        while queue and len(running) < jobs:
            mutant = queue.pop()
            tests = tests_for(mutant, base)
            running[in_fork(lambda m=mutant, t=tests: run_mutant(m, t), limit_sec)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if status == 0:
            alive.append(mutant)
            print(
                f"  survives {_path(mutant.module).relative_to(ROOT)}:{mutant.line}  {mutant.text}",
                flush=True,
            )
    return alive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rooms", nargs="*", default=[*ROOMS], help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--sample", type=int, default=200, help="mutants of each room at most; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    (ROOT / ".cache").mkdir(exist_ok=True)
    missed = []
    for room in options.rooms:
        patterns, tests = ROOMS[room]
        files = sorted(path for pattern in patterns for path in (ROOT / PACKAGE).glob(pattern))
        modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
        mutants = [mutant for module in modules for mutant in mutants_of(module)]
        count = len(mutants)
        if options.sample and options.sample < count:
            mutants = random.Random(options.seed).sample(mutants, options.sample)
        base = baseline(modules, tests, ROOT / ".cache" / f"mutants_{room}.json")
        killed = 1 - len(survivors(mutants, base, options.jobs)) / max(1, len(mutants))
        print(f"{room}: {killed:.1%} of {len(mutants)} mutants killed (of {count} there are)", flush=True)
        if killed < BAR:
            missed.append(room)
    if missed:
        sys.exit(f"below {BAR:.0%}: {', '.join(missed)}")


if __name__ == "__main__":
    main()
