"""What every store promises about merging two persons, step by step."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from takt.domain.decision import person_address
from takt.domain.ledger import LedgerState
from takt.domain.merge import Estate, Merges, MergeStep
from takt.domain.request import Identity
from takt.errors import StoreMarkerError
from takt.identity import anonymous_id
from takt.memory.ledger import Ledger
from takt.memory.store import MemoryStore
from takt.ports import Commit, MarkKind, MarkOutcome, ProfileOutcome, Store
from tests.contract.building import contact, entry, group, ledger_of, mark, packed, suppression, write
from tests.contract.harness import NOW_US, RETENTION_US, Harness, MemoryHarness

DONE = MergeStep.DONE
OPEN, PENDING, MOVED = LedgerState.OPEN, LedgerState.PENDING, LedgerState.MOVED
COOKIE = Identity("cookie", "c1")
NOBODY = Merges()


def merges_of(store: Store, profile_id: str) -> Merges:
    """A person's merges as the store has them."""
    return store.merging.read([person_address(profile_id)])[0]


def sealed(store: Store, loser: str, winner: str) -> Estate:
    """What an expected loser leaves."""
    step, estate = store.merging.seal(loser, winner)
    assert (DONE, False) == (step, estate is None)
    assert estate is not None
    return estate


def taken_in(store: Store, winner: str, loser: str, record: bytes | None = None) -> None:
    """Merge two people, from the first step to the last."""
    assert DONE is store.merging.expect(winner, loser)
    estate = sealed(store, loser, winner)
    expected = store.fetch([winner]).records[0]
    assert DONE is store.merging.absorb(winner, loser, estate=estate, record=record, expected=expected)
    store.merging.close(loser, winner)


def test_expecting_stops_the_winner(harness: Harness) -> None:
    """From the first step on, decisions under way at the winner lose their race, and new ones cannot be committed."""
    harness.overwrite_ledger("w", Ledger(gate=3, appends=1, entries=(contact(),)).pack())

    assert DONE is harness.store.merging.expect("w", "l")

    expected = Ledger(gate=NOW_US, appends=1, state=PENDING, entries=(contact(),))
    assert expected == ledger_of(harness.store, "w")
    assert [Merges("w", pending=("l",)), NOBODY] == harness.store.merging.read(
        [person_address("w"), person_address("l")]
    )
    (outcome,) = harness.store.commit([group("w", entry("r", contact()), gate=NOW_US, appends=1)])
    assert (Commit.CONFLICT, expected.pack()) == (outcome.commit, outcome.ledger)


def test_expecting_twice_is_expecting_once(harness: Harness) -> None:
    """A repeated step changes nothing, the gate included."""
    harness.store.merging.expect("w", "l")
    harness.clock.advance(5)

    assert DONE is harness.store.merging.expect("w", "l")

    assert (NOW_US, ("l",)) == (ledger_of(harness.store, "w").gate, merges_of(harness.store, "w").pending)


def test_sealing_freezes_and_redirects(harness: Harness) -> None:
    """The loser leaves everything as it was, leads to the winner, and takes nothing any more."""
    store = harness.store
    before = Ledger(3, 2, trimmed_before_us=9, entries=(contact(), suppression()), lapsed_before_s=5)
    harness.overwrite_ledger("l", before.pack())
    store.put([write("l", b"loser")])
    store.merging.expect("w", "l")

    estate = sealed(store, "l", "w")

    assert (b"loser", before.pack(), (), ()) == (estate.record, estate.ledger, estate.ids, estate.absorbed)
    assert replace(before, gate=NOW_US, state=MOVED) == ledger_of(store, "l")
    assert Merges("l", leads_to="w") == merges_of(store, "l")
    outcomes = store.commit(
        [
            group("l", entry("r", contact()), gate=NOW_US, appends=2),
            group("l", entry("s"), gate=NOW_US, appends=2),
            group("l", entry("t"), compare=False),
        ]
    )
    assert [Commit.CONFLICT] * 3 == [outcome.commit for outcome in outcomes]
    assert [MarkOutcome.MERGING] == store.mark([mark("l", "e", MarkKind.SHOWN)])
    assert [ProfileOutcome.MERGED] == store.put([write("l", b"late", identities=(COOKIE,))])
    assert ([b"loser"], [None]) == (store.fetch(["l"]).records, store.resolve([COOKIE]))
    assert [] == harness.log()


def test_absorbing_takes_everything_once(harness: Harness) -> None:
    """Contacts and suppressions join the winner's, the gate moves, and a second time changes nothing."""
    store = harness.store
    own, others = contact(decision=1), (contact(decision=2), suppression())
    harness.overwrite_ledger("w", Ledger(3, 7, trimmed_before_us=4, entries=(own,), lapsed_before_s=8).pack())
    harness.overwrite_ledger("l", Ledger(8, 5, trimmed_before_us=6, entries=others, lapsed_before_s=9).pack())
    store.put([write("w", b"winner"), write("l", b"loser")])
    store.merging.expect("w", "l")
    estate = sealed(store, "l", "w")

    for _ in range(2):
        assert DONE is store.merging.absorb("w", "l", estate=estate, record=b"both", expected=b"winner")

    gate = ledger_of(store, "w").gate
    assert Ledger(NOW_US + 1, 9, 6, OPEN, (own, *others), 9) == ledger_of(store, "w")
    assert Merges("w", absorbed=("l",)) == merges_of(store, "w")
    assert [b"both"] == store.fetch(["w"]).records
    (outcome,) = store.commit([group("w", entry("r", contact()), gate=gate, appends=9)])
    assert Commit.DONE is outcome.commit


def test_closing_leaves_a_bare_redirect(harness: Harness) -> None:
    """After the last step the loser has no record, no contacts and no ids, and still leads to the winner."""
    store = harness.store
    store.put([write("l")])
    store.commit([group("l", entry("r", contact()))])

    taken_in(store, "w", "l")
    store.merging.close("l", "w")

    assert Merges("l", leads_to="w", closed=True) == merges_of(store, "l")
    assert Ledger(NOW_US, 1, 0, MOVED) == ledger_of(store, "l")
    assert [None] == store.fetch(["l"]).records
    assert (MergeStep.ABSORBED, None) == store.merging.seal("l", "w")
    assert MergeStep.ABSORBED is store.merging.expect("w", "l")
    assert (contact(),) == ledger_of(store, "w").entries


@pytest.mark.parametrize("wait_us", [0, RETENTION_US])
def test_ids_move_along(harness: Harness, wait_us: int) -> None:
    """What the loser was asked and told is known at the winner, answers included, in both generations, twice merged."""
    store = harness.store
    store.commit([group("l", entry("r", contact()), entry("s"))])
    store.mark([mark("l", "e", MarkKind.SHOWN)])
    harness.clock.advance(wait_us)

    taken_in(store, "m", "l")
    taken_in(store, "a", "m")

    (outcome,) = store.commit([group("a", entry("r"), entry("s"), entry("t"))])
    assert Commit.KNOWN is outcome.commit
    assert {"r": b"log r", "s": b"log s"} == {name: known.record for name, known in outcome.known.items()}
    assert [entry("r").request_digest, entry("s").request_digest] == [k.request_digest for k in outcome.known.values()]
    assert [MarkOutcome.DUPLICATE] == store.mark([mark("a", "e", MarkKind.CLICKED)])
    assert ("l", "m") == tuple(sorted(merges_of(store, "a").absorbed))


def test_winners_own_id_stands(harness: Harness) -> None:
    """Where both were asked under one id, the winner's answer is the one that is repeated."""
    store = harness.store
    store.commit([group("w", entry("r", record=b"winner's"))])
    store.commit([group("l", entry("r", record=b"loser's"))])

    taken_in(store, "w", "l")

    (outcome,) = store.commit([group("w", entry("r"))])
    assert b"winner's" == outcome.known["r"].record


def test_no_merge_of_those_who_have_one_to_finish(harness: Harness) -> None:
    """A loser with a pending merge is not sealed; a sealed person expects nobody."""
    store = harness.store
    store.merging.expect("b", "c")
    store.merging.expect("a", "b")

    assert (MergeStep.BUSY, None) == store.merging.seal("b", "a")

    estate = sealed(store, "c", "b")
    store.merging.absorb("b", "c", estate=estate, record=None, expected=None)
    assert ("c",) == sealed(store, "b", "a").absorbed
    assert MergeStep.ELSEWHERE is store.merging.expect("b", "d")
    assert DONE is store.merging.absorb("b", "c", estate=estate, record=b"late", expected=b"")
    assert [None] == store.fetch(["b"]).records


def test_two_winners_of_one_loser(harness: Harness) -> None:
    """The first to seal has it; the other gives up and goes on."""
    store = harness.store
    store.merging.expect("a", "c")
    store.merging.expect("b", "c")
    store.merging.expect("b", "d")
    sealed(store, "c", "a")

    assert (MergeStep.ELSEWHERE, None) == store.merging.seal("c", "b")
    store.merging.forgo("b", "c")
    assert (PENDING, ("d",)) == (ledger_of(store, "b").state, merges_of(store, "b").pending)
    store.merging.forgo("b", "d")
    store.merging.forgo("b", "d")

    assert (OPEN, ()) == (ledger_of(store, "b").state, merges_of(store, "b").pending)


def test_record_made_from_another_is_refused(harness: Harness) -> None:
    """Whoever merges profiles that were written meanwhile makes the record anew; contacts have not moved yet."""
    store = harness.store
    store.commit([group("l", entry("r", contact()))])
    store.put([write("w", b"one")])
    store.merging.expect("w", "l")
    estate = sealed(store, "l", "w")
    assert [ProfileOutcome.WRITTEN] == store.put([write("w", b"two", tightens=True)])

    assert MergeStep.CHANGED is store.merging.absorb("w", "l", estate=estate, record=b"both", expected=b"one")
    assert (PENDING, ()) == (ledger_of(store, "w").state, ledger_of(store, "w").entries)
    assert DONE is store.merging.absorb("w", "l", estate=estate, record=b"both", expected=b"two")
    assert (OPEN, (contact(),)) == (ledger_of(store, "w").state, ledger_of(store, "w").entries)


def test_feedback_waits_for_a_merge(harness: Harness) -> None:
    """An event that might concern a contact on its way is not an orphan: nothing is written until the merge is done."""
    store = harness.store
    store.merging.expect("w", "l")

    assert [MarkOutcome.MERGING] == store.mark([mark("w", "e", MarkKind.SHOWN)])
    assert [] == harness.log()


def test_broken_ledgers_are_not_merged(harness: Harness) -> None:
    """What cannot be read is neither overwritten nor taken over."""
    store = harness.store
    harness.overwrite_ledger("p", b"broken")

    assert MergeStep.CORRUPT is store.merging.expect("p", "q")
    store.merging.expect("a", "p")
    assert (MergeStep.CORRUPT, None) == store.merging.seal("p", "a")

    assert ([b"broken"], NOBODY) == (store.fetch(["p"]).ledgers, merges_of(store, "p"))


def test_identities_are_renamed_by_comparison(harness: Harness) -> None:
    """An identity leads to the winner only if it still led to whom it was thought to lead to."""
    store = harness.store

    assert not store.merging.name(COOKIE, "w", former="l")
    assert store.merging.name(COOKIE, "l", former=None)
    assert not store.merging.name(COOKIE, "w", former=None)
    assert store.merging.name(COOKIE, "w", former="l")
    assert store.merging.name(COOKIE, "w", former="l")

    assert ["w"] == store.resolve([COOKIE])


def test_merged_identity_is_not_put_to_a_profile(harness: Harness) -> None:
    """An anonymous person who was merged, or has merged others, is Link's: Put does not take the identity."""
    store = harness.store
    anonymous, other = anonymous_id("cookie", "c1"), anonymous_id("cookie", "c2")
    taken_in(store, anonymous, other)
    first = store.put([write("p", identities=(COOKIE,)), write("p", identities=(Identity("cookie", "c2"),))])
    taken_in(store, "w", anonymous)
    second = store.put([write("p", identities=(COOKIE,))])

    assert [ProfileOutcome.IDENTITY_HAS_CONTACTS, ProfileOutcome.IDENTITY_TAKEN] == first
    assert [ProfileOutcome.IDENTITY_TAKEN] == second
    assert [None, None] == [*store.resolve([COOKIE]), *store.fetch(["p"]).records]


def test_claimed_identity_is_not_a_winner(harness: Harness) -> None:
    """Who was anonymous and now is a profile expects nobody under the old name, and can still be sealed under it."""
    store = harness.store
    anonymous = anonymous_id("cookie", "c1")
    store.put([write("p", identities=(COOKIE,))])

    assert MergeStep.BUSY is store.merging.expect(anonymous, "x")
    store.merging.expect("a", anonymous)
    sealed(store, anonymous, "a")

    assert MOVED is LedgerState(ledger_of(store, anonymous).state)


def test_no_step_without_the_marker(harness: Harness) -> None:
    """A store that may have lost data merges nobody."""
    store = harness.store
    store.merging.expect("w", "l")
    estate = sealed(store, "l", "w")
    for person in ("w", "l", anonymous_id("cookie", "c1")):
        harness.lose_marker(person)

    for step in (
        lambda: store.merging.expect("w", "m"),
        lambda: store.merging.seal("l", "w"),
        lambda: store.merging.absorb("w", "l", estate=estate, record=None, expected=None),
        lambda: store.merging.close("l", "w"),
        lambda: store.merging.forgo("w", "l"),
        lambda: store.merging.name(COOKIE, "w", former=None),
    ):
        with pytest.raises(StoreMarkerError):
            step()

    assert Merges("w", pending=("l",)) == merges_of(store, "w")


def test_many_ids_and_unusual_names(harness: Harness) -> None:
    """Thousands of ids move in one step, and names are any text."""
    store = harness.store
    winner, loser = "ключ \0=?", "x" * 5000
    for part in range(5):
        store.commit([group(loser, *(entry(f"{part}-{n}") for n in range(1000)), compare=False)])

    taken_in(store, winner, loser)

    assert Merges(winner, absorbed=(loser,)) == merges_of(store, winner)
    (outcome,) = store.commit([group(winner, entry("0-0"), entry("4-999"), compare=False)])
    assert {"0-0", "4-999"} == set(outcome.known)


PEOPLE = ("ann", "bob", "cem")
EXAMPLES = itertools.count()
pairs = st.permutations(PEOPLE).map(lambda people: people[:2])
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["expect", "seal", "absorb", "close", "forgo"]), pairs),
        st.tuples(st.just("merge"), pairs, st.integers(1, 4)),
        st.tuples(st.just("commit"), st.sampled_from(PEOPLE), st.sampled_from("uvw"), st.booleans()),
        st.tuples(st.just("mark"), st.sampled_from(PEOPLE), st.sampled_from("uvw"), st.booleans()),
        st.tuples(st.just("put"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("wait"), st.sampled_from([1, RETENTION_US])),
    ),
    max_size=20,
)


def spelled(history: list[tuple]) -> list[tuple]:  # type: ignore[type-arg]
    """A history with each merge written out as its first steps."""
    written: list[tuple] = []  # type: ignore[type-arg]
    for kind, *arguments in history:
        if kind != "merge":
            written.append((kind, *arguments))
            continue
        (winner, loser), steps_done = arguments
        ways = [("expect", winner, loser), ("seal", loser, winner), ("absorb", winner, loser), ("close", loser, winner)]
        written += [(step, (one, two)) for step, one, two in ways[:steps_done]]
    return written


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
def test_stores_agree_on_merges(harness: Harness, history: list[tuple]) -> None:  # type: ignore[type-arg]
    """Steps of merges in any order, with commits, feedback and writes between: the same answers and ledgers."""
    if isinstance(harness, MemoryHarness):
        pytest.skip("it is what the others are compared with")
    harness.clock.at_us = NOW_US
    number = next(EXAMPLES)
    stores: tuple[Store, Store] = (MemoryStore(harness.clock, retention_us=RETENTION_US), harness.store)
    people = [f"{person}/{number}" for person in PEOPLE]
    estates: dict[tuple[str, str], list[Estate]] = {}
    for at, (kind, *arguments) in enumerate(spelled(history)):
        answers: list[object] = []
        person, other = "", ""
        if kind != "wait":
            chosen = arguments[0] if isinstance(arguments[0], (list, tuple)) else [arguments[0], ""]
            person, other = (f"{name}/{number}" for name in chosen)
        for n, store in enumerate(stores):
            match kind:
                case "wait":
                    if n == 0:
                        harness.clock.advance(arguments[0])
                case "expect":
                    answers.append(store.merging.expect(person, other))
                case "seal":
                    # as every caller does: only who is expected or leads there already
                    if other != merges_of(stores[0], person).leads_to and person not in (
                        merges_of(stores[0], other).pending
                    ):
                        continue
                    step, estate = store.merging.seal(person, other)
                    answers.append((step, estate and (estate.record, estate.ledger, sorted(estate.absorbed))))
                    if estate is not None:
                        estates.setdefault((other, person), [estate, estate])[n] = estate
                case "absorb":
                    if (person, other) in estates:
                        estate = estates[person, other][n]
                        expected = store.fetch([person]).records[0]
                        record = f"merged {at}".encode()
                        answers.append(
                            store.merging.absorb(person, other, estate=estate, record=record, expected=expected)
                        )
                case "close":
                    if person in merges_of(stores[0], other).absorbed:
                        store.merging.close(person, other)
                case "forgo":
                    if merges_of(stores[0], other).leads_to not in ("", person):
                        store.merging.forgo(person, other)
                case "commit":
                    read = store.fetch([person])
                    ledger = Ledger.parse(read.ledgers[0])
                    asked = entry(arguments[1], *[contact(decision=at)] * arguments[2])
                    answers += store.commit(
                        [group(person, asked, gate=ledger.gate, appends=ledger.appends, snapshot_us=read.now_us)]
                    )
                case "mark":
                    event = mark(
                        person, arguments[1], MarkKind.SHOWN, suppression=packed(*[suppression()] * arguments[2])
                    )
                    answers += store.mark([event])
                case "put":
                    answers += store.put([write(person, f"put {at}".encode(), tightens=True)])
        assert answers[: len(answers) // 2] == answers[len(answers) // 2 :]
        assert stores[0].fetch(people) == stores[1].fetch(people)
        cards = [store.merging.read([person_address(name) for name in people]) for store in stores]
        assert cards[0] == cards[1]


def test_consents_go_with_the_person(harness: Harness) -> None:
    """The origin of consents is part of what a loser leaves; absorbed and logged once, gone when it closes."""
    store = harness.store
    store.put([write("w", b"winner", consents=b"of w"), write("l", b"loser", consents=b"of l")])
    store.merging.expect("w", "l")
    _, estate = store.merging.seal("l", "w")

    assert estate is not None
    assert b"of l" == estate.consents
    for _ in range(2):
        assert DONE is store.merging.absorb(
            *("w", "l"), estate=estate, record=b"both", expected=b"winner", consents=b"of both", changes=(b"withdrawn",)
        )
    store.merging.close("l", "w")

    assert [b"of both", None] == store.consents(["w", "l"])
    assert [("consent", b"withdrawn")] == harness.log()


def test_changed_winner_absorbs_no_consents(harness: Harness) -> None:
    """Where the record is another one meanwhile, nothing is kept or logged."""
    store = harness.store
    store.put([write("w", b"one", consents=b"of w"), write("l", b"loser")])
    store.merging.expect("w", "l")
    _, estate = store.merging.seal("l", "w")

    assert estate is not None
    assert MergeStep.CHANGED is store.merging.absorb(
        *("w", "l"), estate=estate, record=b"both", expected=b"zero", consents=b"of both", changes=(b"withdrawn",)
    )
    assert [b"of w"] == store.consents(["w"])
    assert [] == harness.log()
