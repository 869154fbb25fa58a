"""A catalog is changed while two replicas serve: at once, for the past too, whole or not at all, and back again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from takt.catalog.workspace import load_workspace
from takt.cli.main import main
from takt.v1 import catalog_pb2
from tests.integration.catalog.conftest import Replica, capped, contacted, files, granted, texts, written
from tests.integration.rpc.asking import refused

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("back_to_five")]

Two = tuple[Replica, Replica]


def get(replica: Replica, version: str = "", **given: Any) -> catalog_pb2.CatalogServiceGetResponse:
    """Read a catalog."""
    found: catalog_pb2.CatalogServiceGetResponse = replica.catalogs.Get(
        catalog_pb2.CatalogServiceGetRequest(version=version, **given)
    )
    return found


def takt(replica: Replica, *words: object) -> tuple[int, str, str]:
    """Run `takt catalog` against a replica: exit code, output, and what was said beside it."""
    result = CliRunner().invoke(main, ["catalog", *map(str, words), "--server", replica.admin], prog_name="takt")
    return result.exit_code, result.stdout, result.stderr


def test_the_workspace_became_the_first_catalog(two: Two, workspace: Path) -> None:
    """A store that had none has that of the replica that came first; the other took it over."""
    found = get(two[1], include_files=True)
    first = found.history[-1]

    assert load_workspace(workspace).version == found.version == two[0].version() == two[1].version()
    assert texts(5) == {file.path: file.content.decode() for file in found.files}
    assert (1, "takt serve") == (first.edition, first.actor)


def test_a_lowered_cap_holds_at_once_for_the_past_on_both(two: Two) -> None:
    """Who had three contacts gets none under a limit of two, wherever it is asked, as soon as it was applied."""
    person = two[0].person()
    contacted(two[0], person, 3)

    version = two[0].limit(2)
    answers = [replica.decide(person) for replica in (two[1], two[0])]

    assert [(version, False, True)] * 2 == [(a.versions.catalog, granted(a), capped(a)) for a in answers]


def test_a_raised_cap_opens_at_once_on_both(two: Two) -> None:
    """Who was at the limit has room as soon as a higher one was applied."""
    two[0].limit(1)
    person = two[1].person()
    contacted(two[1], person, 1)
    assert capped(two[0].decide(person))

    two[1].limit(3)

    answers = [replica.decide(person) for replica in two]
    assert [False, False] == [capped(answer) for answer in answers]
    contacted(two[0], person, 2 - sum(map(granted, answers)))


def test_applying_what_is_in_force_changes_nothing(two: Two) -> None:
    """Neither an edition nor a moment more."""
    before = get(two[0])

    done = two[1].apply(files(5))

    assert (before.version, before.version, before.applied_at) == (done.version, done.previous_version, done.applied_at)
    assert before == get(two[0])


def test_errors_refuse_it_whole_and_are_all_named(two: Two, tmp_path: Path) -> None:
    """Every error is told with file, line and field; what was in force stays, and no edition is made."""
    workspace = written(tmp_path / "broken", 5)
    broken = (workspace / "catalog.yaml").read_text(encoding="utf-8")
    broken = broken.replace("limit: 5", "limit: none").replace("channel: email,", "channel: pigeon,")
    (workspace / "catalog.yaml").write_text(broken, encoding="utf-8")
    lines = broken.splitlines()
    cap = next(n for n, line in enumerate(lines, 1) if "limit: none" in line)
    placement = next(n for n, line in enumerate(lines, 1) if "channel: pigeon" in line)
    before = get(two[0]).history
    sent = [catalog_pb2.CatalogFile(path=p.name, content=p.read_bytes()) for p in workspace.iterdir()]

    status, reason, fields = refused(lambda: two[0].apply(sent))
    code, _, said = takt(two[1], "apply", workspace, "--actor", "anna", "--reason", "a test")

    assert ("INVALID_ARGUMENT", "CATALOG_INVALID") == (status, reason)
    assert {f"catalog.yaml:{placement}: placements[3].channel", f"catalog.yaml:{cap}: caps[0].limit"} <= fields.keys()
    assert 1 == code
    assert all(f"catalog.yaml:{line}:" in said for line in (placement, cap))
    assert before == get(two[0]).history


def test_a_catalog_that_the_model_does_not_fit_is_refused(two: Two) -> None:
    """A feature that is not what the model was trained with would leave only a prior: it says so instead."""
    given = texts(5)
    wider = "{name: segment, type: category, values: [budget, premium, luxury]}"
    given["features.yaml"] = given["features.yaml"].replace(
        "{name: segment, type: category, values: [budget, premium]}", wider
    )
    sent = [catalog_pb2.CatalogFile(path=name, content=text.encode()) for name, text in given.items()]

    status, reason, fields = refused(lambda: two[0].apply(sent))

    assert ("INVALID_ARGUMENT", "CATALOG_INVALID") == (status, reason)
    assert "the model that serves was not trained for this catalog" in fields.get("features.yaml", ""), fields


def test_only_one_of_two_with_the_same_expectation_comes_through(two: Two) -> None:
    """Of two changes to the same version, made at once on two replicas, one is told that it comes too late."""
    expected = get(two[0]).version
    at_once = threading.Barrier(2)

    def change(replica: Replica, limit: int) -> tuple[str, str]:
        at_once.wait()
        try:
            return "", replica.apply(files(limit), expected_version=expected).version
        except grpc.RpcError as error:
            return error.code().name, ""  # type: ignore[attr-defined]  # calls have codes

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(change, two, (8, 9)))

    assert 1 == results.count(("FAILED_PRECONDITION", ""))
    (came,) = [version for code, version in results if not code]
    assert [came, came] == [replica.version() for replica in two]


def test_an_earlier_version_comes_back(two: Two, tmp_path: Path) -> None:
    """What went wrong is undone with one command, and leaves its trace; the files can be looked at first."""
    before = get(two[0]).version
    two[0].limit(2)
    why = ("--actor", "berta", "--reason", "two were too few")

    assert 0 == takt(two[1], "get", "--version", before, "--into", tmp_path / "before")[0]
    code, said, _ = takt(two[1], "apply", "--version", before, *why)

    assert (0, f"version {before} is in force since") == (code, said[: len(f"version {before} is in force since")])
    assert before == load_workspace(tmp_path / "before").version == two[0].version() == two[1].version()
    newest = get(two[0]).history[0]
    assert (before, "berta", "two were too few") == (newest.version, newest.actor, newest.reason)
    assert newest.version in takt(two[0], "history")[1]


def test_a_version_that_never_was_is_not_found(two: Two) -> None:
    """There is nothing to go back to."""
    assert ("NOT_FOUND", "CATALOG_NOT_FOUND", {}) == refused(lambda: get(two[0], "0" * 16))
    assert 1 == takt(two[0], "apply", "--version", "0" * 16, "--actor", "a", "--reason", "b")[0]


def test_a_window_beyond_what_was_kept_is_refused(two: Two) -> None:
    """Contacts were kept for 35 days so far; that the store is new and has lost none yet is known, too."""
    two[0].apply(files(5, keep="90d"))
    try:
        assert two[0].apply(files(5, keep="90d", window="60d")).version == two[1].version()
    finally:
        two[0].limit(5)


def test_validating_changes_nothing(two: Two) -> None:
    """What would be applied gets its version, warnings are told, and nothing is in force because of it."""
    before = get(two[0])

    found = two[0].catalogs.Validate(catalog_pb2.CatalogServiceValidateRequest(files=files(7)))

    assert (True, 0) == (found.version != before.version, len(found.problems))
    assert before == get(two[0])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "files"),
        ([("../catalog.yaml", "")], "files[0].path"),
        ([("a.yaml", ""), ("a.yaml", "")], "files[1].path"),
        ([("", "")], "files[0].path"),
    ],
)
def test_what_is_no_catalog_is_an_invalid_request(two: Two, given: list[tuple[str, str]], field: str) -> None:
    """Files are named, once, and lie below the catalog's directory."""
    sent = [catalog_pb2.CatalogFile(path=path, content=text.encode()) for path, text in given]
    request = catalog_pb2.CatalogServiceValidateRequest(files=sent)

    status, reason, fields = refused(lambda: two[0].catalogs.Validate(request))

    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", {field}) == (status, reason, set(fields))


def test_metrics_tell_what_is_in_force(two: Two) -> None:
    """Each replica shows the edition that it decides by beside the store's, and what became of applies."""
    two[0].limit(4)
    edition = get(two[0]).history[0].edition

    for replica in two:
        shown = replica.service.metrics()
        assert f'takt_catalog_edition{{where="replica"}} {float(edition)}' in shown
        assert f'takt_catalog_edition{{where="store"}} {float(edition)}' in shown
        assert f'catalog="{replica.version()}"' in shown
    assert 'takt_catalog_applies_total{outcome="APPLIED"}' in two[0].service.metrics()
