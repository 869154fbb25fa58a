"""Totals: what is given arrives once, what is spent was there, and what was held comes back, in every store alike."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from takt.domain.totals import CountedEvent, Pool, Transfer, field_of, home_of, open_transfers
from takt.errors import StoreMarkerError
from takt.ports import Allotment, Commit, Gift, Hold, MarkKind, MarkOutcome, Spend, Store
from tests.contract.building import DAY_US, contact, entry, group, ledger_of, mark
from tests.contract.harness import NOW_US, Harness, MemoryHarness

FIELD = field_of("milk-month", NOW_US - DAY_US)
ENDS_US = NOW_US + 10 * DAY_US


def home(store: Store) -> int:
    """Where the whole limit is at first."""
    return home_of(FIELD, store.totals.partitions)


def resident(store: Store, partition: int) -> str:
    """A person who lives in a partition."""
    names = (f"person-{n}" for n in itertools.count())
    return next(n for n in names if store.fetch([n], totals=True).partitions == [partition])


def opened(store: Store, limit: int) -> str:
    """Someone at home in the cap's home, after the cap was opened."""
    store.totals.allot([Allotment(home(store), FIELD, limit, ENDS_US)])
    return resident(store, home(store))


def spend(units: int = 1, **changes: Any) -> Spend:
    """Tokens taken from a pool of ten by a contact of decision 77, held for half an hour."""
    hold = Hold(NOW_US + 1_800_000_000, 77, 5, 8)
    fields: dict[str, Any] = {"field": FIELD, "limit": 10, "need": units, "counts": CountedEvent.IMPRESSION}
    return Spend(**(fields | {"units": units, "holds": (hold,) * units} | changes))


def pool(store: Store, partition: int) -> Pool | None:
    """What a partition holds."""
    return store.totals.read()[partition].pools.get(FIELD)


def commit(store: Store, person: str, request_id: str, *spends: Spend, **changes: Any) -> Commit:
    """Commit one contact with what it takes."""
    fields = {"slack": 100} | changes
    (outcome,) = store.commit([group(person, entry(request_id, contact()), spends=spends, **fields)])
    return outcome.commit


def test_the_home_is_given_the_whole_limit_once(harness: Harness) -> None:
    """Opening a cap twice makes one budget of it, which everybody who reads the home sees."""
    person = opened(harness.store, 10)
    opened(harness.store, 10)
    fetched = harness.store.fetch([person], totals=True)
    assert [{FIELD: Pool(10, 0, 10, ENDS_US)}] == fetched.pools
    assert 10 == sum(p.allotted for book in harness.store.totals.read() for p in book.pools.values())


def test_a_fetch_without_totals_reads_none(harness: Harness) -> None:
    """Where no total cap is in force nothing is read for it."""
    fetched = harness.store.fetch([opened(harness.store, 10)])
    assert ([], []) == (fetched.partitions, fetched.pools)


def test_a_commit_spends_with_its_contact(harness: Harness) -> None:
    """Tokens and contacts are written in one step, until the tokens are used up; then neither is."""
    person = opened(harness.store, 2)
    two = [commit(harness.store, person, f"r{n}", spend(limit=2)) for n in range(3)]
    assert [Commit.DONE, Commit.DONE, Commit.CONFLICT] == two
    assert Pool(2, 2, 2, ENDS_US) == pool(harness.store, home(harness.store))
    assert 2 == len(ledger_of(harness.store, person).entries)


def test_a_conflict_brings_the_pools_along(harness: Harness) -> None:
    """No further read is needed to decide again."""
    person = opened(harness.store, 2)
    (outcome,) = harness.store.commit([group(person, entry("r"), spends=(spend(units=3, limit=2),))])
    assert (Commit.CONFLICT, {FIELD: Pool(2, 0, 2, ENDS_US)}) == (outcome.commit, outcome.pools)


@pytest.mark.parametrize("refused", [spend(limit=11), spend(field=field_of("other", 0)), spend(0, need=11)])
def test_a_commit_is_refused_whatever_was_drawn(harness: Harness, refused: Spend) -> None:
    """Under another limit, on a pool that is not there, or with too little left, silence is a conflict as well."""
    person = opened(harness.store, 10)
    assert Commit.CONFLICT == commit(harness.store, person, "r", refused)
    assert Pool(10, 0, 10, ENDS_US) == pool(harness.store, home(harness.store))


def test_a_transfer_arrives_once(harness: Harness) -> None:
    """Whoever takes a transfer in again changes nothing, and until it is taken in it is found."""
    totals, origin = harness.store.totals, home(harness.store)
    target = (origin + 1) % totals.partitions
    opened(harness.store, 10)
    given = totals.give([Gift(FIELD, origin, target, 4, 10, ENDS_US)])
    assert [Transfer(FIELD, origin, target, 4, 10, ENDS_US)] == given == open_transfers(totals.read())
    assert (4, 0) == (totals.receive(given), totals.receive(given))
    more = totals.give([Gift(FIELD, origin, target, 100, 10, ENDS_US)])
    assert (6, 0, []) == (totals.receive(more), totals.receive(given), open_transfers(totals.read()))
    assert (0, 10) == (pool(harness.store, origin).allotted, pool(harness.store, target).allotted)  # type: ignore[union-attr]


def test_nothing_is_given_under_another_limit(harness: Harness) -> None:
    """A replica with another catalog does not move tokens."""
    opened(harness.store, 10)
    origin = home(harness.store)
    assert [] == harness.store.totals.give([Gift(FIELD, origin, (origin + 1) % 8, 4, 12, ENDS_US)])


@pytest.mark.parametrize(("limit", "left"), [(15, 13), (6, 4), (1, 0)])
def test_a_changed_limit_holds_at_once(harness: Harness, limit: int, left: int) -> None:
    """The home gains or loses the difference, the others send back what they have left; what is spent stays spent."""
    totals, origin = harness.store.totals, home(harness.store)
    target = (origin + 1) % totals.partitions
    opened(harness.store, 10)
    totals.receive(totals.give([Gift(FIELD, origin, target, 5, 10, ENDS_US)]))
    assert Commit.DONE == commit(harness.store, resident(harness.store, target), "r1", spend(2, holds=()))
    assert Commit.CONFLICT == commit(harness.store, resident(harness.store, target), "r2", spend(limit=limit))
    changed = [Allotment(partition, FIELD, limit, ENDS_US) for partition in (origin, target)]
    totals.receive(totals.allot(changed))
    totals.receive(totals.allot(changed))
    pools = [p for book in totals.read() for p in book.pools.values()]
    assert (limit, 2, left) == (sum(p.allotted for p in pools), sum(p.spent for p in pools), sum(p.left for p in pools))


def test_a_release_gives_the_token_back(harness: Harness) -> None:
    """What was not shown costs nothing, unless it turns out to have been shown after all."""
    person = opened(harness.store, 10)
    at = home(harness.store)
    spent = []
    commit(harness.store, person, "r", spend())
    for event_id, kind in (("e1", MarkKind.RELEASED), ("e2", MarkKind.SHOWN), ("e3", MarkKind.CLICKED)):
        harness.store.mark([mark(person, event_id, kind)])
        spent.append(pool(harness.store, at).spent)  # type: ignore[union-attr]
    assert [0, 1, 1] == spent


def test_a_hold_that_expires_gives_its_token_back(harness: Harness) -> None:
    """Once it is swept; a confirmation after that is late and counts again, but not after two days."""
    person = opened(harness.store, 10)
    at = home(harness.store)
    commit(harness.store, person, "r", spend())
    swept = [harness.store.totals.sweep()]
    harness.clock.advance(1_801_000_000)
    swept += [harness.store.totals.sweep(), harness.store.totals.sweep()]
    assert [0, 1, 0] == swept
    assert 0 == pool(harness.store, at).spent  # type: ignore[union-attr]
    assert [MarkOutcome.LATE] == harness.store.mark([mark(person, "e", MarkKind.SHOWN)])
    assert 1 == pool(harness.store, at).spent  # type: ignore[union-attr]


def test_a_confirmed_contact_keeps_its_token(harness: Harness) -> None:
    """An impression spends it for good; under a cap on clicks it takes a click."""
    person = opened(harness.store, 10)
    at = home(harness.store)
    commit(harness.store, person, "r", spend())
    other = spend(counts=CountedEvent.CLICK, holds=(Hold(NOW_US + 1_800_000_000, 78, 5, 8),))
    group_of_other = group(person, entry("s", contact(decision=78)), spends=(other,), slack=100)
    assert Commit.DONE == harness.store.commit([group_of_other])[0].commit
    harness.store.mark([mark(person, "e1", MarkKind.SHOWN), mark(person, "e2", MarkKind.SHOWN, decision=78)])
    harness.clock.advance(1_801_000_000)
    assert 1 == harness.store.totals.sweep()
    assert 1 == pool(harness.store, at).spent  # type: ignore[union-attr]


def test_a_window_is_forgotten_two_days_after_its_end(harness: Harness) -> None:
    """Pools and transfers of the past do not pile up."""
    totals, origin = harness.store.totals, home(harness.store)
    opened(harness.store, 10)
    totals.receive(totals.give([Gift(FIELD, origin, (origin + 1) % 8, 5, 10, ENDS_US)]))
    harness.clock.advance(12 * DAY_US)
    totals.sweep()
    assert any(book.pools for book in totals.read())
    harness.clock.advance(1)
    totals.sweep()
    assert not any(book.pools or book.given or book.received for book in totals.read())


def test_a_partition_without_its_marker_moves_nothing(harness: Harness) -> None:
    """Totals fail closed like everything else."""
    person = opened(harness.store, 10)
    harness.lose_marker(person)
    at = home(harness.store)
    for call, argument in (
        ("allot", Allotment(at, FIELD, 10, ENDS_US)),
        ("give", Gift(FIELD, at, (at + 1) % 8, 1, 10, ENDS_US)),
        ("receive", Transfer(FIELD, (at + 1) % 8, at, 1, 10, ENDS_US)),
    ):
        with pytest.raises(StoreMarkerError):
            getattr(harness.store.totals, call)([argument])
    with pytest.raises(StoreMarkerError):
        harness.store.totals.sweep()


EXAMPLES = itertools.count()
PARTITIONS = st.integers(0, 7)
LIMITS = st.sampled_from([0, 3, 5])
NAMES = st.sampled_from([0, 1])
holds = st.builds(
    Hold,
    expires_us=st.sampled_from([-1, 0, 1, 600]).map(lambda s: NOW_US + s * 1_000_000),
    decision=st.sampled_from([1, 2]),
    offer=st.sampled_from([1, 2]),
    placement=st.sampled_from([4, 5]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("allot"), NAMES, PARTITIONS, LIMITS, st.sampled_from([0, 1, 5])),
        st.tuples(st.just("give"), NAMES, PARTITIONS, PARTITIONS, st.integers(0, 4), LIMITS),
        st.tuples(st.just("receive"), st.integers(0, 10)),
        st.tuples(
            st.just("commit"), NAMES, PARTITIONS, LIMITS, st.integers(0, 2), st.sampled_from(CountedEvent), holds
        ),
        st.tuples(
            st.just("mark"), PARTITIONS, st.sampled_from([1, 2]), st.sampled_from([0, 1, 2]), st.sampled_from(MarkKind)
        ),
        st.tuples(st.just("wait"), st.sampled_from([1, 600, 3 * 86_400])),
        st.tuples(st.just("sweep"), st.integers(1, 3)),
    ),
    max_size=14,
)


@dataclass
class Pair:
    """Two stores that go through the same."""

    stores: tuple[Harness, Harness]
    number: int
    people: dict[int, str]
    transfers: list[Transfer] = field(default_factory=list)
    steps: int = 0

    def both(self, act: Any) -> Any:
        """Do it to both and compare the answers."""
        reference, tested = (act(harness.store) for harness in self.stores)
        assert reference == tested
        return reference

    def field(self, name: int, days: int = 0) -> bytes:
        """A cap's window in this example."""
        return field_of(f"cap-{name}-{self.number}", days)

    def take(self, step: tuple[Any, ...]) -> None:
        """One step."""
        self.steps += 1
        now_us = self.stores[0].clock.now_us()
        match step:
            case ("allot", name, partition, limit, days):
                ends = now_us + days * DAY_US if days else 0
                self.transfers += self.both(
                    lambda s: s.totals.allot([Allotment(partition, self.field(name), limit, ends)])
                )
            case ("give", name, origin, target, units, limit):
                gift = Gift(self.field(name), origin, target, units, limit, 0)
                self.transfers += self.both(lambda s: s.totals.give([gift]))
            case ("receive", n) if self.transfers:
                one = self.transfers[n % len(self.transfers)]
                self.both(lambda s: s.totals.receive([one]))
            case ("commit", name, partition, limit, units, counts, hold):
                kept = (replace(hold, expires_us=hold.expires_us - NOW_US + now_us),) if units and counts else ()
                taken = Spend(self.field(name), limit, units, units, counts, kept)
                made = contact(
                    time_us=now_us,
                    decision=hold.decision,
                    offer=hold.offer,
                    placement=hold.placement,
                )
                one = group(
                    self.people[partition],
                    entry(f"r{self.steps}-{self.number}", *((made,) if units else ())),
                    spends=(taken,),
                    compare=False,
                    snapshot_us=now_us,
                )
                self.both(lambda s: s.commit([one]))
            case ("mark", partition, decision, offer, kind):
                event = mark(
                    self.people[partition], f"e{self.steps}-{self.number}", kind, decision=decision, offer=offer
                )
                self.both(lambda s: s.mark([event]))
            case ("wait", seconds):
                for harness in self.stores:
                    harness.clock.advance(seconds * 1_000_000)
            case ("sweep", most):
                self.both(lambda s: s.totals.sweep(most))
            case _:
                pass
        self.both(lambda s: s.totals.read())


@pytest.mark.parametrize("harness", ["valkey", "redis"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_history_of_totals_is_the_same_in_memory(harness: Harness, steps: list[tuple[Any, ...]]) -> None:
    """The server's functions agree with the dictionaries after every step; no history makes tokens."""
    number = next(EXAMPLES)
    memory = MemoryHarness()
    memory.clock.advance(harness.clock.now_us() - memory.clock.now_us())
    harness.lose_totals()
    people: dict[int, str] = {}
    for n in itertools.count():
        name = f"{number}/{n}"
        people.setdefault(memory.store.fetch([name], totals=True).partitions[0], name)
        if len(people) == 8:
            break
    pair = Pair((memory, harness), number, people)
    for step in steps:
        pair.take(step)
    books = memory.store.totals.read()
    for pooled in {pooled for book in books for pooled in book.pools}:
        if pooled in books[home_of(pooled, 8)].pools:
            limit = books[home_of(pooled, 8)].pools[pooled].limit
            on_the_way = sum(
                amount - books[target].received.get((origin, pooled), 0)
                for origin, book in enumerate(books)
                for (target, given_name), amount in book.given.items()
                if given_name == pooled
            )
            assert limit == on_the_way + sum(book.pools[pooled].allotted for book in books if pooled in book.pools)


def test_a_merge_spends_what_the_absorbed_person_holds(harness: Harness) -> None:
    """Confirmations will go to somebody else's ledger, so nothing comes back that was perhaps shown."""
    person = opened(harness.store, 10)
    commit(harness.store, person, "r", spend())
    harness.store.merging.expect("winner", person)
    harness.store.merging.seal(person, "winner")
    harness.clock.advance(1_801_000_000)
    assert 0 == harness.store.totals.sweep()
    assert 1 == pool(harness.store, home(harness.store)).spent  # type: ignore[union-attr]
