"""What entries of the log tell of people's contacts, for the audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from takt.decisionlog.reading import SlotColumns, read_changes, read_decisions, read_feedback
from takt.domain.audit import Changed, Decided, Deed, Happened, LoggedContact, Unreadable
from takt.domain.decision import address_of, person_address
from takt.domain.log import LogEntry, LogKind

Told: TypeAlias = Deed | Unreadable


class ProtobufDeeds:
    """Implements `takt.ports.DeedReader` for records that `ProtobufCodec` writes."""

    def deeds(self, entries: Sequence[LogEntry]) -> list[Told]:
        """One for each entry, in their order; consents that changed are no deeds, and left out."""
        told: list[Told] = []
        for kind, read in _READ.items():
            told += read([entry for entry in entries if entry.kind is kind])
        return sorted(told, key=_position)


def _position(told: Told) -> tuple[int, int]:
    return told.position


def _whole(entries: Sequence[LogEntry], damaged: Sequence[int]) -> list[LogEntry]:
    """The entries that could be read, as columns have them."""
    lost = set(damaged)
    return [entry for n, entry in enumerate(entries) if n not in lost]


def _lost(entries: Sequence[LogEntry], damaged: Sequence[int]) -> Iterator[Unreadable]:
    return (Unreadable(entries[n].position) for n in damaged)


def _decisions(entries: Sequence[LogEntry]) -> Iterator[Told]:
    tables = read_decisions([entry.record for entry in entries])
    decisions, placements = tables.decisions, tables.placements
    yield from _lost(entries, tables.damaged)
    placement = slot = 0
    for n, entry in enumerate(_whole(entries, tables.damaged)):
        contacts: list[LoggedContact] = []
        for _ in range(decisions.placements[n]):
            end = slot + placements.slots[placement]
            contacts += _shown(tables.slots, slot, end, placements.channel[placement], placements.placement[placement])
            slot, placement = end, placement + 1
        profile_id = decisions.profile_id[n]
        yield Decided(entry.position, person_address(profile_id), profile_id, decisions.decision_id[n], tuple(contacts))


def _shown(slots: SlotColumns, first: int, end: int, channel: str, placement: str) -> Iterator[LoggedContact]:
    """The contacts among draws; silence is none."""
    for at in range(first, end):
        if (offer := slots.offer[at]) is not None:
            yield LoggedContact(offer, channel, placement, slots.not_before_us[at], slots.hold_expires_us[at])


def _feedback(entries: Sequence[LogEntry]) -> Iterator[Told]:
    events = read_feedback([entry.record for entry in entries])
    yield from _lost(entries, events.damaged)
    for n, entry in enumerate(_whole(entries, events.damaged)):
        profile_id, decision_id = events.profile_id[n], events.decision_id[n]
        person = person_address(profile_id) if profile_id else address_of(decision_id)
        yield Happened(entry.position, person, profile_id, decision_id, events.offer[n], events.type[n], entry.outcome)


def _changes(entries: Sequence[LogEntry]) -> Iterator[Told]:
    changes = read_changes([entry.record for entry in entries])
    yield from _lost(entries, changes.damaged)
    for n, entry in enumerate(_whole(entries, changes.damaged)):
        profile_id = changes.profile_id[n]
        yield Changed(entry.position, person_address(profile_id), profile_id, changes.removed[n], changes.added[n])


_READ: Final = {LogKind.DECISION: _decisions, LogKind.FEEDBACK: _feedback, LogKind.CHANGE: _changes}
