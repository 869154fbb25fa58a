"""`takt check`, `takt model check` and `takt store init` on files; `takt serve` on wrong settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from takt.cli.exits import Exit

Takt = Callable[..., Result]

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The minimal workspace with two slips in two files."""
    made = tmp_path / "broken"
    shutil.copytree(MINIMAL, made)
    features, catalog = made / "features.yaml", made / "catalog.yaml"
    features.write_text(features.read_text(encoding="utf-8").replace("type: float", "type: flot", 1), encoding="utf-8")
    catalog.write_text(
        catalog.read_text(encoding="utf-8").replace("max_offers: 3", "max_offers: -1", 1), encoding="utf-8"
    )
    return made


def test_a_right_workspace(takt: Takt) -> None:
    """What is in a right workspace is counted."""
    result = takt("check", MINIMAL)
    assert Exit.OK == result.exit_code, result.output
    assert "4 placements" in result.output
    assert "6 offers" in result.output


def test_a_right_workspace_in_json(takt: Takt) -> None:
    """Scripts get the version and the counts."""
    shown = json.loads(takt("check", MINIMAL, "--json").stdout)
    assert shown["ok"]
    assert shown["version"]
    assert 6 == shown["contains"]["offers"]
    assert [] == shown["errors"]


def test_every_error_of_a_broken_workspace(takt: Takt, broken: Path) -> None:
    """All errors are named at once with file, line and key, and the command ends with 1."""
    result = takt("check", broken)
    assert Exit.FAILED == result.exit_code
    assert "cannot be used" in result.output
    named = [line for line in result.stderr.splitlines() if ": error: " in line]
    assert any(line.startswith("features.yaml:") and "flot" in line for line in named)
    assert any(line.startswith("catalog.yaml:") and "max_offers" in line for line in named)


def test_every_error_in_json(takt: Takt, broken: Path) -> None:
    """Scripts get the same, place by place."""
    result = takt("check", broken, "--json")
    shown = json.loads(result.stdout)
    assert Exit.FAILED == result.exit_code
    assert not shown["ok"]
    assert any(error["where"].startswith("features.yaml:") for error in shown["errors"])


def test_memory_is_estimated_from_the_workspace(takt: Takt) -> None:
    """Twice the people take twice the memory, but for the table of keys; the log follows rate and hours."""
    options = ["--workspace", MINIMAL, "--decisions-per-second", "10", "--log-hours", "0.5", "--json"]
    once, twice = (json.loads(takt("store", "estimate", "--profiles", n, *options).stdout) for n in (8192, 16384))

    assert once["server"] is None
    assert "Valkey 8.1 or later on libc" == once["computed_for"]
    assert 20 * 8192 == once["parts"]["contact"]["things"]
    assert 10 * 1800 == once["parts"]["log record"]["things"]
    for name in ("profile", "contact", "identity"):
        assert twice["parts"][name]["bytes"] == pytest.approx(2 * once["parts"][name]["bytes"], rel=0.05)
    assert once["parts"]["log record"] == twice["parts"]["log record"]


def test_more_contacts_than_a_ledger_holds(takt: Takt) -> None:
    """An estimate for what the workspace would refuse is refused, with the setting named."""
    result = takt("store", "estimate", "--workspace", MINIMAL, "--profiles", "10", "--contacts-per-profile", "1000000")

    assert Exit.FAILED == result.exit_code
    assert "--contacts-per-profile: 1e+06, but ledger.max_entries" in result.stderr


def test_a_directory_that_is_not_there(takt: Takt, tmp_path: Path) -> None:
    """A workspace that does not exist is refused like any other that is wrong."""
    result = takt("check", tmp_path / "nowhere")
    assert Exit.FAILED == result.exit_code
    assert "nowhere" in result.output


def test_model_check_of_what_is_no_bundle(takt: Takt, tmp_path: Path) -> None:
    """A directory without a manifest is refused, and the manifest named."""
    result = takt("model", "check", tmp_path)
    assert Exit.FAILED == result.exit_code
    assert "REFUSED" in result.output
    assert "manifest.json" in result.output
    shown = json.loads(takt("model", "check", tmp_path, "--json").stdout)
    assert not shown["ok"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--workspace", "/no/such/directory"],
            "--workspace (TAKT_WORKSPACE): '/no/such/directory' is not a directory",
        ),
        (["--workspace", MINIMAL, "--listen", "here"], "--listen (TAKT_LISTEN): 'here' is not HOST:PORT"),
        ([], "--workspace (TAKT_WORKSPACE): is required"),
        (
            ["--workspace", MINIMAL, "--admin-listen", "0.0.0.0:1"],
            "--admin-token-file (TAKT_ADMIN_TOKEN_FILE): is required",
        ),
    ],
)
def test_serve_names_the_setting_that_is_wrong(takt: Takt, arguments: list[str], message: str) -> None:
    """A setting that is refused is named by flag and variable, before anything starts."""
    result = takt("serve", *arguments)
    assert Exit.FAILED == result.exit_code
    assert message in result.output


def test_serve_takes_settings_from_the_environment(takt: Takt) -> None:
    """A variable is a setting like a flag."""
    result = takt("serve", env={"TAKT_WORKSPACE": str(MINIMAL), "TAKT_MAX_BATCH": "none"})
    assert "--max-batch (TAKT_MAX_BATCH): 'none' is not a whole number" in result.output
    assert "TAKT_WORKSPACE" not in result.output


def test_store_init_needs_a_server(takt: Takt) -> None:
    """A server that does not answer is unreachable; a URL that is none is refused."""
    result = takt("store", "init", "--redis-url", "redis://127.0.0.1:1")
    assert Exit.UNREACHABLE == result.exit_code
    assert "127.0.0.1:1" in result.output
    assert Exit.FAILED == takt("store", "init", "--redis-url", "redis://h", "--request-id-retention", "soon").exit_code
    assert Exit.USAGE == takt("store", "init").exit_code
