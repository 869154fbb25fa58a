"""`takt catalog` against a service that answers what the test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from takt.cli.exits import Exit
from takt.v1 import catalog_pb2
from tests.unit.cli.conftest import Service, refusal

Takt = Callable[..., Result]
NOON = Timestamp(seconds=1_769_860_800)
WHY = ("--actor", "anna", "--reason", "a test")
ERROR = catalog_pb2.CatalogProblem(
    severity=catalog_pb2.CATALOG_PROBLEM_SEVERITY_ERROR,
    file="catalog.yaml",
    line=7,
    column=3,
    field="caps[0].limit",
    message="is none",
)
WARNING = catalog_pb2.CatalogProblem(
    severity=catalog_pb2.CATALOG_PROBLEM_SEVERITY_WARNING, file="offers.yaml", message="names no treatment"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two files that are sent, one whose name is wrong, and one that is none of it."""
    directory = tmp_path / "shop"
    directory.mkdir()
    for name in ("catalog.yaml", "features.yaml", "more.yml", "notes.txt"):
        (directory / name).write_text(f"# {name}\n", encoding="utf-8")
    return directory


def kept(request: catalog_pb2.CatalogServiceGetRequest) -> catalog_pb2.CatalogServiceGetResponse:
    """One catalog, with its files if they are wanted."""
    content = b"name: shop\n" if request.include_files else b""
    change = catalog_pb2.CatalogChange(edition=2, version="v2", applied_at=NOON, actor="anna", reason="spring")
    return catalog_pb2.CatalogServiceGetResponse(
        version=request.version or "v2",
        in_force=not request.version,
        applied_at=NOON,
        actor="anna",
        reason="spring",
        files=[catalog_pb2.CatalogFile(path="catalog.yaml", content=content)],
        history=[change],
        covered_since=NOON,
    )


def applied(previous: str) -> Callable[[Any], Any]:
    """It is in force, after another; earlier ones can be read."""

    def answer(request: Any) -> Any:
        if isinstance(request, catalog_pb2.CatalogServiceGetRequest):
            return kept(request)
        return catalog_pb2.CatalogServiceApplyResponse(
            version="v2", previous_version=previous, applied_at=NOON, problems=[WARNING]
        )

    return answer


def test_a_workspace_is_sent_with_who_and_why(service: Service, takt: Takt, workspace: Path) -> None:
    """All YAML files go, also those that the service will say are not read; warnings are told beside."""
    service.answers = applied("v1")

    result = takt("catalog", "apply", workspace, *WHY, "--expect", "v1", "--server", service.address)

    (sent,) = service.asked
    assert ["catalog.yaml", "features.yaml", "more.yml"] == [file.path for file in sent.files]
    assert ("anna", "a test", "v1") == (sent.actor, sent.reason, sent.expected_version)
    assert (Exit.OK, "version v2 is in force since 2026-01-31T12:00:00Z; before: v1\n") == (
        result.exit_code,
        result.stdout,
    )
    assert "offers.yaml: warning: names no treatment" in result.stderr


def test_what_was_in_force_already_is_said(service: Service, takt: Takt, workspace: Path) -> None:
    """A change that was none does not look like one."""
    service.answers = applied("v2")
    where = ("--server", service.address)

    assert "nothing was changed" in takt("catalog", "apply", workspace, *WHY, *where).stdout
    assert not json.loads(takt("catalog", "apply", workspace, *WHY, "--json", *where).stdout)["changed"]


def test_going_back_sends_what_is_kept(service: Service, takt: Takt) -> None:
    """The files of the earlier version are read and applied."""
    service.answers = applied("v2")

    result = takt("catalog", "apply", "--version", "v1", *WHY, "--server", service.address)

    asked, sent = service.asked
    assert ("v1", True) == (asked.version, asked.include_files)
    assert [b"name: shop\n"] == [file.content for file in sent.files]
    assert Exit.OK == result.exit_code


def test_errors_are_all_told(service: Service, takt: Takt, workspace: Path) -> None:
    """An error's details may be cut, so that the whole list is asked for."""
    service.answers = lambda _: catalog_pb2.CatalogServiceValidateResponse(problems=[ERROR] * 40)
    service.refusal = refusal(code_pb2.INVALID_ARGUMENT, "40 things are wrong", "CATALOG_INVALID", a="b")
    service.refuses = lambda request: isinstance(request, catalog_pb2.CatalogServiceApplyRequest)

    result = takt("catalog", "apply", workspace, *WHY, "--server", service.address)

    assert Exit.FAILED == result.exit_code
    assert 40 == result.stderr.count("catalog.yaml:7:3: error: caps[0].limit: is none")
    assert "what was in force stays" in result.stderr


def test_another_refusal_is_told_as_it_is(service: Service, takt: Takt, workspace: Path) -> None:
    """What is wrong with the moment, not with the files."""
    service.refusal = refusal(code_pb2.FAILED_PRECONDITION, "version v3 is in force", "CATALOG_CHANGED")

    result = takt("catalog", "apply", workspace, *WHY, "--server", service.address)

    assert (Exit.FAILED, True) == (result.exit_code, "CATALOG_CHANGED: version v3 is in force" in result.stderr)


@pytest.mark.parametrize("both", [True, False])
def test_one_of_two_is_applied(takt: Takt, workspace: Path, both: bool) -> None:
    """Either a workspace or an earlier version."""
    given = (workspace, "--version", "v1") if both else ()

    assert Exit.USAGE == takt("catalog", "apply", *given, *WHY).exit_code


@pytest.mark.parametrize(
    ("problems", "strict", "code"),
    [([], False, Exit.OK), ([WARNING], False, Exit.OK), ([WARNING], True, Exit.FAILED), ([ERROR], False, Exit.FAILED)],
)
def test_validating_ends_as_it_found(
    service: Service, takt: Takt, tmp_path: Path, *, problems: list[Any], strict: bool, code: Exit
) -> None:
    """Errors fail, warnings only where they are to."""
    service.answers = lambda _: catalog_pb2.CatalogServiceValidateResponse(problems=problems, version="v9")

    result = takt("catalog", "validate", tmp_path, *["--strict"][:strict], "--server", service.address)

    assert code == result.exit_code
    assert all(problem.message in result.stderr for problem in problems)


def test_what_is_in_force_can_be_written(service: Service, takt: Takt, tmp_path: Path) -> None:
    """Into a new directory; one that is there is left alone."""
    service.answers = kept
    where = ("--into", tmp_path / "out", "--server", service.address)

    told = takt("catalog", "get", *where)

    assert "name: shop\n" == (tmp_path / "out" / "catalog.yaml").read_text(encoding="utf-8")
    assert "version v2, in force since 2026-01-31T12:00:00Z, by anna: spring" in told.stdout
    assert "all contacts since 2026-01-31T12:00:00Z are known" in told.stdout
    assert Exit.FAILED == takt("catalog", "get", *where).exit_code


def test_the_history_for_scripts(service: Service, takt: Takt) -> None:
    """Every change with who and why."""
    service.answers = kept

    (row,) = json.loads(takt("catalog", "history", "--json", "--server", service.address).stdout)

    assert {
        "edition": 2,
        "version": "v2",
        "applied_at": "2026-01-31T12:00:00Z",
        "actor": "anna",
        "reason": "spring",
    } == row
    assert "spring" in takt("catalog", "history", "--server", service.address).stdout
