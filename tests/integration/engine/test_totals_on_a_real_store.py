"""Totals on a real server: what they cost in round trips, and what several replicas make of one budget."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Catalog, Counts, Scope, Zone
from takt.catalog.workspace import load_workspace
from takt.cli.compile import decide_once
from takt.clock import SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import Decision
from takt.domain.request import DecideRequest, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.features.record import ProfileRow, pack_profiles
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter, ProfileWrite
from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from tests.servers import valkey_server  # noqa: F401 - a fixture

WORKSPACE = Path(__file__).parents[2] / "workspaces" / "minimal"
PEOPLE = [f"p{n}" for n in range(40)]


@pytest.fixture(scope="module")
def address(valkey_server: EmbeddedServer) -> Address:  # noqa: F811 - the fixture
    """A store in which everybody may be contacted. Kernels are compiled beforehand."""
    decide_once()
    found = Address(valkey_server.url, 5.0)
    init_store(found)
    store = RedisStore.open(found)
    row = ProfileRow(consents=frozenset({"web.personalisation"}))
    (record,) = pack_profiles(load_workspace(WORKSPACE).spec, [row], 0)
    store.put([ProfileWrite(person, record, (), tightens=False) for person in PEOPLE])
    store.close()
    return found


def budget(limit: int) -> Catalog:
    """The small workspace with one cap that nobody has spent from: so many contacts with whomever."""
    catalog = load_workspace(WORKSPACE)
    every = (np.ones(len(catalog.offers), np.bool_), np.ones(len(catalog.channels), np.bool_))
    cap = Cap(
        uuid.uuid4().hex, Scope.TOTAL, limit, 0, Calendar.EVER, Zone.PROJECT, "", Counts.DECISION, every[0], every[1]
    )
    return replace(catalog, caps=(cap,))


def engine_on(store: RedisStore, catalog: Catalog) -> Engine:
    """An engine of the small workspace."""
    scorer = ConstantScorer()
    return Engine(
        force(catalog, scorer),
        store,
        ProtobufCodec(store.marker.partitions),
        prior=scorer,
        clock=SystemClock(),
        meter=NullMeter(),
        service_version="0",
    )


def asked(people: list[str]) -> list[DecideRequest]:
    """One request for each of them."""
    placements = (PlacementAsk("home_hero"), PlacementAsk("home_row"))
    return [DecideRequest(uuid.uuid4().hex, placements, profile_id=person) for person in people]


def cost(engine: Engine, store: RedisStore, requests: list[DecideRequest]) -> dict[str, int]:
    """Round trips of one batch, by name."""
    before = store.trips.counts()
    assert all(isinstance(a, Decision) and not a.degraded for a in engine.decide(requests))
    after = {name: n.trips - (before[name].trips if name in before else 0) for name, n in store.trips.counts().items()}
    return {name: n for name, n in after.items() if n}


def test_round_trips_do_not_grow(address: Address) -> None:
    """A batch under a total costs two like any other, but for the transfers that fill a pool once and for long."""
    store = RedisStore.open(address)
    engine = engine_on(store, budget(1_000_000))
    first, *others = (cost(engine, store, asked(PEOPLE)) for _ in range(4))
    store.close()
    assert {"fetch", "commit", "transfer"} == set(first)
    assert 7 >= first["transfer"]
    assert [{"fetch": 1, "commit": 1}] * 3 == others


def test_nothing_is_asked_for_again_where_there_is_nothing(address: Address) -> None:
    """Once all is spent, the next batches do not search for tokens that are nowhere."""
    store = RedisStore.open(address)
    engine = engine_on(store, budget(1))
    for _ in range(4):
        cost(engine, store, asked(PEOPLE))
    spent = cost(engine, store, asked(PEOPLE))
    store.close()
    assert 3 >= spent.get("transfer", 0)
    assert 1 == spent["fetch"]


def test_replicas_spend_one_budget_to_the_last(address: Address) -> None:
    """Four engines with stores of their own, at once: exactly the limit is delivered."""
    catalog = budget(120)

    def work(_: int) -> int:
        store = RedisStore.open(address)
        engine = engine_on(store, catalog)
        given = 0
        for _ in range(12):
            answers = engine.decide(asked(PEOPLE))
            given += sum(len(p.offers) for a in answers if isinstance(a, Decision) for p in a.placements)
        store.close()
        return given

    with ThreadPoolExecutor(4) as pool:
        assert 120 == sum(pool.map(work, range(4)))
