"""The engine on a real server: what it costs in round trips, and what holds when many decide for one person at once."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Catalog, Counts, Scope, Zone
from takt.catalog.workspace import load_workspace
from takt.cli.compile import decide_once
from takt.clock import DAY_US, SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import Decision
from takt.domain.reasons import Cause, Status
from takt.domain.request import DecideRequest, Identity, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.errors import TaktError
from takt.features.record import ProfileRow, pack_profiles
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter, ProfileWrite
from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from takt.rpc.overlap import COMPANY, Overlap
from tests.servers import redis_server, valkey_server  # noqa: F401 - fixtures

WORKSPACE = Path(__file__).parents[2] / "workspaces" / "minimal"
LIMIT = 7


@pytest.fixture(scope="module", params=["valkey_server", "redis_server"])
def server(request: pytest.FixtureRequest) -> EmbeddedServer:
    """A server of each kind."""
    found: EmbeddedServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The small workspace with one cap: so many contacts of a person in a week. Kernels are compiled beforehand."""
    decide_once()
    cap = Cap(
        "week", Scope.PROFILE, LIMIT, 7 * DAY_US, Calendar.ROLLING, Zone.CUSTOMER, "", Counts.DECISION, np.ones(1, bool)
    )
    return replace(load_workspace(WORKSPACE), caps=(cap,))


@pytest.fixture(scope="module")
def address(server: EmbeddedServer) -> Address:
    """The server as a store."""
    found = Address(server.url, 5.0)
    init_store(found)
    return found


@pytest.fixture
def replica(address: Address, catalog: Catalog) -> Iterator[tuple[Engine, RedisStore]]:
    """An engine with a connection of its own, and somebody called `p` who may be contacted."""
    store = RedisStore.open(address)
    (record,) = pack_profiles(catalog.spec, [ProfileRow(consents=frozenset({"web.personalisation"}))], 0)
    store.put([ProfileWrite("p", record, (), tightens=False)])
    yield engine_on(store, catalog), store
    store.close()


def engine_on(store: RedisStore, catalog: Catalog) -> Engine:
    """An engine of the small workspace."""
    scorer = ConstantScorer()
    codec = ProtobufCodec(store.marker.partitions)
    clock = SystemClock()
    return Engine(
        force(catalog, scorer), store, codec, prior=scorer, clock=clock, meter=NullMeter(), service_version="0"
    )


def asked(count: int, **who: object) -> list[DecideRequest]:
    """Requests for two placements each, all with ids of their own."""
    run = uuid.uuid4().hex
    placements = (PlacementAsk("home_hero"), PlacementAsk("home_row"))
    person = who or {"profile_id": "p"}
    return [DecideRequest(f"{run}-{i}", placements, **person) for i in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 2, 40])
def test_a_batch_costs_two_round_trips(replica: tuple[Engine, RedisStore], size: int) -> None:
    """One fetch and one commit, whatever the size of the batch and however often a person is in it."""
    engine, store = replica
    before = store.trips.counts()
    answers = engine.decide(asked(size))
    cost = {name: n.trips - (before[name].trips if name in before else 0) for name, n in store.trips.counts().items()}
    assert {"fetch": 1, "commit": 1} == {name: n for name, n in cost.items() if n}
    assert all(isinstance(a, Decision) and not a.degraded for a in answers)


@pytest.mark.parametrize("size", [1, 40])
def test_names_cost_a_third(replica: tuple[Engine, RedisStore], size: int) -> None:
    """People who are named by identity are looked up once for the batch."""
    engine, store = replica
    before = store.trips.counts()
    engine.decide(asked(size, identities=(Identity("cookie", uuid.uuid4().hex), Identity("device", "d"))))
    cost = {name: n.trips - (before[name].trips if name in before else 0) for name, n in store.trips.counts().items()}
    assert {"resolve": 1, "fetch": 1, "commit": 1} == {name: n for name, n in cost.items() if n}


def test_batches_that_overlap_never_exceed_a_cap(replica: tuple[Engine, RedisStore]) -> None:
    """Batches for the same few people on the way at once, on one thread: each gets exactly the cap."""
    engine, store = replica
    people = [f"overlapping-{uuid.uuid4().hex}" for _ in range(5)]
    (record,) = pack_profiles(engine.force.catalog.spec, [ProfileRow(consents=frozenset({"web.personalisation"}))], 0)
    store.put([ProfileWrite(person, record, (), tightens=False) for person in people])
    overlap: Overlap[int, list[bytes | TaktError]] = Overlap(128)
    answers: list[bytes | TaktError] = []
    most, batches = 0, 24
    while batches or overlap:
        begins = batches > 0 and overlap.wanted(COMPANY, 0) > 0
        if begins:
            batches -= 1
            requests = [request for person in people for request in asked(1, profile_id=person)]
            done = overlap.begin(0, engine.answering(engine.codec.read(engine.force, requests)))
        else:
            done = overlap.advance()
        most = max(most, len(overlap))
        answers += done[1] if done else []
    decisions = [engine.codec.decode(answer) for answer in answers if isinstance(answer, bytes)]
    granted = [d.profile_id for d in decisions if any(p.status is Status.OFFERED for p in d.placements)]
    contended = [d for d in decisions if any(one.cause is Cause.CONTENTION for one in d.degradations)]
    assert (3, 24 * 5) == (most, len(decisions))
    assert dict.fromkeys(people, LIMIT) == Counter(granted)
    assert all(not d.degraded or d in contended for d in decisions)


def test_a_crowd_never_exceeds_a_cap(address: Address, catalog: Catalog) -> None:
    """32 callers at once for one person: exactly the cap is granted, and every other answer is a final refusal."""
    person = f"crowd-{uuid.uuid4().hex}"
    start = threading.Barrier(32)

    def caller(_: int) -> list[Decision]:
        store = RedisStore.open(address)
        engine = engine_on(store, catalog)
        found: list[Decision] = []
        start.wait()
        for request in asked(4, profile_id=person):
            (answer,) = engine.decide([request])
            assert isinstance(answer, Decision)
            found.append(answer)
        store.close()
        return found

    store = RedisStore.open(address)
    (record,) = pack_profiles(catalog.spec, [ProfileRow(consents=frozenset({"web.personalisation"}))], 0)
    store.put([ProfileWrite(person, record, (), tightens=False)])
    store.close()
    with ThreadPoolExecutor(32) as pool:
        answers = [answer for found in pool.map(caller, range(32)) for answer in found]
    granted = [a for a in answers if any(p.status is Status.OFFERED for p in a.placements)]
    contended = [a for a in answers if any(d.cause is Cause.CONTENTION for d in a.degradations)]
    # to be seen with `pytest -s`
    print(f"most attempts {max(a.attempts for a in answers)}, contention {len(contended)} of {len(answers)}")  # noqa: T201
    assert LIMIT == len(granted)
    assert all(not a.degraded or a in contended for a in answers)
