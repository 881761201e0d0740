"""Commands and options that README.md and the documentation show exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import xview_localizer
from xview_localizer.cli import main as cli
from xview_localizer.parameters.file import read_parameter_file
from xview_localizer.parameters.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
EVERYTHING = "\n".join([README, *DOCS.values()])
# Calls are set in code: a line of a block, which a backslash continues, or between backticks.
ONE_LINE = re.sub(r"\\\n\s*", "", EVERYTHING)
CALLS = sorted(set(re.findall(r"(?:^ {4}|^|`)xview-localizer ([^`\n]+)", ONE_LINE, re.MULTILINE)))


def test_two_make_targets():
    named = set(re.findall(r"^    make (\S+)", README, re.MULTILINE))
    assert named == {"demo", "test"}
    makefile = (ROOT / "Makefile").read_text()
    assert named <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_ci_runs_the_same_tests():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "make test"


@pytest.mark.parametrize("call", CALLS)
def test_command_exists(call):
    """Subcommands and options are those of the command line; `COMMAND` stands for any."""
    words = call.split()
    command = typer.main.get_command(cli.app)
    while hasattr(command, "commands") and words[0] != "COMMAND":
        command = command.commands[words.pop(0)]
    options = {
        name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}
    assert {word for word in words if word.startswith("-")} <= options


def test_every_command_is_explained():
    def names(group, prefix=""):
        for name, command in group.commands.items():
            yield from names(command, f"{prefix}{name} ") if hasattr(command, "commands") else [prefix + name]

    rows = set(re.findall(r"^\| `([a-z0-9 -]+)` \|", DOCS["commands.md"], re.MULTILINE))
    assert rows >= set(names(typer.main.get_command(cli.app)))


def test_every_extra_is_explained():
    extras = (ROOT / "setup.py").read_text().split("extras_require={")[1].split("},")[0]
    names = set(re.findall(r'^ +"([a-z-]+)": ', extras, re.MULTILINE))
    table = DOCS["commands.md"].split("## Installation extras")[1]
    assert "learn" in names
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == names


def test_links_of_the_readme_lead_somewhere():
    """Those of the documentation are checked by its strict build."""
    targets = re.findall(r"\]\(([^)#]+)", README)
    assert len(targets) > 25
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_python_of_the_readme_is_that_of_the_documentation():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert example in DOCS["photo.md"]
    for name in re.findall(r"xl\.(\w+)", example):
        assert name in xview_localizer.__all__


@pytest.mark.parametrize("page", [README, DOCS["robot.md"]], ids=["README", "robot"])
def test_smallest_parameter_file_is_enough(page, tmp_path):
    """It serves every command that takes a parameter file, as it stands."""
    (smallest,) = re.findall(r"`my_robot.yaml`:\n\n```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_robot.yaml").write_text(smallest)
    Settings.from_values(read_parameter_file(tmp_path / "my_robot.yaml"))


def test_files_that_the_architecture_names_exist():
    """With their room, or by a name that is one of a file in the package, its tests or its documentation."""
    named = set(re.findall(r"[\w/]*\w\.(?:py|html|js)\b", DOCS["architecture.md"]))
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/**/*.*") if ".venv" not in path.parts}
    assert len(named) > 80
    lost = {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)}
    assert not lost


def test_pictures_are_small():
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert sum(path.stat().st_size for path in pictures) < 3_000_000
    made = (ROOT / "docs" / "make_pictures.py").read_text()
    drawn = {path.name for path in pictures if path.suffix not in (".svg", ".license")}
    assert all(f'"{name}"' in made for name in drawn)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation built strictly: a broken link or anchor, a page left out, an unknown name of the API fails."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return folder


def test_site_has_equations_and_the_api(site):
    equations = (site / "how_it_works.html").read_text()
    assert "<math" in equations and "\\frac" not in equations
    assert "localize" in (site / "api.html").read_text()


def test_pages_of_the_site_link_to_each_other_as_files(site):
    """`make docs` offers the address of a file; a browser would list the folder that a link leads to."""
    home = (site / "index.html").read_text()
    links = {link.split("#")[0] for link in re.findall(r'<a href="([^":]+)"', home)} - {""}
    assert len(links) > 15
    assert [link for link in links if not (site / link).is_file()] == []
