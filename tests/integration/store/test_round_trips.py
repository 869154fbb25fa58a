"""A batch costs a fixed number of round trips and commands, whatever its size."""

from __future__ import annotations

import pytest
import redis

from takt.domain.request import Identity
from takt.memory.ledger import Ledger
from takt.ports import Commit, MarkKind, MarkOutcome, ProfileOutcome
from takt.redis.store import RedisStore
from tests.contract.building import contact, entry, group, mark, write


def calls(client: redis.Redis, *names: str) -> int:
    """How often clients and functions have called these commands so far."""
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)


@pytest.mark.parametrize("size", [1, 2, 250])
def test_batch_costs_one_round_trip_per_call(client: redis.Redis, store: RedisStore, size: int) -> None:
    """Fetch, commit, mark and resolve take one each, put three at most; each is one command, fetch two."""
    people = [f"p{i}" for i in range(size)]
    trips_before = store.trips.counts()
    functions_before, reads_before = calls(client, "fcall"), calls(client, "mget")

    written = store.put(
        [write(p, identities=(Identity("login", p), Identity("cookie", p)), tightens=True) for p in people]
    )
    found = store.resolve([Identity("login", p) for p in people])
    fetched = store.fetch(people)
    committed = store.commit(
        [
            group(
                p,
                entry("r", contact(time_us=fetched.now_us)),
                gate=Ledger.parse(ledger).gate,
                snapshot_us=fetched.now_us,
            )
            for p, ledger in zip(people, fetched.ledgers, strict=True)
        ]
    )
    marked = store.mark([mark(p, "e", MarkKind.SHOWN) for p in people])

    trips = {n: c.trips - (trips_before[n].trips if n in trips_before else 0) for n, c in store.trips.counts().items()}
    assert {ProfileOutcome.WRITTEN} == set(written)
    assert people == found
    assert {Commit.DONE} == {outcome.commit for outcome in committed}
    assert {MarkOutcome.APPLIED} == set(marked)
    expected = {"put": 3, "resolve": 1, "fetch": 1, "commit": 1, "mark": 1}
    assert expected == {name: count for name, count in trips.items() if count}
    assert len(("claim", "put", "settle", "commit", "mark")) == calls(client, "fcall") - functions_before
    assert 2 == calls(client, "mget") - reads_before


def test_put_without_identities_is_one_round_trip(store: RedisStore) -> None:
    """What need not be claimed is not."""
    before = store.trips.trips()

    store.put([write(f"p{i}") for i in range(100)])

    assert 1 == store.trips.trips() - before


def test_put_of_known_identities_is_two_round_trips(store: RedisStore) -> None:
    """An identity that is one's own already need not be settled."""
    store.put([write("p", identities=(Identity("login", "p"),))])
    before = store.trips.trips()

    store.put([write("p", identities=(Identity("login", "p"),))])

    assert 2 == store.trips.trips() - before


def test_conflict_needs_no_further_fetch(store: RedisStore) -> None:
    """A lost race costs one more commit and nothing else."""
    now_us = store.fetch(["p"]).now_us
    store.commit([group("p", entry("r1", contact()), snapshot_us=now_us)])
    before = store.trips.counts()

    (lost,) = store.commit([group("p", entry("r2", contact()), snapshot_us=now_us)])
    fresh = Ledger.parse(lost.ledger)
    (won,) = store.commit(
        [group("p", entry("r2", contact()), gate=fresh.gate, appends=fresh.appends, snapshot_us=lost.now_us)]
    )

    after = store.trips.counts()
    assert [Commit.CONFLICT, Commit.DONE] == [lost.commit, won.commit]
    assert (2, 0) == tuple(after[name].trips - before[name].trips for name in ("commit", "fetch"))
