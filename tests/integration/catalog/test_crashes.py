"""Who applies a catalog may be killed at any moment: it comes into force for everybody, or was never announced."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from takt.catalog.workspace import load_workspace
from takt.redis import keys
from takt.redis.embedded import EmbeddedServer
from takt.v1 import catalog_pb2
from tests.integration.catalog.conftest import (
    PARTITIONS,
    Replica,
    arguments,
    capped,
    contacted,
    files,
    written,
)
from tests.integration.catalog.dying import STEPS
from tests.integration.rpc.process import Service

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("back_to_five")]

Two = tuple[Replica, Replica]
ROOT = Path(__file__).parents[3]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Return once something holds, which others bring about."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it never did")


def markers(store: EmbeddedServer) -> set[bytes]:
    """Which editions the partitions bear."""
    with redis.Redis.from_url(store.url, protocol=2) as client:
        found = client.mget([keys.marker(p) for p in range(PARTITIONS)])
    return {marker.rpartition(b" ")[2] for marker in found}  # type: ignore[union-attr]  # the sync client's


def newest(replica: Replica) -> catalog_pb2.CatalogChange:
    """The last change that came into force."""
    return replica.catalogs.Get(catalog_pb2.CatalogServiceGetRequest()).history[0]


@pytest.mark.parametrize("step", STEPS)
def test_an_apply_that_was_killed_is_completed_by_others(
    two: Two, store: EmbeddedServer, tmp_path: Path, step: str
) -> None:
    """Once it is announced the others finish it, in every partition; before that nothing has happened."""
    limit = 30 + STEPS.index(step)
    workspace = written(tmp_path / "other", limit)
    wanted, before = load_workspace(workspace).version, newest(two[0])

    dying = subprocess.run(
        [sys.executable, "-m", "tests.integration.catalog.dying", store.url, workspace, step],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert -signal.SIGKILL == dying.returncode, dying.stderr
    if step == STEPS[0]:
        assert before == newest(two[0])
        assert [before.version] * 2 == [replica.version() for replica in two]
    else:
        until(lambda: [wanted] * 2 == [replica.version() for replica in two])
        until(lambda: {b"%d" % (before.edition + 1)} == markers(store))
        assert (before.edition + 1, "dying") == (newest(two[1]).edition, newest(two[1]).actor)
    assert two[1].limit(limit + 100) == two[0].version()


def test_a_replica_that_is_killed_while_it_applies_is_not_missed(
    two: Two, store: EmbeddedServer, bundle: Path, workspace: Path
) -> None:
    """A third replica is killed in the middle of applying, with its call open; the two others go on."""
    with Service(arguments(store, bundle), workspace) as third:
        applying = Replica(third.wait_ready())
        before = two[0].version()
        called = applying.catalogs.Apply.future(
            catalog_pb2.CatalogServiceApplyRequest(files=files(77), actor="carl", reason="a test")
        )
        until(lambda: third.process.poll() is None and newest(two[0]).actor != "" and not called.done(), 10)
        third.end(signal.SIGKILL)
        applying.close()

    last = two[0].limit(78)
    assert [last, last] == [replica.version() for replica in two]
    assert before != last


def test_a_replica_that_was_down_comes_back_on_what_is_in_force(
    two: Two, store: EmbeddedServer, bundle: Path, workspace: Path
) -> None:
    """It was started with five a week and is again; two a week came into force meanwhile, and that is what holds."""
    with Service(arguments(store, bundle), workspace) as third:
        Replica(third.wait_ready()).close()
        assert 0 == third.end()
    version = two[0].limit(2)
    person = two[0].person()
    contacted(two[0], person, 2)

    with Service(arguments(store, bundle), workspace) as again:
        back = Replica(again.wait_ready())
        answer = back.decide(person)
        shown = again.metrics()
        back.close()

    assert (version, True, 0) == (answer.versions.catalog, capped(answer), len(answer.degradations))
    assert (version, load_workspace(workspace).version) == (
        again.line("workspace_differs")["catalog"],
        again.line("workspace_differs")["version"],
    )
    assert "takt_workspace_differs 1.0" in shown
    assert version == two[1].version()


def test_a_replica_starts_on_the_stores_catalog_whatever_is_wrong_with_its_workspace(
    two: Two, store: EmbeddedServer, bundle: Path, tmp_path: Path
) -> None:
    """A workspace with errors is told, and keeps nobody from serving what is in force."""
    broken = written(tmp_path / "broken", 5)
    (broken / "offers.yaml").write_text("offers: 5\n", encoding="utf-8")

    with Service(arguments(store, bundle), broken) as third:
        replica = Replica(third.wait_ready())
        assert two[0].version() == replica.version()
        assert "has errors" in third.line("workspace_differs")["version"]
        replica.close()
