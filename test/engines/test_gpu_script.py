"""The script for owners of a GPU: its commands exist, and one that fails makes it fail."""

import os
import shlex
import subprocess
from pathlib import Path

import typer

from xview_localizer.cli import main as cli

SCRIPT = Path(__file__).parents[2] / "scripts" / "prove_on_gpu.sh"


def run_with(stand_in: str, tmp_path: Path) -> tuple[int, str]:
    """The script with a shell script in place of xview-localizer."""
    command = tmp_path / "stand_in"
    command.write_text(f"#!/bin/sh\n{stand_in}\n")
    command.chmod(0o755)
    environment = os.environ | {"XVIEW_LOCALIZER": str(command)}
    done = subprocess.run(
        ["bash", SCRIPT, "tensorrt_rtx", "", tmp_path / "out"],
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


def test_every_command_is_one_of_the_command_line(tmp_path):
    status, _ = run_with(f'echo "$@" >> {tmp_path}/commands', tmp_path)
    assert status == 0
    commands = [shlex.split(line) for line in (tmp_path / "commands").read_text().splitlines()]
    assert [words[:2] for words in commands if words[0] == "engines"] == [
        ["engines", "calibrate"],
        *[["engines", "build"], ["engines", "check"]] * 3,
        ["engines", "list"],
    ]
    assert sum(words[0] == "bench" for words in commands) == 4
    for words in commands:
        command = typer.main.get_command(cli.app)
        context = typer.Context(command)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("script", words, parent=context)  # raises where an option is unknown


def test_a_step_that_fails_is_named_and_the_others_still_run(tmp_path):
    status, output = run_with('[ "$1 $2" != "engines build" ] || exit 1', tmp_path)
    assert status == 1
    assert "== build_fp16 FAILED" in output and "== engines\n" in output
