"""What every store promises about commits."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from takt.clock import SECOND_US
from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, LATE, OUTSIDE, EntryState, LedgerState
from takt.domain.request import Identity
from takt.identity import anonymous_id
from takt.memory.ledger import Ledger, LedgerEntry
from takt.ports import SNAPSHOT_LIMIT_US, Commit, Entry, MarkKind, MarkOutcome, Remembered, Store
from tests.contract.building import DAY_US, contact, entry, group, ledger_of, mark, packed, suppression, write
from tests.contract.harness import NOW_US, RETENTION_US, Harness


def test_fetch_of_nobody_is_empty(harness: Harness) -> None:
    """Who was never written has no record, and the ledger that was never written."""
    fetched = harness.store.fetch(["nobody"])

    assert (NOW_US, [None], [EMPTY]) == (fetched.now_us, fetched.records, fetched.ledgers)


def test_fetch_keeps_order_and_repeats(harness: Harness) -> None:
    """A batch may name a person twice and strangers in between."""
    harness.store.put([write("a", b"A\0\xff"), write("b", b"B")])

    assert [b"B", None, b"A\0\xff", b"B"] == harness.store.fetch(["b", "x", "a", "b"]).records


def test_fetch_of_no_one_tells_the_time(harness: Harness) -> None:
    """An empty batch is a batch."""
    assert NOW_US == harness.store.fetch([]).now_us


def test_empty_batches_do_nothing(harness: Harness) -> None:
    """Nothing asked, nothing answered."""
    assert ([], [], [], []) == (
        harness.store.commit([]),
        harness.store.mark([]),
        harness.store.put([]),
        harness.store.resolve([]),
    )


def test_commit_appends_and_logs(harness: Harness) -> None:
    """A commit adds the contacts in order, counts them and logs the decision; the gate stays."""
    first, second = contact(offer=1), contact(offer=2)

    outcomes = harness.store.commit([group("p", entry("r1", first, second))])

    assert [(Commit.DONE, NOW_US)] == [(o.commit, o.now_us) for o in outcomes]
    assert Ledger(appends=2, entries=(first, second)) == ledger_of(harness.store, "p")
    assert [("decision", b"log r1")] == harness.log()


def test_a_ledger_grows_to_any_length(harness: Harness) -> None:
    """However long it is by then: what was there stays, what is new follows, and its header counts it."""
    contacts = [contact(decision=n, time_us=NOW_US - 90 * SECOND_US + n) for n in range(90)]
    for n in range(0, 90, 3):
        asked = group("p", entry(f"r{n}", *contacts[n : n + 3]), appends=n)
        assert [Commit.DONE] == [outcome.commit for outcome in harness.store.commit([asked])]
        assert Ledger(appends=n + 3, entries=tuple(contacts[: n + 3])) == ledger_of(harness.store, "p")


def test_what_is_begun_is_done_whoever_waits(harness: Harness) -> None:
    """Calls that are under way at once on one thread each get their own answer, in whatever order they are waited for.

    Of two commits on the same read one is done, and it is done though nobody has waited for it yet.
    """
    store = harness.store
    store.put([write("p", b"P", identities=(Identity("login", "p"),)), write("q", b"Q")])
    resolving = store.begin_resolve([Identity("login", "p"), Identity("login", "x")])
    reading = store.begin_fetch(["q", "p"])
    commits = [store.begin_commit([group("p", entry(name, contact(offer=n)))]) for n, name in enumerate("ab")]
    until_done(store, 1)

    outcomes = [outcome for begun in reversed(commits) for outcome in begun()]
    assert ([Commit.CONFLICT, Commit.DONE], 1) == (
        sorted(outcome.commit for outcome in outcomes),
        len(ledger_of(store, "p").entries),
    )
    assert [b"Q", b"P"] == reading().records
    assert ["p", None] == resolving()


def until_done(store: Store, appends: int) -> None:
    """Wait until somebody's contacts have reached the ledger of `p`."""
    until = time.monotonic() + 10
    while ledger_of(store, "p").appends < appends:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_silence_is_logged_and_leaves_no_ledger(harness: Harness) -> None:
    """A decision without contacts writes to the log and to the ids only."""
    (outcome,) = harness.store.commit([group("p", entry("r1"))])

    assert Commit.DONE == outcome.commit
    assert [EMPTY] == harness.store.fetch(["p"]).ledgers
    assert [("decision", b"log r1")] == harness.log()


def test_several_requests_of_one_person_are_one_compare(harness: Harness) -> None:
    """The entries of a group are appended and logged one after the other."""
    first, second = contact(decision=1), contact(decision=2)

    (outcome,) = harness.store.commit([group("p", entry("r1", first), entry("r2"), entry("r3", second))])

    assert Commit.DONE == outcome.commit
    assert Ledger(appends=2, entries=(first, second)) == ledger_of(harness.store, "p")
    assert [("decision", b"log r1"), ("decision", b"log r2"), ("decision", b"log r3")] == harness.log()


def test_repeated_request_gets_what_was_decided(harness: Harness) -> None:
    """A reply that was lost is found again by its id: same digest, same record, nothing written twice."""
    harness.store.put([write("p", b"profile")])
    harness.store.commit([group("p", entry("r1", contact(), record=b"\x00the answer\xff"))])

    (outcome,) = harness.store.commit([group("p", entry("r1", contact(), record=b"another"))])

    assert Commit.KNOWN == outcome.commit
    assert {"r1": Remembered(b"r1".ljust(16, b"."), b"\x00the answer\xff")} == outcome.known
    assert b"profile" == outcome.profile
    assert Ledger(appends=1, entries=(contact(),)) == Ledger.parse(outcome.ledger)
    assert Ledger(appends=1, entries=(contact(),)) == ledger_of(harness.store, "p")
    assert 1 == len(harness.log())


def test_known_names_only_the_known(harness: Harness) -> None:
    """One known id among new ones holds the group back, and says which it was."""
    harness.store.commit([group("p", entry("r1"))])

    (outcome,) = harness.store.commit([group("p", entry("r2", contact()), entry("r1"), entry("r3"))])

    assert (Commit.KNOWN, ["r1"]) == (outcome.commit, list(outcome.known))
    assert [("decision", b"log r1")] == harness.log()


def test_refusals_are_remembered(harness: Harness) -> None:
    """A request that ended in silence stays decided, so that a retry does not become a grant."""
    harness.store.commit([group("p", entry("r1"))])

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()))])

    assert Commit.KNOWN == outcome.commit
    assert [EMPTY] == harness.store.fetch(["p"]).ledgers


def test_request_ids_belong_to_a_person(harness: Harness) -> None:
    """Two people may use the same request id."""
    harness.store.commit([group("p", entry("r1"))])

    assert Commit.DONE == harness.store.commit([group("q", entry("r1"))])[0].commit


@pytest.mark.parametrize(
    ("later_us", "expected"),
    [
        (RETENTION_US - 1, Commit.KNOWN),
        (RETENTION_US, Commit.KNOWN),
        (2 * RETENTION_US, Commit.DONE),
        (20 * RETENTION_US, Commit.DONE),
    ],
)
def test_ids_are_remembered_for_the_retention(harness: Harness, later_us: int, expected: Commit) -> None:
    """An id is known for at least the retention and at most twice that, wherever it falls in its generation."""
    harness.store.commit([group("p", entry("r1"))])

    harness.clock.advance(later_us)
    (outcome,) = harness.store.commit([group("p", entry("r1"), snapshot_us=harness.clock.now_us())])

    assert expected == outcome.commit


def test_same_person_twice_in_a_batch(harness: Harness) -> None:
    """Groups are taken in order: the second sees what the first wrote."""
    outcomes = harness.store.commit(
        [
            group("p", entry("r1", contact())),
            group("p", entry("r1", contact())),
            group("p", entry("r2", contact())),
            group("p", entry("r3", contact()), appends=1),
        ]
    )

    assert [Commit.DONE, Commit.KNOWN, Commit.CONFLICT, Commit.DONE] == [o.commit for o in outcomes]
    assert 2 == ledger_of(harness.store, "p").appends


def test_lost_marker_is_refused(harness: Harness) -> None:
    """Without its marker a store may have lost ledgers: nobody is contacted from it."""
    harness.lose_marker("p")

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()))])

    assert Commit.MARKER == outcome.commit
    assert ([EMPTY], []) == (harness.store.fetch(["p"]).ledgers, harness.log())


@pytest.mark.parametrize(
    ("age_us", "max_age_us", "expected"),
    [
        (2_000_000, 2_000_000, Commit.DONE),
        (2_000_001, 2_000_000, Commit.STALE),
        (SNAPSHOT_LIMIT_US, 10 * SNAPSHOT_LIMIT_US, Commit.DONE),
        (SNAPSHOT_LIMIT_US + 1, 10 * SNAPSHOT_LIMIT_US, Commit.STALE),
    ],
)
def test_old_snapshot_is_refused(harness: Harness, age_us: int, max_age_us: int, expected: Commit) -> None:
    """A decision counts from what it read, so it may not be older than its caller or the store allow."""
    harness.clock.advance(age_us)

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()), max_age_us=max_age_us)])

    assert expected == outcome.commit
    assert (1 if expected is Commit.DONE else 0) == len(harness.log())


def test_stale_comes_with_a_fresh_read(harness: Harness) -> None:
    """What is too old can be decided again without another fetch."""
    harness.store.put([write("p", b"profile")])
    harness.clock.advance(10_000_000)

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()))])

    assert (NOW_US + 10_000_000, b"profile", EMPTY) == (outcome.now_us, outcome.profile, outcome.ledger)


@pytest.mark.parametrize(
    ("others", "slack", "expected"),
    [(0, 0, Commit.DONE), (1, 0, Commit.CONFLICT), (1, 1, Commit.DONE), (3, 2, Commit.CONFLICT), (3, 3, Commit.DONE)],
)
def test_slack_is_what_others_may_have_added(harness: Harness, others: int, slack: int, expected: Commit) -> None:
    """Contacts that were added meanwhile matter only beyond the smallest headroom."""
    harness.store.commit([group("p", entry(f"o{i}", contact()), appends=i) for i in range(others)])

    (outcome,) = harness.store.commit([group("p", entry("mine", contact()), slack=slack)])

    assert expected == outcome.commit
    assert others + (expected is Commit.DONE) == ledger_of(harness.store, "p").appends


def test_conflict_comes_with_a_fresh_read(harness: Harness) -> None:
    """Whoever lost a race gets what it needs to decide again."""
    harness.store.put([write("p", b"profile")])
    harness.store.commit([group("p", entry("r1", contact()))])

    (outcome,) = harness.store.commit([group("p", entry("r2", contact()))])

    assert (Commit.CONFLICT, b"profile") == (outcome.commit, outcome.profile)
    assert Ledger(appends=1, entries=(contact(),)) == Ledger.parse(outcome.ledger)
    assert {} == outcome.known


def test_moved_gate_is_a_conflict_whatever_the_slack(harness: Harness) -> None:
    """What tightens (here a put that may have withdrawn consent) ends every decision under way."""
    harness.store.put([write("p", tightens=True)])

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()), slack=1000)])

    assert Commit.CONFLICT == outcome.commit
    assert NOW_US == Ledger.parse(outcome.ledger).gate


def test_ledger_that_went_back_is_a_conflict(harness: Harness) -> None:
    """Fewer appends than were read: the store is not the one that was read."""
    (outcome,) = harness.store.commit([group("p", entry("r1", contact()), appends=3, slack=9)])

    assert Commit.CONFLICT == outcome.commit


def test_silence_that_was_drawn_is_compared_too(harness: Harness) -> None:
    """Otherwise conflicts would favour silence, and the propensities would be wrong."""
    harness.store.put([write("p", tightens=True)])

    (outcome,) = harness.store.commit([group("p", entry("r1"))])

    assert Commit.CONFLICT == outcome.commit
    assert [] == harness.log()


def test_where_nothing_could_be_drawn_nothing_is_compared(harness: Harness) -> None:
    """A refusal needs no retries on a busy ledger."""
    harness.store.put([write("p", tightens=True)])

    (outcome,) = harness.store.commit([group("p", entry("r1"), compare=False, appends=9)])

    assert Commit.DONE == outcome.commit


@pytest.mark.parametrize("compare", [True, False])
def test_sealed_ledger_takes_no_contacts(harness: Harness, compare: bool) -> None:
    """A sealed ledger is a conflict even for those who do not compare."""
    sealed = Ledger(gate=5, state=LedgerState.SEALED)
    harness.overwrite_ledger("p", sealed.pack())

    (outcome,) = harness.store.commit([group("p", entry("r1", contact()), compare=compare, gate=5)])

    assert (Commit.CONFLICT, sealed) == (outcome.commit, Ledger.parse(outcome.ledger))


def test_sealed_ledger_lets_refusals_through(harness: Harness) -> None:
    """Nothing compared, nothing added: nothing to refuse."""
    harness.overwrite_ledger("p", Ledger(state=LedgerState.SEALED).pack())

    assert Commit.DONE == harness.store.commit([group("p", entry("r1"), compare=False)])[0].commit


def test_checks_come_in_their_order(harness: Harness) -> None:
    """Known, then marker, then age, then gate, then room: the first that fails is the answer."""
    harness.store.commit([group("p", entry("r1", contact()))])
    wrong = {"appends": 0, "max_entries": 1}
    fitting = {"appends": 1, "max_entries": 1}
    harness.clock.advance(10_000_000)
    fresh = {"snapshot_us": harness.clock.now_us()}

    def outcome(request_id: str, **changes: int) -> Commit:
        return harness.store.commit([group("p", entry(request_id, contact()), **changes)])[0].commit

    assert Commit.LEDGER_FULL == outcome("r2", **fitting, **fresh)
    assert Commit.CONFLICT == outcome("r2", **wrong, **fresh)
    assert Commit.STALE == outcome("r2", **wrong)
    harness.lose_marker("p")
    assert Commit.MARKER == outcome("r2", **wrong)
    assert Commit.KNOWN == outcome("r1", **wrong)


@pytest.mark.parametrize("broken", [b"", b"x", b"x" * 31, b"x" * 32, EMPTY + b"x", EMPTY[:24] + b"\x02" + EMPTY[25:]])
def test_broken_ledger_fails_closed_alone(harness: Harness, broken: bytes) -> None:
    """A ledger that cannot be read stops its own person, not the rest of the batch."""
    harness.overwrite_ledger("broken", broken)

    outcomes = harness.store.commit(
        [
            group("a", entry("r1", contact())),
            group("broken", entry("r2", contact())),
            group("b", entry("r3", contact())),
        ]
    )

    assert [Commit.DONE, Commit.CORRUPT, Commit.DONE] == [o.commit for o in outcomes]
    assert [broken] == harness.store.fetch(["broken"]).ledgers
    assert {b"log r1", b"log r3"} == {record for _, record in harness.log()}


def test_full_ledger_fails_closed(harness: Harness) -> None:
    """More than the declared maximum is not kept, so nobody is contacted."""
    (outcome,) = harness.store.commit([group("p", entry("r1", contact(), contact()), max_entries=1)])

    assert Commit.LEDGER_FULL == outcome.commit
    assert ([EMPTY], []) == (harness.store.fetch(["p"]).ledgers, harness.log())


def test_full_ledger_is_trimmed_first(harness: Harness) -> None:
    """What ended before the horizon makes room, and the header says from when on the ledger is complete."""
    horizon = NOW_US - 35 * DAY_US
    lasting = suppression(time_us=horizon - DAY_US, expiry_s=0)
    ended = contact(time_us=horizon - DAY_US)
    harness.overwrite_ledger("p", Ledger(gate=4, appends=9, entries=(lasting, ended, contact(), ended)).pack())

    new = contact(offer=99)
    (outcome,) = harness.store.commit([group("p", entry("r1", new), gate=4, appends=9, max_entries=3)])

    assert Commit.DONE == outcome.commit
    assert Ledger(4, 10, horizon, LedgerState.OPEN, (lasting, contact(), new)) == ledger_of(harness.store, "p")


@pytest.mark.parametrize(
    ("oldest", "kept"),
    [
        (contact(time_us=NOW_US - 36 * DAY_US), False),
        (contact(time_us=NOW_US - 36 * DAY_US, expiry_s=0), False),
        (contact(time_us=NOW_US - 36 * DAY_US, state=EntryState.CLICKED), False),
        (contact(time_us=NOW_US - 36 * DAY_US, expiry_s=86_400 - 1), False),
        (contact(time_us=NOW_US - 36 * DAY_US, expiry_s=86_400), True),
        (contact(time_us=NOW_US - 35 * DAY_US), True),
        (contact(time_us=NOW_US + DAY_US), True),
        (suppression(time_us=NOW_US - 36 * DAY_US, expiry_s=3600), False),
        (suppression(time_us=NOW_US - 36 * DAY_US, expiry_s=0), True),
    ],
)
def test_ended_entries_go_when_new_ones_come(harness: Harness, oldest: LedgerEntry, kept: bool) -> None:
    """An entry may be dropped once its time and its expiry are both before the horizon; for ever is never before it."""
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(oldest,)).pack())

    harness.store.commit([group("p", entry("r1", contact()), appends=1)])

    ledger = ledger_of(harness.store, "p")
    assert (2 if kept else 1) == len(ledger.entries)
    assert (0 if kept else NOW_US - 35 * DAY_US) == ledger.trimmed_before_us
    assert 2 == ledger.appends


@pytest.mark.parametrize("length", [1, 7, 8, 16, 31, 32, 48])
def test_ledger_is_trimmed_when_an_eighth_of_it_has_ended(harness: Harness, length: int) -> None:
    """Not for each contact that ends, which would be each commit; but then all goes that has ended, wherever it is."""
    ended = contact(time_us=NOW_US - 40 * DAY_US)
    for due in (False, True):
        name, old = f"p{due}", length // 8 + due
        live = [contact(decision=n) for n in range(length - old)]
        entries = (*[ended] * old, *(live if len(live) < 2 else [*live[:-1], ended]))
        harness.overwrite_ledger(name, Ledger(appends=length, entries=entries).pack())
        (outcome,) = harness.store.commit([group(name, entry("r", contact(offer=9)), appends=length)])
        assert Commit.DONE == outcome.commit
        after = ledger_of(harness.store, name)
        kept = tuple(one for one in entries if one != ended) if due else entries
        assert (*kept, contact(offer=9)) == after.entries
        assert (NOW_US - 35 * DAY_US if due else 0) == after.trimmed_before_us


def test_refused_commit_trims_nothing(harness: Harness) -> None:
    """Nothing written means nothing, not even what could have been dropped."""
    ledger = Ledger(appends=2, entries=(contact(time_us=0), contact())).pack()
    harness.overwrite_ledger("p", ledger)

    (outcome,) = harness.store.commit([group("p", entry("r1", contact(), contact()), appends=2, max_entries=2)])

    assert Commit.LEDGER_FULL == outcome.commit
    assert [ledger] == harness.store.fetch(["p"]).ledgers


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, False),
        ({"state": EntryState.RELEASED}, False),
        ({"expiry_s": 0}, False),
        ({"expiry_s": 86_400 - 1}, False),
        ({"expiry_s": 86_400}, True),
        ({"state": EntryState.SHOWN}, True),
        ({"state": EntryState.CLICKED}, True),
        ({"state": EntryState.SHOWN | LATE}, True),
        ({"state": EntryState.SHOWN | OUTSIDE, "expiry_s": 0}, True),
        ({"state": EntryState.SUPPRESS_OFFER}, True),
        ({"state": EntryState.DISMISSED}, True),
    ],
)
def test_lapsed_contacts_go_where_there_is_no_room(harness: Harness, changes: dict[str, int], kept: bool) -> None:
    """A hold that ended unconfirmed before its horizon makes room; what was confirmed does not, nor what is none."""
    oldest, waiting = contact(**({"time_us": NOW_US - 3 * DAY_US} | changes)), contact(decision=1)
    before = Ledger(gate=4, appends=2, entries=(oldest, waiting))
    harness.overwrite_ledger("p", before.pack())

    asked = group("p", entry("r1", contact()), gate=4, appends=2, max_entries=2, lapsed_before_us=NOW_US - 2 * DAY_US)
    (outcome,) = harness.store.commit([asked])

    if kept:
        assert Commit.LEDGER_FULL == outcome.commit
        assert before == ledger_of(harness.store, "p")
    else:
        assert Commit.DONE == outcome.commit
        after = Ledger(4, 3, entries=(waiting, contact()), lapsed_before_s=(NOW_US - 2 * DAY_US) // SECOND_US)
        assert after == ledger_of(harness.store, "p")


def test_lapsed_contacts_stay_while_there_is_room(harness: Harness) -> None:
    """They may still be confirmed late, so they go only for others."""
    lapsed = contact(time_us=NOW_US - 30 * DAY_US)
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(lapsed,)).pack())

    harness.store.commit([group("p", entry("r1", contact()), appends=1, max_entries=2, lapsed_before_us=NOW_US)])

    assert Ledger(appends=2, entries=(lapsed, contact())) == ledger_of(harness.store, "p")


def test_what_ended_goes_before_what_lapsed(harness: Harness) -> None:
    """Where dropping what no window reaches is enough, no lapsed contact has to go."""
    ended, lapsed = contact(time_us=NOW_US - 40 * DAY_US), contact(time_us=NOW_US - 30 * DAY_US)
    harness.overwrite_ledger("p", Ledger(appends=2, entries=(lapsed, ended)).pack())

    harness.store.commit([group("p", entry("r1", contact()), appends=2, max_entries=2, lapsed_before_us=NOW_US)])

    horizon = NOW_US - 35 * DAY_US
    after = Ledger(appends=3, trimmed_before_us=horizon, entries=(lapsed, contact()))
    assert after == ledger_of(harness.store, "p")


def test_a_compacted_ledger_remembers_it(harness: Harness) -> None:
    """Through commits, feedback, changes of the profile; to the second, rounded up, and never an earlier one."""
    old = contact(time_us=NOW_US - 9 * DAY_US)
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(old,), lapsed_before_s=7).pack())
    first, second = NOW_US - DAY_US + 1, NOW_US - 8 * DAY_US

    harness.store.commit([group("p", entry("r1", old), appends=1, max_entries=1, lapsed_before_us=first)])
    harness.store.commit([group("p", entry("r2", contact()), appends=2, max_entries=1, lapsed_before_us=second)])
    harness.store.mark([mark("p", "e1", MarkKind.SHOWN, suppression=packed(suppression()))])
    harness.store.put([write("p", tightens=True)])

    ledger = ledger_of(harness.store, "p")
    assert ((NOW_US - DAY_US) // SECOND_US + 1, 2) == (ledger.lapsed_before_s, len(ledger.entries))


def test_feedback_on_what_was_compacted_is_an_orphan(harness: Harness) -> None:
    """As for any contact that is not in the ledger."""
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(contact(time_us=NOW_US - DAY_US),)).pack())
    new = contact(decision=1)
    harness.store.commit([group("p", entry("r1", new), appends=1, max_entries=1, lapsed_before_us=NOW_US)])

    assert [MarkOutcome.ORPHAN] == harness.store.mark([mark("p", "e1", MarkKind.SHOWN)])
    assert (new,) == ledger_of(harness.store, "p").entries


def test_partial_entries_are_the_callers_mistake(harness: Harness) -> None:
    """Contacts come in whole entries; the store refuses to write half of one."""
    with pytest.raises(ValueError, match="multiple of 32"):
        harness.store.commit([group("p", Entry("r1", b"." * 16, b"x" * 33, b""))])

    assert [EMPTY] == harness.store.fetch(["p"]).ledgers


def test_deferred_contacts_and_large_values_survive(harness: Harness) -> None:
    """Every bit of an entry comes back as it was, the highest ones too."""
    extreme = contact(
        time_us=2**53 - 1,
        decision=2**64 - 1,
        expiry_s=2**32 - 1,
        offer=2**32 - 1,
        group=2**16 - 1,
        channel=2**16 - 1,
        placement=2**16 - 1,
        origin=255,
    )

    harness.store.commit([group("p", entry("r1", extreme))])

    assert (extreme,) == ledger_of(harness.store, "p").entries


def test_large_batch(harness: Harness) -> None:
    """A few hundred people in one call, each with their own outcome."""
    people = [f"person-{i}" for i in range(300)]

    outcomes = harness.store.commit([group(p, entry(f"r-{p}", contact(offer=i))) for i, p in enumerate(people)])

    assert {Commit.DONE} == {o.commit for o in outcomes}
    assert list(range(300)) == [Ledger.parse(data).entries[0].offer for data in harness.store.fetch(people).ledgers]


def test_thirty_two_callers_never_exceed_a_limit(harness: Harness) -> None:
    """Callers who keep to the headroom they read, however they race, grant exactly the limit together."""
    limit, callers, attempts = 20, 32, 6
    granted: list[LedgerEntry] = []
    start = threading.Barrier(callers)

    def call(caller: int) -> None:
        start.wait()
        for attempt in range(attempts):
            while True:
                ledger = ledger_of(harness.store, "p")
                headroom = limit - len(ledger.entries)
                request_id = f"{caller}/{attempt}"
                # one contact, and as many by others as would still leave room for it
                contacts, slack = ((contact(origin=caller),), headroom - 1) if headroom > 0 else ((), 0)
                (outcome,) = harness.store.commit(
                    [
                        group(
                            "p",
                            entry(request_id, *contacts),
                            compare=headroom > 0,
                            gate=ledger.gate,
                            appends=ledger.appends,
                            slack=slack,
                        )
                    ]
                )
                if outcome.commit is Commit.DONE:
                    granted.extend(contacts)
                    break
                assert Commit.CONFLICT == outcome.commit

    threads = [threading.Thread(target=call, args=(i,)) for i in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert limit == len(granted) == len(ledger_of(harness.store, "p").entries)
    assert callers * attempts == len(harness.log())


def test_same_request_on_many_callers_is_granted_once(harness: Harness) -> None:
    """One id, many callers at once: one contact, and all the others are told what the one decided."""
    callers = 16
    outcomes: list[tuple[Commit, bytes | None]] = []
    start = threading.Barrier(callers)

    def call(caller: int) -> None:
        start.wait()
        (outcome,) = harness.store.commit(
            [group("p", entry("same", contact(), record=f"by {caller}".encode()), slack=100)]
        )
        outcomes.append((outcome.commit, outcome.known["same"].record if outcome.known else None))

    threads = [threading.Thread(target=call, args=(i,)) for i in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == ledger_of(harness.store, "p").appends
    assert 1 == [commit for commit, _ in outcomes].count(Commit.DONE)
    assert {record for _, record in harness.log()} == {record for commit, record in outcomes if commit is Commit.KNOWN}


def test_contact_of_one_who_was_named_meanwhile_is_refused(harness: Harness) -> None:
    """Somebody read as anonymous and named before the commit is not contacted under the old ledger."""
    cookie = Identity("cookie", "c1")
    anonymous = anonymous_id("cookie", "c1")
    harness.store.put([write("p", identities=(cookie,))])

    outcomes = harness.store.commit(
        [
            group(anonymous, entry("r1", contact()), slack=100),
            group(anonymous, entry("r2", contact()), compare=False),
        ]
    )

    assert [Commit.CONFLICT, Commit.CONFLICT] == [o.commit for o in outcomes]
    assert LedgerState.SEALED == Ledger.parse(outcomes[0].ledger).state


def test_people_whose_addresses_hold_zeros_are_kept_apart(harness: Harness) -> None:
    """An address is any bytes: what ends a string for some libraries must not join two people's keys."""
    names = (f"person {i}" for i in itertools.count())
    zeros = (name for name in names if person_address(name)[0] % 8 == 0 and person_address(name)[4] == 0)
    first, second = itertools.islice(zeros, 2)

    harness.store.commit([group(first, entry("r1", contact()))])

    assert Commit.DONE == harness.store.commit([group(second, entry("r1", contact()))])[0].commit


def test_event_and_request_of_one_name_do_not_meet(harness: Harness) -> None:
    """Feedback may carry the id of the request that it answers."""
    harness.store.commit([group("p", entry("same", contact()))])

    harness.store.mark([mark("p", "same", MarkKind.SHOWN)])

    assert Commit.KNOWN == harness.store.commit([group("p", entry("same"))])[0].commit
    assert (contact(state=EntryState.SHOWN),) == ledger_of(harness.store, "p").entries
    assert packed(contact(state=EntryState.SHOWN)) == harness.store.fetch(["p"]).ledgers[0][32:]
