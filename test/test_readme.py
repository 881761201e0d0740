"""What README.md tells people to type exists."""

import re
from pathlib import Path

import pytest
import typer

from xview_localizer import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Calls are set in code: a line of a block, or between backticks.
CALLS = sorted(set(re.findall(r"(?:^    |`)xview-localizer ([^`\n]+)", README, re.MULTILINE)))


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

    rows = set(re.findall(r"^\| `([a-z -]+)` \|", README, re.MULTILINE))
    assert rows >= set(names(typer.main.get_command(cli.app)))
