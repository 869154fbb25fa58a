"""`takt` itself: its help, its commands, its exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import Result

from takt.cli import main as module
from takt.cli.exits import MEANINGS, Exit

Takt = Callable[..., Result]

HEAVY = ("grpc", "onnxruntime", "numba", "numpy", "redis", "rich", "google.protobuf", "takt_training")


def test_help_is_quick() -> None:
    """The list of commands imports nothing that takes time, and above all not the engine."""
    program = (
        "import sys\n"
        "from takt.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        f"print('heavy:', *sorted(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "heavy:" == done.stdout.splitlines()[-1].strip()


def test_help_lists_commands_and_exit_codes(takt: Takt) -> None:
    """A newcomer sees every command with what it is for, and what the exit codes mean."""
    shown = takt("--help").output
    for name, (_, summary) in module.OWN.items():
        assert f"{name} " in shown
        assert summary in shown
    for name, summary in module.EXTRA.items():
        assert name in shown
        assert summary in shown
    for code, meaning in MEANINGS.items():
        assert f"  {code.value}  {meaning}" in shown


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["decide"],
        ["record"],
        ["profile", "put"],
        ["profile", "get"],
        ["check"],
        ["model", "check"],
        ["store", "init"],
        ["demo"],
        ["train"],
    ],
    ids=" ".join,
)
def test_every_command_has_an_example(takt: Takt, command: list[str]) -> None:
    """Help reads well: it has an example of the very command."""
    result = takt(*command, "--help")
    assert Exit.OK == result.exit_code
    assert f"  takt {' '.join(command)}" in result.output


def test_version(takt: Takt) -> None:
    """The version is that of the distribution."""
    assert takt("--version").output.startswith("takt, version ")


def test_unknown_command_is_a_usage_error(takt: Takt) -> None:
    """A misspelt command is the caller's mistake, not a failure."""
    result = takt("serv")
    assert Exit.USAGE == result.exit_code
    assert "No such command 'serv'" in result.output


def test_missing_extra_says_what_to_install(takt: Takt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose packages are not installed says in one line which extra brings them."""
    missing = {"train": EntryPoint("train", "takt_training.not_installed:train", module.GROUP)}
    monkeypatch.setattr(module, "_others", lambda: missing)
    result = takt("train")
    assert Exit.NOT_INSTALLED == result.exit_code
    assert "install takt-nbo[training]" in result.output


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("takt.cli.exits:nothing_here", "is announced, but not there"),
        ("takt.cli.exits:MEANINGS", "is no command, but dict"),
        ("no_such_package_at_all:command", "install again the package that it comes with"),
    ],
)
def test_broken_plugin_is_named(takt: Takt, monkeypatch: pytest.MonkeyPatch, target: str, message: str) -> None:
    """A broken command of another package is named, and no traceback shown."""
    monkeypatch.setattr(module, "_others", lambda: {"odd": EntryPoint("odd", target, module.GROUP)})
    result = takt("odd")
    assert Exit.NOT_INSTALLED == result.exit_code
    assert "takt odd" in result.output
    assert message in result.output


def test_broken_plugin_does_not_break_help(takt: Takt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of commands imports none of them, so none can break it."""
    monkeypatch.setattr(module, "_others", lambda: {"odd": EntryPoint("odd", "no_such_package:x", module.GROUP)})
    result = takt("--help")
    assert Exit.OK == result.exit_code
    assert "odd" in result.output


def test_own_commands_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package cannot take the place of one of Takt's own commands."""
    monkeypatch.setattr(module, "_others", lambda: {"decide": EntryPoint("decide", "takt.cli.exits:x", module.GROUP)})
    context = click.Context(module.main)
    assert 1 == module.main.list_commands(context).count("decide")
    assert "decide" == module.main.get_command(context, "decide").name
