"""What every store promises about profiles, identities, layouts and its marker."""

from __future__ import annotations

import threading

import pytest

from takt.domain.ledger import EMPTY, LedgerState
from takt.domain.request import Identity
from takt.errors import StoreMarkerError
from takt.identity import anonymous_id
from takt.memory.ledger import Ledger, LedgerEntry
from takt.ports import ProfileOutcome
from tests.contract.building import contact, entry, group, ledger_of, suppression, write
from tests.contract.harness import NOW_US, Harness

LOGIN, COOKIE = Identity("login", "ann"), Identity("cookie", "c1")


def test_profile_is_written_and_replaced(harness: Harness) -> None:
    """The last record is the one that is read."""
    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p", b"one")])
    assert [ProfileOutcome.WRITTEN] * 2 == harness.store.put([write("p", b"two"), write("p", b"three")])

    assert [b"three"] == harness.store.fetch(["p"]).records


def test_put_that_loosens_leaves_the_ledger(harness: Harness) -> None:
    """Only what tightens moves the gate."""
    ledger = Ledger(gate=3, appends=1, entries=(contact(),))
    harness.overwrite_ledger("p", ledger.pack())

    harness.store.put([write("p"), write("q")])

    assert [ledger.pack(), EMPTY] == harness.store.fetch(["p", "q"]).ledgers


def test_put_that_tightens_moves_the_gate(harness: Harness) -> None:
    """Contacts stay; decisions under way start over."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(contact(),)).pack())

    harness.store.put([write("p", tightens=True), write("q", tightens=True)])

    assert Ledger(gate=NOW_US, appends=1, entries=(contact(),)) == ledger_of(harness.store, "p")
    assert Ledger(gate=NOW_US) == ledger_of(harness.store, "q")


def test_put_keeps_a_broken_ledger(harness: Harness) -> None:
    """Nothing is decided on a broken ledger, so its gate need not move, and the evidence stays."""
    harness.overwrite_ledger("p", b"broken")

    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p", tightens=True)])

    assert ([b"record"], [b"broken"]) == (harness.store.fetch(["p"]).records, harness.store.fetch(["p"]).ledgers)


def test_identities_lead_to_the_profile(harness: Harness) -> None:
    """Each of a profile's identities names it; namespace and value both count."""
    harness.store.put([write("p", identities=(LOGIN, COOKIE))])

    assert ["p", None, "p", None] == harness.store.resolve(
        [COOKIE, Identity("cookie", "ann"), LOGIN, Identity("loginc", "ann")]
    )


def test_identities_are_added_over_time(harness: Harness) -> None:
    """A later put may add identities and repeat those that are there."""
    harness.store.put([write("p", identities=(LOGIN,))])

    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p", b"two", identities=(LOGIN, COOKIE))])

    assert ["p", "p"] == harness.store.resolve([LOGIN, COOKIE])
    assert [b"two"] == harness.store.fetch(["p"]).records


def test_identity_of_another_is_refused(harness: Harness) -> None:
    """An identity that names somebody else: the profile and its other identities stay unwritten."""
    harness.store.put([write("p", b"old", identities=(LOGIN,)), write("q", b"old")])

    outcomes = harness.store.put([write("q", b"new", identities=(COOKIE, LOGIN), tightens=True)])

    assert [ProfileOutcome.IDENTITY_TAKEN] == outcomes
    assert ["p", None] == harness.store.resolve([LOGIN, COOKIE])
    assert ([b"old"], [EMPTY]) == (harness.store.fetch(["q"]).records, harness.store.fetch(["q"]).ledgers)
    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("r", identities=(COOKIE,))])


@pytest.mark.parametrize("entries", [(contact(),), (suppression(),)])
def test_identity_with_contacts_is_refused(harness: Harness, entries: tuple[LedgerEntry, ...]) -> None:
    """What was counted under an anonymous identity must not be forgotten by giving it a profile."""
    ledger = Ledger(appends=1, entries=entries).pack()
    harness.overwrite_ledger(anonymous_id("cookie", "c1"), ledger)

    outcomes = harness.store.put([write("p", identities=(LOGIN, COOKIE))])

    assert [ProfileOutcome.IDENTITY_HAS_CONTACTS] == outcomes
    assert [None, None] == harness.store.resolve([LOGIN, COOKIE])
    assert [None] == harness.store.fetch(["p"]).records
    assert [ledger] == harness.store.fetch([anonymous_id("cookie", "c1")]).ledgers


def test_identity_of_a_refused_put_stays_usable(harness: Harness) -> None:
    """After a refusal the anonymous ledger of an identity that was free takes contacts as before."""
    harness.store.put([write("p", identities=(LOGIN,))])
    harness.store.put([write("q", identities=(COOKIE, LOGIN))])
    anonymous = anonymous_id("cookie", "c1")
    ledger = ledger_of(harness.store, anonymous)

    outcomes = harness.store.commit(
        [group(anonymous, entry("r1", contact()), gate=ledger.gate, appends=ledger.appends)]
    )

    assert LedgerState.OPEN == ledger.state
    assert ["DONE"] == [o.commit for o in outcomes]


def test_anonymous_profile_may_be_written(harness: Harness) -> None:
    """A record may be kept for somebody of whom only a cookie is known, contacts or not; the ledger stays open."""
    anonymous = anonymous_id("cookie", "c1")
    harness.store.commit([group(anonymous, entry("r1", contact()))])

    outcomes = harness.store.put([write(anonymous, b"what the site knows", identities=(COOKIE,))])

    assert [ProfileOutcome.WRITTEN] == outcomes
    assert [anonymous] == harness.store.resolve([COOKIE])
    assert Ledger(appends=1, entries=(contact(),)) == ledger_of(harness.store, anonymous)


def test_two_profiles_of_one_batch_cannot_share_an_identity(harness: Harness) -> None:
    """The first in the batch has it."""
    outcomes = harness.store.put([write("p", identities=(LOGIN,)), write("q", identities=(COOKIE, LOGIN))])

    assert [ProfileOutcome.WRITTEN, ProfileOutcome.IDENTITY_TAKEN] == outcomes
    assert ["p", None] == harness.store.resolve([LOGIN, COOKIE])


def test_refused_write_does_not_undo_an_earlier_one_of_its_batch(harness: Harness) -> None:
    """A profile twice in a batch, once with an identity it cannot have: the first write keeps what it got."""
    harness.store.put([write("p", identities=(LOGIN,))])

    outcomes = harness.store.put(
        [write("q", b"one", identities=(COOKIE,)), write("q", b"two", identities=(COOKIE, LOGIN))]
    )

    assert [ProfileOutcome.WRITTEN, ProfileOutcome.IDENTITY_TAKEN] == outcomes
    assert ["q"] == harness.store.resolve([COOKIE])
    assert [b"one"] == harness.store.fetch(["q"]).records


def test_race_for_an_identity_has_at_most_one_winner(harness: Harness) -> None:
    """Many profiles claim one identity at once: it names one that was written, or nobody."""
    callers = 12
    outcomes: dict[str, ProfileOutcome] = {}
    start = threading.Barrier(callers)

    def call(name: str) -> None:
        start.wait()
        (outcomes[name],) = harness.store.put([write(name, name.encode(), identities=(LOGIN,))])

    threads = [threading.Thread(target=call, args=(f"p{i}",)) for i in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [name for name, outcome in outcomes.items() if outcome is ProfileOutcome.WRITTEN]
    assert winners == harness.store.resolve([LOGIN])
    assert [name.encode() for name in winners] == harness.store.fetch(winners).records
    assert {ProfileOutcome.WRITTEN, ProfileOutcome.IDENTITY_TAKEN} == set(outcomes.values())


def test_unusual_names_are_names(harness: Harness) -> None:
    """Ids and identities are any text: empty, long, with spaces, line ends, other scripts or zero bytes."""
    names = ["", " ", "a b\r\nc", "?p", "=p", "ключ", "x" * 5000, "a\0b", "takt:{1}:l:x"]

    harness.store.put([write(name, name.encode(), identities=(Identity("n", name),)) for name in names])

    assert names == harness.store.resolve([Identity("n", name) for name in names])
    assert [name.encode() for name in names] == harness.store.fetch(names).records


def test_put_without_marker_is_refused(harness: Harness) -> None:
    """A store that lost its marker is not filled up again behind everybody's back."""
    harness.lose_marker("p")

    with pytest.raises(StoreMarkerError):
        harness.store.put([write("p")])

    assert [None] == harness.store.fetch(["p"]).records


def test_layouts_are_kept(harness: Harness) -> None:
    """Layouts are registered once; the first text stands."""
    assert {} == harness.store.layouts()

    harness.store.register_layout(2**64 - 1, '{"a": "ü"}')
    harness.store.register_layout(7, "[]")
    harness.store.register_layout(7, "[1]")

    assert {2**64 - 1: '{"a": "ü"}', 7: "[]"} == harness.store.layouts()


def test_marker_is_checked(harness: Harness) -> None:
    """A store that is whole says nothing; one that lost a marker is refused."""
    harness.store.check_marker()
    harness.lose_marker("p")

    with pytest.raises(StoreMarkerError):
        harness.store.check_marker()


def test_a_write_made_from_another_record_is_refused(harness: Harness) -> None:
    """Whoever changes a record that others have changed meanwhile is told so, and gets no identity by it."""
    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p", b"one", expected=b"")])
    assert [ProfileOutcome.CHANGED] == harness.store.put([write("p", b"two", expected=b"", identities=(LOGIN,))])
    assert [ProfileOutcome.CHANGED] == harness.store.put([write("p", b"two", expected=b"other")])
    assert [b"one"] == harness.store.fetch(["p"]).records
    assert [None] == harness.store.resolve([LOGIN])
    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p", b"two", expected=b"one", identities=(LOGIN,))])
    assert [b"two"] == harness.store.fetch(["p"]).records
    assert ["p"] == harness.store.resolve([LOGIN])


def test_origin_of_consents_is_kept_beside_the_record(harness: Harness) -> None:
    """It is written and logged in the step that writes the record, and stays when a write does not mention it."""
    harness.store.put([write("p", consents=b"first", changes=(b"given", b"refused")), write("q")])
    harness.store.put([write("p", b"other record")])

    assert [b"first", None] == harness.store.consents(["p", "q"])
    assert [("consent", b"given"), ("consent", b"refused")] == harness.log()


def test_refused_write_changes_no_consents(harness: Harness) -> None:
    """What was made from another record is neither kept nor logged."""
    harness.store.put([write("p", b"one", consents=b"first")])

    (outcome,) = harness.store.put([write("p", b"two", expected=b"zero", consents=b"second", changes=(b"change",))])

    assert ProfileOutcome.CHANGED is outcome
    assert [b"first"] == harness.store.consents(["p"])
    assert [] == harness.log()
