"""A primary dies before its replica has everything: what was acknowledged is put back by whoever was told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from takt.clock import DAY_US
from takt.domain.ledger import EntryState
from takt.domain.totals import CountedEvent, field_of, home_of
from takt.errors import StoreError, StoreMarkerError
from takt.memory.ledger import Ledger
from takt.ports import Allotment, Commit, Gift, Hold, MarkKind, MarkOutcome, Spend
from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from tests.contract.building import contact, entry, group, mark
from tests.integration.catalog.conftest import Replica, capped, contacted, written
from tests.integration.rpc.process import Service
from tests.integration.store.proxy import Proxy

FIELD = field_of("milk", 0)
LIMIT = 10


class Tcp(EmbeddedServer):
    """A server that another one can replicate."""

    port = 0

    def _options(self) -> list[str]:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        return [*super()._options(), "--port", str(self.port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"]


@dataclass
class Pair:
    """A primary with its replica, and a store that reaches whichever of them is the primary."""

    primary: Tcp
    replica: Tcp
    proxy: Proxy
    address: Address

    def caught_up(self) -> None:
        """Return once the replica has all that the primary has."""
        pause = threading.Event()
        for _ in range(600):
            with self.client(self.primary) as one, self.client(self.replica) as two:
                first, second = one.info("replication"), two.info("replication")
            if second["master_link_status"] == "up" and first["master_repl_offset"] == second["slave_repl_offset"]:
                return
            pause.wait(0.05)
        raise AssertionError("the replica did not catch up")

    def part(self) -> None:
        """From now on the replica gets nothing: what the primary acknowledges is lost with it."""
        with self.client(self.replica) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    def fail_over(self) -> None:
        """The primary dies, and the replica takes its place."""
        self.proxy.target = self.replica.socket
        self.primary.stop(timeout_s=0)

    @contextlib.contextmanager
    def client(self, server: EmbeddedServer) -> Iterator[redis.Redis]:
        """Look into one of them."""
        with redis.Redis.from_url(server.url, protocol=2) as client:
            yield client


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary that is a store, and a replica that has it all."""
    with Tcp(tmp_path / "one", fsync="no") as primary, Tcp(tmp_path / "two", fsync="no") as replica:
        with redis.Redis.from_url(replica.url, protocol=2) as client:
            client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        listen = tmp_path / "s"
        with Proxy(primary.socket, listen=listen) as proxy:
            made = Pair(primary, replica, proxy, Address(f"unix://{listen}", timeout_s=10.0))
            init_store(made.address, partitions=4)
            made.caught_up()
            yield made


@pytest.fixture
def store(pair: Pair) -> Iterator[RedisStore]:
    """The store as one service has it."""
    opened = RedisStore.open(pair.address)
    yield opened
    opened.close()


def resident(store: RedisStore, partition: int, number: int = 0) -> str:
    """Somebody who lives in a partition."""
    found = (f"person-{n}" for n in range(10_000))
    return [name for name in (next(found) for _ in range(200)) if store.keys_of(name).partition == partition][number]


def spend(person: str, decision: int, now_us: int) -> Spend:
    """One token, held until the contact is confirmed."""
    del person
    return Spend(FIELD, LIMIT, 1, 1, CountedEvent.IMPRESSION, (Hold(now_us + DAY_US, decision, 5, 8),))


def made(store: RedisStore, person: str, request_id: str, *, total: bool = False, decision: int = 77) -> Commit:
    """Commit one contact of a person on what is there now."""
    fetched = store.fetch([person])
    ledger = Ledger.parse(fetched.ledgers[0])
    (outcome,) = store.commit(
        [
            group(
                person,
                entry(request_id, contact(time_us=fetched.now_us, decision=decision)),
                gate=ledger.gate,
                appends=ledger.appends,
                snapshot_us=fetched.now_us,
                spends=(spend(person, decision, fetched.now_us),) if total else (),
            )
        ]
    )
    return outcome.commit


def contacts(store: RedisStore, person: str) -> int:
    """How many contacts count."""
    return len(Ledger.parse(store.fetch([person]).ledgers[0]).entries)


def again(store: RedisStore) -> None:
    """The call that finds its connection cut; the next one makes a new one."""
    with contextlib.suppress(StoreError):
        store.fetch([])


def opened(store: RedisStore) -> None:
    """Return once totals are open again."""
    pause = threading.Event()
    for _ in range(200):
        if not store.totals.closed:
            return
        pause.wait(0.05)
    raise AssertionError("totals stayed closed")


def test_what_was_acknowledged_is_put_back(pair: Pair, store: RedisStore) -> None:
    """Contacts and answers that the new primary never got are there before anything is asked of it."""
    assert Commit.DONE is made(store, "p", "kept")
    pair.caught_up()
    pair.part()
    assert [Commit.DONE] * 3 == [made(store, person, f"lost {person}") for person in ("p", "q", "r")]
    pair.fail_over()
    again(store)

    assert [2, 1, 1] == [contacts(store, person) for person in ("p", "q", "r")]
    assert Commit.KNOWN is made(store, "q", "lost q")
    assert Commit.KNOWN is made(store, "p", "kept")
    assert store.trips.trips("restore") == 1


def test_events_are_put_back_after_their_contacts(pair: Pair, store: RedisStore) -> None:
    """An impression that was recorded is, once, whichever server forgot it."""
    pair.part()
    made(store, "p", "r1")
    assert [MarkOutcome.APPLIED] == store.mark([mark("p", "e1", MarkKind.SHOWN)])
    pair.fail_over()
    again(store)

    (found,) = Ledger.parse(store.fetch(["p"]).ledgers[0]).entries
    assert EntryState.SHOWN == found.state
    assert [MarkOutcome.DUPLICATE] == store.mark([mark("p", "e1", MarkKind.SHOWN)])


def test_who_read_before_must_decide_anew(pair: Pair, store: RedisStore) -> None:
    """A decision on a ledger that lacked what was put back is refused."""
    pair.part()
    with contextlib.closing(RedisStore.open(pair.address)) as other:
        made(store, "p", "r1")
        pair.fail_over()
        again(other)
        before = other.fetch(["p"])  # this one was told of nothing, and reads what is left
        ledger = Ledger.parse(before.ledgers[0])
        again(store)
        assert 1 == contacts(store, "p")
        late = group(
            "p",
            entry("r2", contact(time_us=before.now_us)),
            gate=ledger.gate,
            appends=ledger.appends,
            snapshot_us=before.now_us,
            slack=100,
        )

        assert [Commit.CONFLICT] == [outcome.commit for outcome in other.commit([late])]


def test_a_total_counts_what_was_forgotten(pair: Pair, store: RedisStore) -> None:
    """Ten tokens, six spent and four of these forgotten: four are left, wherever they lie, and not one more."""
    home = home_of(FIELD, 4)
    away = (home + 1) % 4
    store.totals.allot([Allotment(home, FIELD, LIMIT, 0)])
    residents = [resident(store, home), resident(store, away)]
    for n in range(2):
        assert Commit.DONE is made(store, residents[0], f"kept {n}", total=True, decision=n + 1)
    pair.caught_up()
    pair.part()
    # tokens go where the replica does not know of them, and are spent there
    store.totals.receive(store.totals.give([Gift(FIELD, home, away, 3, LIMIT, 0)]))
    for n in range(3):
        assert Commit.DONE is made(store, residents[1], f"away {n}", total=True, decision=n + 11)
    assert Commit.DONE is made(store, residents[0], "home", total=True, decision=21)
    pair.fail_over()
    again(store)

    assert [{}] == store.fetch(residents[:1], totals=True).pools  # they wait for what others may put back
    with pytest.raises(StoreError, match="totals wait"):
        made(store, residents[0], "too soon", total=True, decision=99)
    assert Commit.DONE is made(store, residents[0], "without a total", decision=98)
    opened(store)
    pools = [book.pools[FIELD] for book in store.totals.read() if FIELD in book.pools]
    known = sum(pool.spent for pool in pools)
    more = 0
    while Commit.DONE is made(store, residents[0], f"more {more}", total=True, decision=100 + more):
        more += 1
    while Commit.DONE is made(store, residents[1], f"more {more}", total=True, decision=100 + more):
        more += 1
    assert (6, 4) == (known, more)


def test_a_total_that_was_opened_since_is_opened_again(pair: Pair, store: RedisStore) -> None:
    """The new primary knows nothing of the budget; who has spent from it does."""
    home = home_of(FIELD, 4)
    pair.part()
    store.totals.allot([Allotment(home, FIELD, LIMIT, 0)])
    person = resident(store, home)
    assert [Commit.DONE] * 3 == [made(store, person, f"r{n}", total=True, decision=n + 1) for n in range(3)]
    pair.fail_over()
    again(store)

    store.fetch([])
    opened(store)
    assert {(LIMIT, 3)} == {(p.allotted, p.spent) for b in store.totals.read() for p in b.pools.values()}


def test_a_server_started_anew_forgot_nothing(tmp_path: Path) -> None:
    """It is another one, and remembers all: nothing is written twice."""
    with EmbeddedServer(tmp_path / "data") as server:
        address = Address(server.url, timeout_s=10.0)
        init_store(address, partitions=4)
        with contextlib.closing(RedisStore.open(address)) as store:
            made(store, "p", "r1")
            store.mark([mark("p", "e1", MarkKind.SHOWN)])
            with redis.Redis.from_url(server.url, protocol=2) as client:
                before = client.xlen(f"takt:{{{store.keys_of('p').partition}}}:log")
            server.stop(timeout_s=0)
            server.start()
            again(store)

            assert 1 == contacts(store, "p")
            with redis.Redis.from_url(server.url, protocol=2) as client:
                assert before == client.xlen(f"takt:{{{store.keys_of('p').partition}}}:log")
            assert 2 == store.trips.trips("restore")


def test_nothing_is_put_into_a_store_that_is_another(pair: Pair, store: RedisStore) -> None:
    """A server without the marker gets nothing, and is asked for nothing else."""
    pair.part()
    made(store, "p", "r1")
    with pair.client(pair.replica) as client:
        client.flushall()
    pair.fail_over()
    again(store)

    with pytest.raises(StoreMarkerError):
        store.fetch(["p"])
    with pair.client(pair.replica) as client:
        assert 0 == client.dbsize()


@pytest.mark.timeout(300)
def test_two_services_lose_nothing_that_they_told(pair: Pair, tmp_path: Path) -> None:
    """Three contacts that only the old primary had are known to both services after it died: two are left of five."""
    workspace = written(tmp_path / "five", 5)
    given = ["--redis-url", pair.address.url, "--store-timeout-ms", "5000", "--decide-budget-ms", "30000"]
    with Service(given, workspace) as first, Service(given, workspace) as second:
        one, two = Replica(first.wait_ready()), Replica(second.wait_ready())
        person = one.person()
        pair.caught_up()
        pair.part()
        contacted(one, person, 2)
        contacted(two, person, 1)
        pair.fail_over()
        assert 2 <= first.line("store_changed")["restored"] + first.line("store_changed")["known"]
        assert 0 == first.line("store_changed")["lost"] == second.line("store_changed")["lost"]

        contacted(one, person, 1)
        contacted(two, person, 1)
        assert [True, True] == [capped(replica.decide(person)) for replica in (one, two)]
        one.close()
        two.close()
