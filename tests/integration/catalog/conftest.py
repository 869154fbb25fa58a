"""Two real services on one real store, and workspaces that differ in one cap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.wire import Address
from takt.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
    types_pb2,
)
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import WORKSPACE, Service

WEEK: Final = "  - {id: person-week, scope: profile, limit: 5, window: 7d}\n"
"""The cap of the small workspace that is replaced; the others are dropped."""
PARTITIONS: Final = 8


def texts(limit: int, *, keep: str = "35d", window: str = "7d") -> dict[str, str]:
    """The small workspace with one cap alone: so many contacts of a person in a window."""
    found = {path.name: path.read_text(encoding="utf-8") for path in WORKSPACE.glob("*.yaml")}
    catalog = found["catalog.yaml"]
    before, after = catalog[: catalog.index("caps:\n")], catalog[catalog.index("events:\n") :]
    cap = f"caps:\n  - {{id: person-week, scope: profile, limit: {limit}, window: {window}}}\n\n"
    found["catalog.yaml"] = before + cap + after.replace("keep: 35d", f"keep: {keep}")
    return found


def files(limit: int, **changes: Any) -> list[catalog_pb2.CatalogFile]:
    """The same, as it is sent."""
    return [catalog_pb2.CatalogFile(path=name, content=text.encode()) for name, text in texts(limit, **changes).items()]


def written(directory: Path, limit: int) -> Path:
    """The same, as a directory."""
    directory.mkdir()
    for name, text in texts(limit).items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


@dataclass
class Replica:
    """A service with everything that a test asks of it."""

    service: Service

    def __post_init__(self) -> None:
        self._public, self._admin = self.service.public, self.service.admin
        self.decisions = decision_pb2_grpc.DecisionServiceStub(self._public)
        self.catalogs = catalog_pb2_grpc.CatalogServiceStub(self._admin)
        self.profiles = profile_pb2_grpc.ProfileServiceStub(self._admin)

    @property
    def admin(self) -> str:
        """Its administrative address."""
        address: str = self.service.line("ready")["admin"]
        return address

    def apply(self, given: Sequence[catalog_pb2.CatalogFile], **fields: str) -> catalog_pb2.CatalogServiceApplyResponse:
        """Put a catalog in force."""
        request = catalog_pb2.CatalogServiceApplyRequest(
            files=given, **({"actor": "anna", "reason": "a test"} | fields)
        )
        done: catalog_pb2.CatalogServiceApplyResponse = self.catalogs.Apply(request, timeout=120)
        return done

    def limit(self, limit: int) -> str:
        """Put a limit in force; the version that it has."""
        return str(self.apply(files(limit)).version)

    def decide(self, person: str, **given: Any) -> decision_pb2.DecideResponse:
        """Ask for an offer on the home page."""
        answer: decision_pb2.DecideResponse = self.decisions.Decide(ask(profile_id=person, **given), timeout=60)
        return answer

    def version(self) -> str:
        """Version that a stranger is decided for by."""
        return str(self.decide(f"stranger-{uuid4().hex}", dry_run=True).versions.catalog)

    def person(self) -> str:
        """Somebody new, who may be shown offers."""
        name = f"person-{uuid4().hex}"
        write = profile_pb2.ProfileWrite(
            profile_id=name,
            time_zone="Europe/Berlin",
            locale="de-DE",
            consents=[profile_pb2.Consent(purpose="web.personalisation", granted=True)],
        )
        self.profiles.Put(profile_pb2.ProfileServicePutRequest(profiles=[write]))
        return name

    def close(self) -> None:
        """Close the channels."""
        self._public.close()
        self._admin.close()


def granted(answer: decision_pb2.DecideResponse) -> bool:
    """Whether an offer was shown."""
    return answer.placements[0].status == decision_pb2.PLACEMENT_STATUS_OFFERED


def capped(answer: decision_pb2.DecideResponse) -> bool:
    """Whether the cap kept offers away."""
    return any(e.reason == types_pb2.REASON_CODE_CAP_PROFILE for e in answer.placements[0].exclusions)


def contacted(replica: Replica, person: str, times: int) -> None:
    """Show offers until there were so many contacts; now and then silence is drawn."""
    made = 0
    for _ in range(times * 10):
        if made < times:
            made += granted(replica.decide(person))
    assert times == made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A store of its own for the tests of a module."""
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as server:
        init_store(Address(server.url, timeout_s=10.0), partitions=PARTITIONS)
        yield server


def arguments(store: EmbeddedServer, bundle: Path) -> list[str]:
    """How a service is started on the store; budgets are generous, because these tests are about answers."""
    budgets = ["--store-timeout-ms", "5000", "--decide-budget-ms", "30000"]
    return ["--redis-url", store.url, "--model", str(bundle), *budgets]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that services are started with: five contacts a week."""
    return written(tmp_path_factory.mktemp("workspace") / "five", 5)


@pytest.fixture(scope="module")
def two(store: EmbeddedServer, bundle: Path, workspace: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two replicas, started at once."""
    given = arguments(store, bundle)
    with Service(given, workspace) as first, Service(given, workspace) as second:
        replicas = (Replica(first.wait_ready()), Replica(second.wait_ready()))
        yield replicas
        for replica in replicas:
            replica.close()


@pytest.fixture
def back_to_five(two: tuple[Replica, Replica]) -> Iterator[None]:
    """Leave five contacts a week in force."""
    yield
    two[0].limit(5)
