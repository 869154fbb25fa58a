"""One person's ledger beside their deeds: what each deed leaves, and every way in which the two can differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from takt.clock import HOUR_US, MINUTE_US, SECOND_US
from takt.domain.audit import Changed, Decided, Deed, FindingKind, Happened, LoggedContact
from takt.domain.ledger import ENTRY, LATE, OUTSIDE, EntryState, code16, code32
from takt.domain.log import LogPosition
from takt.engine.audit.comparison import Bounds, Difference, compare, told
from takt.engine.audit.expected import expected
from takt.ports import MarkKind

NOON_US = 1_795_431_600_000_000
D1, D2 = ("11" * 8 + "00" * 16), ("22" * 8 + "00" * 16)
"""Decision ids."""
KINDS = {
    "impression": MarkKind.SHOWN,
    "click": MarkKind.CLICKED,
    "not_shown": MarkKind.RELEASED,
    "dismiss": MarkKind.NONE,
}


def at(ms: int) -> LogPosition:
    """A position."""
    return LogPosition(ms, 0)


def decided(*offers: str, decision_id: str = D1, **changes: Any) -> Decided:
    """An answer with offers on the hero, held for 45 minutes."""
    fields: dict[str, Any] = {"channel": "web", "placement": "hero", "counted_us": NOON_US}
    fields |= {"hold_expires_us": NOON_US + 45 * MINUTE_US} | changes
    contacts = tuple(LoggedContact(offer, **fields) for offer in offers or ("milk",))
    return Decided(at(1), b"", "p", decision_id, contacts)


def happened(name: str, outcome: str = "APPLIED", *, offer: str = "", decision_id: str = D1) -> Happened:
    """An event about a decision."""
    return Happened(at(2), b"", "p", decision_id, offer, name, outcome)


def entry(offer: str = "milk", decision_id: str = D1, **changes: Any) -> bytes:
    """A ledger entry that says what `decided` does."""
    made = np.zeros(1, ENTRY)
    fields: dict[str, Any] = {
        "time_us": NOON_US,
        "decision": int.from_bytes(bytes.fromhex(decision_id)[:8], "little"),
        "expiry_s": 45 * 60,
        "offer": code32(offer),
        "channel": code16("web"),
        "placement": code16("hero"),
    }
    for name, value in (fields | changes).items():
        made[name] = value
    return made.tobytes()


def differences(entries: bytes, *deeds: Deed, **bounds: Any) -> list[Difference]:
    """What differs."""
    return compare(entries, expected(deeds, KINDS), Bounds(**bounds)).differences


def kinds(entries: bytes, *deeds: Deed, **bounds: Any) -> list[FindingKind]:
    """The kinds of what differs."""
    return [one.kind for one in differences(entries, *deeds, **bounds)]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], EntryState.HELD),
        ([happened("impression")], EntryState.SHOWN),
        ([happened("impression"), happened("click")], EntryState.CLICKED),
        ([happened("click"), happened("impression")], EntryState.CLICKED),
        ([happened("not_shown")], EntryState.RELEASED),
        ([happened("impression"), happened("not_shown")], EntryState.SHOWN),
        ([happened("not_shown"), happened("impression", "LATE")], EntryState.SHOWN | LATE),
        ([happened("impression", "LATE"), happened("click", "LATE")], EntryState.CLICKED | LATE),
        ([happened("impression"), happened("click", "LATE")], EntryState.CLICKED | LATE),
        ([happened("impression", "ORPHAN")], EntryState.HELD),
        ([happened("dismiss")], EntryState.HELD),
        ([happened("impression", decision_id=D2)], EntryState.HELD),
        ([happened("impression", decision_id="")], EntryState.HELD),
        ([happened("impression", offer="tea")], EntryState.HELD),
        ([happened("impression", offer="milk")], EntryState.SHOWN),
    ],
)
def test_state_follows_from_events(events: list[Happened], state: int) -> None:
    """The one state that the events leave is no difference, and each other state is one."""
    for other in range(4):
        for late in (0, LATE):
            told_so = other | late
            found = kinds(entry(state=told_so), decided(), *events)
            right = [FindingKind.LATE] if state & LATE else []
            assert (right if told_so == state else [FindingKind.DIFFERENT]) == found, told_so


def test_which_of_several_was_late_is_not_guessed() -> None:
    """A late event about a whole decision may have come in time for some of its offers: both is believed."""
    deeds = (decided("milk", "tea"), happened("impression", "LATE"))
    for late in (0, LATE):
        entries = entry(state=EntryState.SHOWN | LATE) + entry("tea", state=EntryState.SHOWN | late)
        assert FindingKind.DIFFERENT not in kinds(entries, *deeds)
    assert [FindingKind.DIFFERENT] * 2 == kinds(entry() + entry("tea"), *deeds)


def test_what_an_undeclared_event_did_is_not_guessed() -> None:
    """Nobody can say any more what an event did whose type is gone: the ledger's state is believed, and no other."""
    for state in range(4):
        assert [] == kinds(entry(state=state), decided(), happened("viewed"))
    assert [FindingKind.DIFFERENT] == kinds(entry(state=OUTSIDE), decided(), happened("viewed"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"time_us": NOON_US + HOUR_US, "expiry_s": 0}, "it counts at"),
        ({"expiry_s": 60}, "its hold ends at"),
        ({"channel": code16("email")}, "its channel is"),
        ({"state": EntryState.SHOWN}, "it is shown by the ledger, held by the log"),
        ({"state": OUTSIDE}, "it is held outside by the ledger, held by the log"),
    ],
)
def test_each_field_is_compared(changes: dict[str, Any], says: str) -> None:
    """A contact that both have and that differs is one finding, which says in what."""
    (found,) = differences(entry(**changes), decided())

    assert FindingKind.DIFFERENT == found.kind
    assert says in " ".join(found.fields)


def test_what_the_answer_does_not_say_is_not_compared() -> None:
    """Neither the end of a hold that the answer does not name nor the group, which no answer has."""
    assert [] == kinds(entry(expiry_s=7, group=9, origin=3), decided(hold_expires_us=0))


def test_both_directions() -> None:
    """What only one side has is told of that side, by its key, and suppressions are no contacts."""
    suppression = entry("tea", state=EntryState.SUPPRESS_OFFER)
    entries = entry() + entry(decision_id=D2) + suppression
    found = differences(entries, decided("milk", "tea"))

    assert {FindingKind.MISSING_IN_LOG, FindingKind.MISSING_IN_LEDGER} == {one.kind for one in found}
    missing = {one.kind: one for one in found}
    assert code32("tea") == missing[FindingKind.MISSING_IN_LEDGER].entry["offer"]
    assert int.from_bytes(b"\x22" * 8, "little") == missing[FindingKind.MISSING_IN_LOG].entry["decision"]


def test_changes_by_hand_are_deeds() -> None:
    """What a reset took is not missing, what a backfill added is not foreign, a decision that was put back is one."""
    letter = entry("tea", D2, expiry_s=0, state=EntryState.SHOWN | OUTSIDE)
    reset, filled = Changed(at(3), b"", "p", entry(), b""), Changed(at(4), b"", "p", b"", letter)

    assert [] == kinds(letter, decided(), decided(), reset, filled)
    assert [FindingKind.MISSING_IN_LOG] == kinds(entry() + letter, decided(), reset, filled)
    assert [FindingKind.MISSING_IN_LEDGER] == kinds(b"", decided(), reset, filled)
    assert [] == kinds(entry(), decided(), Changed(at(3), b"", "p", letter, b""))


def test_what_the_ledger_may_have_dropped_is_not_missed() -> None:
    """A contact whose hold ended before what the ledger keeps is not missing; a moment later it is."""
    ended_us = NOON_US + 45 * MINUTE_US
    assert [] == kinds(b"", decided(), ledger_since_us=ended_us + 1)
    assert [FindingKind.MISSING_IN_LEDGER] == kinds(b"", decided(), ledger_since_us=ended_us)


def test_what_lapsed_may_have_been_dropped_is_not_missed() -> None:
    """A contact that nobody confirmed, whose hold ended before the ledger says; one that was confirmed is missing."""
    since_us = NOON_US + 45 * MINUTE_US + 1
    assert [] == kinds(b"", decided(), lapsed_since_us=since_us)
    assert [] == kinds(b"", decided(), happened("not_shown"), lapsed_since_us=since_us)
    assert [] == kinds(b"", decided(), happened("impression", "ORPHAN"), lapsed_since_us=since_us)
    assert [FindingKind.MISSING_IN_LEDGER] == kinds(b"", decided(), lapsed_since_us=since_us - 1)
    assert [FindingKind.MISSING_IN_LEDGER] == kinds(b"", decided(), happened("impression"), lapsed_since_us=since_us)


def test_what_the_log_may_have_lost_is_not_foreign() -> None:
    """A contact that may have been decided, or added, before the log begins is not foreign."""
    assert [] == kinds(entry(), log_since_us=NOON_US - HOUR_US, deferred_us=HOUR_US + 1)
    assert [FindingKind.MISSING_IN_LOG] == kinds(entry(), log_since_us=NOON_US - HOUR_US, deferred_us=HOUR_US)
    assert [] == kinds(entry(state=EntryState.SHOWN | OUTSIDE), log_since_us=1)


def test_only_what_is_asked_for() -> None:
    """From `since` to before `until`; a contact that was moved is asked for by either of its moments."""
    assert [] == kinds(b"", decided(), since_us=NOON_US + 1)
    assert [] == kinds(b"", decided(), until_us=NOON_US)
    assert [FindingKind.MISSING_IN_LEDGER] == kinds(b"", decided(), since_us=NOON_US, until_us=NOON_US + 1)
    moved = entry(time_us=NOON_US - HOUR_US, expiry_s=105 * 60)
    for since_us in (NOON_US - HOUR_US, NOON_US):
        assert [FindingKind.DIFFERENT] == kinds(moved, decided(), since_us=since_us)


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (NOON_US, "2026-11-23T11:00:00Z"),
        (NOON_US + 250_000, "2026-11-23T11:00:00.25Z"),
        (NOON_US + SECOND_US + 1, "2026-11-23T11:00:01.000001Z"),
    ],
)
def test_moments_are_told_to_the_microsecond(at_us: int, text: str) -> None:
    """As short as they can be."""
    assert text == told(at_us)
