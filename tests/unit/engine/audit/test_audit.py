"""Audits of a whole store: clean while others write, merge and trim, and telling when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from takt.clock import DAY_US, HOUR_US
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.deeds import ProtobufDeeds
from takt.domain.audit import AuditSummary, Finding, FindingKind
from takt.domain.contact import OutsideContact, Person, Reset
from takt.domain.decision import person_address
from takt.domain.feedback import FeedbackEvent
from takt.domain.ledger import ENTRY, WIDTH, EntryState
from takt.domain.log import LogKind, LogPosition
from takt.domain.request import Identity
from takt.engine.audit import audit as auditing
from takt.engine.audit.audit import Audit, Auditor
from takt.engine.contacts import Contacts
from takt.errors import InvalidRequestError, NotFoundError
from takt.memory.ledger import Ledger
from tests.unit.engine.conftest import World
from tests.unit.engine.test_link import named, shown_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from takt.catalog.snapshot import Catalog
    from takt.domain.log import LogEntry

LOGIN = Identity("login", "anna")


def contacts(world: World) -> Contacts:
    """Changes contacts by hand."""
    return Contacts(world.engine, world.store, ProtobufCodec(64))


def auditor(world: World) -> Auditor:
    """Audits this world."""
    return Auditor(world.engine, world.store, contacts(world), ProtobufDeeds())


def finish(audit: Audit) -> tuple[list[Finding], AuditSummary]:
    """All steps of an audit."""
    found = []
    while not audit.done:
        found += audit.step()
    return found, audit.summary()


def audited(world: World, person: str = "", **given: int) -> tuple[list[Finding], AuditSummary]:
    """Everybody, or one person."""
    return finish(auditor(world).begin(Person(person) if person else None, **given))


def events(world: World, decision_id: str, *types: str) -> None:
    """Record events about a decision."""
    for n, name in enumerate(types):
        world.feedback().record([FeedbackEvent(f"{decision_id}-{n}", name, decision_id=decision_id)])


def tamper(world: World, profile_id: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write other entries into a ledger, past everything."""
    ledger = world.store.ledgers[person_address(profile_id)]
    entries = np.frombuffer(ledger[WIDTH:], ENTRY).copy()
    world.store.ledgers[person_address(profile_id)] = ledger[:WIDTH] + change(entries).tobytes()


def lived(world: World) -> None:
    """Everything that can happen to people's contacts by rights."""
    for name in "abc":
        named(world, name)
    events(world, shown_to(world, "r", "a"), "impression", "click")
    events(world, shown_to(world, "s", "b"), "not_shown", "impression")
    events(world, shown_to(world, "t", "c"), "not_shown")
    contacts(world).reset(Reset(person=Person("c"), actor="anna", reason="a test"))
    letter = OutsideContact("l", Person("c"), world.clock.now_us() - HOUR_US, "email", "tea-towel")
    contacts(world).backfill([letter], actor="anna", reason="a test")


def test_what_happened_by_rights_is_no_difference(world: World) -> None:
    """A late confirmation is told, and is none."""
    lived(world)

    found, summary = audited(world)

    assert [(FindingKind.LATE, "b")] == [(one.kind, one.profile_id) for one in found]
    assert (3, 3, 0, 1) == (summary.profiles, summary.contacts, summary.findings, summary.late)
    assert world.clock.now_us() // 1_000 == summary.log_since_us // 1_000


def test_partitions_are_read_in_parts_and_people_in_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is read or held at once, everybody is compared once."""
    lived(world)
    tamper(world, "a", lambda entries: entries[:0])
    whole = audited(world)
    for name in ("PAGE", "CHUNK", "AT_ONCE"):
        monkeypatch.setattr(auditing, name, 1)

    found, summary = audited(world)

    assert sorted(map(str, whole[0])) == sorted(map(str, found))
    assert whole[1] == summary


def test_names_of_a_merged_person_are_one(world: World) -> None:
    """Their deeds under all names, in all partitions, before and after, are compared with the one ledger."""
    named(world, "a", LOGIN)
    before = shown_to(world, "r", "p"), shown_to(world, "s", "a")
    world.profiles().link("p", [LOGIN])
    for decision_id in before:
        events(world, decision_id, "impression")

    for given in ({}, {"person": "p"}, {"person": "a"}):
        found, summary = audited(world, **given)  # type: ignore[arg-type]  # a person is a text
        assert ([], 1, 2) == (found, summary.profiles, summary.contacts)

    tamper(world, "a", lambda entries: entries[:1])
    for given in ({}, {"person": "p"}):
        found, summary = audited(world, **given)  # type: ignore[arg-type]
        assert [(FindingKind.MISSING_IN_LEDGER, "a")] == [(one.kind, one.profile_id) for one in found]
        assert found[0].contact is not None
        assert found[0].contact.decision_id in before


@pytest.mark.parametrize("merges", [False, True])
def test_what_is_written_meanwhile_is_no_difference(world: World, *, merges: bool) -> None:
    """Between any two steps and any two reads others decide, confirm, reset, and people turn out to be one."""
    lived(world)
    named(world, "x", LOGIN)
    shown_to(world, "u", "x")
    times = iter(range(1_000))

    def write() -> None:
        world.store.on_fetch = lambda: None
        n = next(times)
        if n < 6:
            events(world, shown_to(world, f"m{n}", "c"), "impression")
            contacts(world).reset(Reset(person=Person("c"), actor="anna", reason="a test"))
        if merges and n == 2:
            world.profiles().link("p", [LOGIN])
            world.profiles().link("a", [LOGIN])
        world.store.on_fetch = write

    audit = auditor(world).begin()
    world.store.on_fetch = write
    found, summary = finish(audit)

    assert {FindingKind.LATE} == {one.kind for one in found}
    assert 0 == summary.findings
    # who was compared before the merge is compared again with the others
    assert summary.profiles in ((3, 4) if merges else (4,))


def test_a_person_who_never_stands_still_is_left_out(world: World) -> None:
    """A difference that may be somebody's write of this moment is not told."""
    lived(world)
    tamper(world, "a", lambda entries: entries[:0])
    times = iter(range(10_000))

    def write() -> None:
        world.store.on_fetch = lambda: None
        events(world, shown_to(world, f"m{next(times)}", "a"), "impression")
        contacts(world).reset(Reset(person=Person("a"), actor="anna", reason="a test"))
        world.store.on_fetch = write

    world.store.on_fetch = write
    found, summary = audited(world)

    assert ({FindingKind.LATE}, 2) == ({one.kind for one in found}, summary.profiles)


def test_a_trimmed_log_accuses_nobody(world: World) -> None:
    """Contacts that were decided before the log begins are not foreign, nor are events about them; later ones count."""
    lived(world)
    shown = shown_to(world, "before", "a")
    world.clock.advance(10 * DAY_US)
    begin_us = world.clock.now_us()
    world.store.decision_log.trim([LogPosition(begin_us // 1_000, 0)] * world.store.decision_log.partitions)
    events(world, shown, "impression")
    assert ([], 0) == (audited(world)[0], audited(world)[1].findings)

    world.clock.advance(9 * DAY_US + HOUR_US)
    shown_to(world, "after", "a")
    tamper(world, "a", lambda entries: np.concatenate([entries, entries[-1:]]))
    found, summary = audited(world)

    assert [(FindingKind.MISSING_IN_LOG, "a")] == [(one.kind, one.profile_id) for one in found]
    assert begin_us <= summary.log_since_us


def test_what_the_ledger_no_longer_keeps_is_not_missed(world: World) -> None:
    """Nobody looks back further than contacts are kept."""
    lived(world)
    tamper(world, "a", lambda entries: entries[:0])
    assert 1 == audited(world)[1].findings
    world.clock.advance(world.catalog.keep_us + HOUR_US)

    assert 0 == audited(world)[1].findings


def test_what_lapsed_and_was_dropped_is_not_missed(minimal: Catalog) -> None:
    """A ledger that made room for others is as whole as it can be; a confirmed contact that is gone is still told."""
    world = World(replace(minimal, caps=(), max_entries=8))
    named(world, "a")
    confirmed = shown_to(world, "seen", "a")
    events(world, confirmed, "impression")
    for n in range(12):
        world.clock.advance(DAY_US)
        shown_to(world, f"r{n}", "a")
    header = Ledger.parse(world.store.ledgers[person_address("a")])
    assert 0 < header.lapsed_before_s
    assert 13 > len(header.entries)
    assert 0 == audited(world)[1].findings

    tamper(world, "a", lambda entries: entries[entries["state"] == EntryState.HELD])

    (found,) = audited(world)[0]
    assert FindingKind.MISSING_IN_LEDGER is found.kind
    assert found.contact is not None
    assert confirmed == found.contact.decision_id


def test_a_ledger_that_cannot_be_read_is_told(world: World) -> None:
    """And stops nobody else's comparison."""
    lived(world)
    world.store.ledgers[person_address("a")] = b"junk"

    found, summary = audited(world)

    assert ["a"] == [one.profile_id for one in found if one.kind is FindingKind.DIFFERENT]
    assert 3 == summary.profiles


def test_an_entry_of_the_log_that_cannot_be_read_is_told_once(world: World) -> None:
    """By partition and position; nobody can say whose it was."""
    lived(world)
    world.store.decision_log.append(5, LogKind.DECISION, b"\xff", "")  # type: ignore[attr-defined]  # in memory

    found, _ = audited(world)

    (lost,) = [one for one in found if one.kind is FindingKind.DIFFERENT]
    assert ("", True) == (lost.profile_id, "of the log of partition 5 cannot be read" in lost.message)


def test_a_foreign_ledger_is_found_by_its_name(world: World) -> None:
    """The log knows nobody of whom it has nothing: they are found only if asked for."""
    lived(world)
    entries = world.contacts("a")
    world.store.ledgers[person_address("p")] = world.store.ledgers[person_address("a")]

    assert 0 == audited(world)[1].findings
    found, _ = audited(world, "p")
    assert [(FindingKind.MISSING_IN_LOG, "p")] * len(entries) == [(one.kind, one.profile_id) for one in found]


def test_a_finding_names_whom_what_and_when(world: World) -> None:
    """Enough to look at it, in words and in fields."""
    decision_id = shown_to(world, "r", "p")
    tamper(world, "p", lambda entries: entries[:0])

    ((finding,), _) = audited(world)

    contact = finding.contact
    assert contact is not None
    assert (decision_id, "home_hero", "web", world.clock.now_us()) == (
        contact.decision_id,
        contact.placement,
        contact.channel,
        contact.counted_us,
    )
    for part in (contact.offer, "home_hero", decision_id, "2026-11-23T11:00:00Z", "is not counted"):
        assert part in finding.message


def test_only_what_is_asked_for(world: World) -> None:
    """A partition alone, or a span of time; what there is not is refused."""
    lived(world)
    tamper(world, "a", lambda entries: entries[:0])
    count = world.store.decision_log.partitions
    home = int.from_bytes(person_address("a")[:4], "little") % count
    begin = auditor(world).begin

    assert 1 == finish(begin(partitions=[home]))[1].findings
    assert 0 == finish(begin(partitions=[n for n in range(count) if n != home]))[1].findings
    assert 0 == finish(begin(since_us=world.clock.now_us() + 1))[1].findings
    with pytest.raises(InvalidRequestError, match=f"partitions: {count} is none"):
        begin(partitions=[count])
    with pytest.raises(NotFoundError):
        finish(begin(Person("nobody")))


def test_a_step_that_failed_can_be_taken_again(world: World) -> None:
    """Whatever could not be read for once, the result is the same."""
    lived(world)
    tamper(world, "a", _released)
    whole = audited(world)
    log = world.store.decision_log
    reads = iter(range(10_000))
    read = log.read

    def at_times(partition: int, after: LogPosition, most: int) -> list[LogEntry]:
        if next(reads) % 2 == 0:
            raise ConnectionError
        return read(partition, after, most)

    log.read = at_times  # type: ignore[method-assign]
    audit = auditor(world).begin()
    found: list[Finding] = []
    while not audit.done:
        try:
            found += audit.step()
        except ConnectionError:
            continue

    assert whole == (found, audit.summary())


def _released(entries: np.ndarray) -> np.ndarray:
    entries["state"] = EntryState.RELEASED
    return entries
