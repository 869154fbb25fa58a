"""Any history has the same outcome on a real server as in memory, where it can be read off the code."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, LATE, OUTSIDE, WIDTH
from takt.domain.request import Identity
from takt.identity import anonymous_id
from takt.memory.ledger import CorruptLedgerError, Ledger, LedgerEntry
from takt.memory.store import MemoryStore
from takt.ports import Entry, Group, Mark, MarkKind, ProfileWrite, Rewrite, Store
from tests.contract.building import DAY_US, packed
from tests.contract.harness import NOW_US, RETENTION_US, Harness, MemoryHarness

IDENTITIES = [Identity("login", "a"), Identity("cookie", "1"), Identity("cookie", "2")]
PEOPLE = ["ann", "bob", *(anonymous_id(i.namespace, i.value) for i in IDENTITIES[:2])]
EXAMPLES = itertools.count()


@dataclass
class Histories:
    """Two stores side by side. Names carry the number of the example, so that nothing has to be emptied."""

    reference: Store
    tested: Store
    number: int
    reads: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Per person: time, gate and appends of every read so far."""

    def name(self, profile_id: str) -> str:
        """A person's name in this example. Anonymous people keep theirs, which follows from their identity."""
        for identity in IDENTITIES:
            if profile_id == anonymous_id(identity.namespace, identity.value):
                return anonymous_id(identity.namespace, self.identity(identity).value)
        return f"{profile_id}/{self.number}"

    def identity(self, identity: Identity) -> Identity:
        """An identity in this example."""
        return Identity(identity.namespace, f"{identity.value}/{self.number}")

    def agree(self, call: str, argument: object) -> None:
        """Call both stores and compare what they answer."""
        assert getattr(self.reference, call)([argument]) == getattr(self.tested, call)([argument])

    def compare(self) -> None:
        """Compare all that can be read, and remember it as snapshots to decide on."""
        people = [self.name(p) for p in PEOPLE]
        read = self.reference.fetch(people)
        assert read == self.tested.fetch(people)
        named = [self.identity(i) for i in IDENTITIES]
        assert self.reference.resolve(named) == self.tested.resolve(named)
        for profile_id, data in zip(PEOPLE, read.ledgers, strict=True):
            try:
                ledger = Ledger.parse(data)
            except CorruptLedgerError:
                continue
            self.reads.setdefault(profile_id, []).append((read.now_us, ledger.gate, ledger.appends))


entries = st.builds(
    LedgerEntry,
    time_us=st.sampled_from([-40, -35, -1, 0, 1]).map(lambda days: NOW_US + days * DAY_US),
    decision=st.sampled_from([1, 2, 2**64 - 1]),
    expiry_s=st.sampled_from([0, 1, 1800, 40 * 86_400]),
    offer=st.sampled_from([1, 2]),
    group=st.sampled_from([0, 1]),
    channel=st.just(3),
    placement=st.just(4),
    state=st.sampled_from([0, 0, 0, 1, 2, 3, 1 | OUTSIDE, 1 | LATE]),
    origin=st.just(0),
)
suppressions = st.builds(
    LedgerEntry,
    time_us=st.sampled_from([-1, 0]).map(lambda days: NOW_US + days * DAY_US),
    decision=st.sampled_from([1, 2]),
    expiry_s=st.sampled_from([0, 60, 86_400, 2 * 86_400]),
    offer=st.sampled_from([1, 2]),
    group=st.just(0),
    channel=st.just(0),
    placement=st.just(0),
    state=st.sampled_from([16, 17, 18]),
    origin=st.just(0),
)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("commit"),
            st.sampled_from(PEOPLE),
            st.lists(
                st.tuples(st.sampled_from("uvwxyz"), st.lists(entries, max_size=2)),
                min_size=1,
                max_size=2,
                unique_by=lambda e: e[0],
            ),
            st.booleans(),
            st.sampled_from([0, 0, 1, 3]),
            st.sampled_from([-1, -1, -1, -2, -4]),  # which read it was decided on
            st.sampled_from([2, 4, 100]),
            st.sampled_from([0, 1, 36 * 3600, 35 * 86_400]),  # how long what lapsed is kept, in seconds
        ),
        st.tuples(
            st.just("mark"),
            st.sampled_from(PEOPLE),
            st.sampled_from("uvwxyz"),
            st.sampled_from(list(MarkKind)),
            st.sampled_from([0, 1, 2, 2**64 - 1]),
            st.sampled_from([0, 1, 2]),
            st.lists(suppressions, max_size=3),
        ),
        st.tuples(
            st.just("put"),
            st.sampled_from(PEOPLE),
            st.lists(st.sampled_from(IDENTITIES), max_size=2, unique=True),
            st.booleans(),
            st.sampled_from([None, None, b"", b"0", b"1"]),
        ),
        st.tuples(
            st.just("rewrite"),
            st.sampled_from(PEOPLE),
            st.sampled_from([True, True, False]),  # on the ledger as it is
            st.integers(0, 3),  # how many of its entries go
            st.lists(entries, max_size=2),
            st.sampled_from([0, 0, NOW_US // 1_000_000]),
        ),
        st.tuples(st.just("wait"), st.sampled_from([1, 1_000_000, 40_000_000, RETENTION_US, DAY_US])),
    ),
    max_size=14,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
def test_stores_agree(harness: Harness, history: list[tuple]) -> None:  # type: ignore[type-arg]
    """Commits, feedback, puts, rewrites and waits in any order: the same answers, ledgers, records and identities."""
    if isinstance(harness, MemoryHarness):
        pytest.skip("it is what the others are compared with")
    harness.clock.at_us = NOW_US
    both = Histories(MemoryStore(harness.clock, retention_us=RETENTION_US), harness.store, next(EXAMPLES))
    both.compare()
    for at, step in enumerate(history):
        match step:
            case "wait", us:
                harness.clock.advance(us)
            case "commit", person, requests, compare, slack, read, max_entries, lapsed_s:
                seen = both.reads[person]
                snapshot_us, gate, appends = seen[max(read, -len(seen))]
                both.agree(
                    "commit",
                    Group(
                        profile_id=both.name(person),
                        compare=compare,
                        gate=gate,
                        appends=appends,
                        slack=slack,
                        snapshot_us=snapshot_us,
                        max_age_us=30_000_000,
                        max_entries=max_entries,
                        trim_before_us=harness.clock.at_us - 35 * DAY_US,
                        entries=tuple(
                            Entry(name, name.encode() * 16, packed(*contacts), f"{at} {name}".encode())
                            for name, contacts in requests
                        ),
                        lapsed_before_us=harness.clock.at_us - lapsed_s * 1_000_000 + 1,
                    ),
                )
            case "mark", person, event, kind, decision, offer, refusals:
                mark = Mark(event, person_address(both.name(person)), decision, offer, kind, packed(*refusals), b"")
                both.agree("mark", mark)
            case "put", person, identities, tightens, expected:
                identities = tuple(both.identity(i) for i in identities)
                record = str(at).encode()
                both.agree("put", ProfileWrite(both.name(person), record, identities, tightens, expected))
            case "rewrite", person, current, dropped, added, lapsed_before_s:
                read = both.reference.fetch([both.name(person)]).ledgers[0] if current else EMPTY
                end = WIDTH * (1 + dropped)
                rewrite = Rewrite(
                    profile_id=both.name(person),
                    ledger=read,
                    entries=read[end:] + packed(*added),
                    appended=len(added),
                    dropped=read[WIDTH:end],
                    record=str(at).encode(),
                    lapsed_before_s=lapsed_before_s,
                )
                both.agree("rewrite", rewrite)
        both.compare()
