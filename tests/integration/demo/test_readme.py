"""The README is true as far as a test can tell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import Command, Context, Group

from takt.cli.main import main

TOP = Path(__file__).parents[3]
README = (TOP / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_links_lead_somewhere(link: str) -> None:
    """Whatever the README links to is there."""
    assert (TOP / link).exists()


@pytest.mark.parametrize("line", re.findall(r"^(?:\.venv/bin/)?takt (.+?)(?:  +#.*)?$", README, re.MULTILINE))
def test_commands_exist(line: str) -> None:
    """Every command of the README exists, with every option it is shown with."""
    words = line.split()
    found: Command | None = main
    while isinstance(found, Group) and words and not words[0].startswith("-"):
        found = found.get_command(Context(found), words.pop(0))
    assert found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z-]+)", README))))
def test_targets_exist(target: str) -> None:
    """Every make target of the README exists."""
    shown = subprocess.run(["make", "help"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert f"  make {target} " in shown


@pytest.mark.parametrize(
    "command", [["check", "examples/complete_journey"], ["model", "check", "models/complete-journey/1.0.0"]]
)
def test_files_of_the_repository_pass(command: list[str]) -> None:
    """The workspace and the model that the README checks are right."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "takt"), *command], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
