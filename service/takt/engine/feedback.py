"""Feedback: what happened confirms, releases or suppresses contacts, once per event, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from takt.catalog.snapshot import Counts
from takt.clock import DAY_US, MINUTE_US, SECOND_US
from takt.domain.decision import address_of, ledger_code, person_address
from takt.domain.feedback import EventOutcome, FeedbackOutcome
from takt.domain.ledger import ENTRY, EntryState
from takt.engine.link import REDIRECTS
from takt.engine.validation import LONGEST_ID
from takt.errors import StoreError, Violation
from takt.identity import anonymous_id
from takt.ports import Mark, MarkKind, MarkOutcome
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.snapshot import Catalog, Event
    from takt.clock import Clock
    from takt.domain.feedback import FeedbackEvent
    from takt.engine.engine import Engine
    from takt.engine.force import Force
    from takt.ports import EventCodec, Store

AHEAD_US = 5 * MINUTE_US
"""How far in the future an event may lie: clocks differ."""
LONGEST_SUPPRESSION_S = np.iinfo(np.uint32).max
OUTCOMES = {
    MarkOutcome.APPLIED: FeedbackOutcome.APPLIED,
    MarkOutcome.LATE: FeedbackOutcome.LATE,
    MarkOutcome.DUPLICATE: FeedbackOutcome.DUPLICATE,
    MarkOutcome.ORPHAN: FeedbackOutcome.ORPHAN,
}


class Feedback:
    """Records batches of events. Safe to use from any thread that may use the store."""

    def __init__(self, engine: Engine, store: Store, codec: EventCodec, *, clock: Clock) -> None:
        """Events mean what the catalog in force in `engine` says."""
        self._engine = engine
        self._store = store
        self._codec = codec
        self._clock = clock

    def record(self, events: Sequence[FeedbackEvent]) -> list[EventOutcome]:
        """Apply each valid event once; the others are rejected with what is wrong. At most two round trips.

        Raises `StoreError` when the store cannot be used; the batch can then be sent again as it is.
        """
        force = self._engine.force
        catalog = force.catalog
        offers = {offer.id: o for o, offer in enumerate(catalog.offers)}
        now_us = self._clock.now_us()
        found = [_violations(event, catalog, offers, now_us) for event in events]
        valid = [i for i, violations in enumerate(found) if not violations]
        people = self._people([events[i] for i in valid])
        marks = []
        for i, person in zip(valid, people, strict=True):
            event = events[i]
            declared = catalog.events[event.type]
            o = offers.get(event.offer, -1)
            at_us = event.occurred_at_us or now_us
            marks.append(
                Mark(
                    event_id=event.event_id,
                    person=person_address(person) if person else address_of(event.decision_id),
                    decision=ledger_code(event.decision_id) if event.decision_id else 0,
                    offer=int(catalog.offer_codes[o]) if o >= 0 else 0,
                    kind=mark_kind(declared),
                    suppression=_suppression(catalog, declared, o, at_us) + _dismissal(force, declared, event, at_us),
                    record=self._codec.encode_event(event, person or "", now_us),
                )
            )
        outcomes = iter(self._marked(marks))
        return [
            EventOutcome(event.event_id, FeedbackOutcome.REJECTED, tuple(violations))
            if violations
            else EventOutcome(event.event_id, OUTCOMES[next(outcomes)])
            for event, violations in zip(events, found, strict=True)
        ]

    def _marked(self, marks: list[Mark]) -> list[MarkOutcome]:
        """What became of each mark; those of people who are being merged or were go where their contacts are now."""
        outcomes = [MarkOutcome.MERGING] * len(marks)
        pending = list(range(len(marks)))
        for _ in range(REDIRECTS):
            answers = self._store.mark([marks[i] for i in pending]) if pending else []
            for i, outcome in zip(pending, answers, strict=True):
                outcomes[i] = outcome
            pending = [i for i in pending if outcomes[i] is MarkOutcome.MERGING]
            if not pending:
                return outcomes
            for i, lead in zip(pending, self._engine.merger.follow([marks[i].person for i in pending]), strict=True):
                if lead.settled:
                    marks[i] = replace(marks[i], person=person_address(lead.profile_id))
        raise StoreError("profiles of a person are being merged; send the events again")

    def _people(self, events: Sequence[FeedbackEvent]) -> list[str | None]:
        """Profile id of each event's person; None where only the decision id says who it was."""
        named = [event.identity for event in events if event.identity is not None]
        resolved = iter(self._store.resolve(named) if named else [])
        people: list[str | None] = []
        for event in events:
            if event.profile_id:
                people.append(event.profile_id)
            elif event.identity is not None:
                known = next(resolved)
                people.append(known or anonymous_id(event.identity.namespace, event.identity.value))
            else:
                people.append(None)
        return people


def mark_kind(declared: Event) -> MarkKind:
    """What an event does to its contacts."""
    if declared.releases:
        return MarkKind.RELEASED
    if declared.confirms == Counts.CLICK:
        return MarkKind.CLICKED
    return MarkKind.SHOWN if declared.confirms == Counts.IMPRESSION else MarkKind.NONE


def _suppression(catalog: Catalog, declared: Event, o: int, from_us: int) -> bytes:
    """The ledger entry with which an event suppresses its offer or the offer's group; empty if it does not."""
    if not declared.suppress or o < 0:
        return b""
    group = int(catalog.offer_group[o])
    entry = np.zeros(1, ENTRY)
    entry["time_us"] = from_us
    entry["expiry_s"] = min(declared.suppress_us // SECOND_US, LONGEST_SUPPRESSION_S)
    entry["offer"] = catalog.offer_codes[o]
    if declared.suppress == "group" and group >= 0:
        entry["group"] = catalog.group_codes[group]
        entry["state"] = EntryState.SUPPRESS_GROUP
    else:
        entry["state"] = EntryState.SUPPRESS_OFFER
    return entry.tobytes()


def _dismissal(force: Force, declared: Event, event: FeedbackEvent, at_us: int) -> bytes:
    """The ledger entry that remembers a dismissal; empty if it is none, or nothing is made of it.

    Its channel is the one that the event or its placement names, 0 where neither does.
    """
    catalog = force.catalog
    if not declared.presses or catalog.arbitration.pressure is None:
        return b""
    channels = {channel.id: channel.code for channel in catalog.channels}
    placement = force.placement_index.get(event.placement, -1)
    offer = {offer.id: offer.code for offer in catalog.offers}.get(event.offer, 0) if event.offer else 0
    entry = np.zeros(1, ENTRY)
    entry["time_us"] = at_us
    entry["expiry_s"] = 1  # 0 would keep it for good
    entry["decision"] = ledger_code(event.decision_id) if event.decision_id else 0
    entry["offer"] = offer
    entry["channel"] = channels.get(
        event.channel, catalog.channels[catalog.placements[placement].channel].code if placement >= 0 else 0
    )
    entry["state"] = EntryState.DISMISSED
    return entry.tobytes()


def _violations(event: FeedbackEvent, catalog: Catalog, offers: dict[str, int], now_us: int) -> list[Violation]:
    """All that is wrong with one event, by field."""
    found: list[Violation] = []
    if not 1 <= len(event.event_id) <= LONGEST_ID:
        found.append(Violation("event_id", f"must have 1 to {LONGEST_ID} characters"))
    if event.type not in catalog.events:
        hint = did_you_mean(event.type, catalog.events)
        found.append(Violation("type", f"{shown(event.type)} is not a declared event; {hint}"))
    elif catalog.events[event.type].suppress and not event.offer:
        found.append(Violation("offer", f"is needed: {shown(event.type)} suppresses an offer or its group"))
    if event.offer and event.offer not in offers:
        hint = did_you_mean(event.offer, offers)
        found.append(Violation("offer", f"{shown(event.offer)} is not an offer of the catalog; {hint}"))
    if event.profile_id and event.identity is not None:
        found.append(Violation("profile_id", "give either profile_id or identity, and not both"))
    if event.decision_id:
        try:
            address_of(event.decision_id)
        except ValueError:
            found.append(Violation("decision_id", "is not a decision id; send it as it was answered"))
    elif not event.profile_id and event.identity is None:
        found.append(Violation("decision_id", "give a decision_id, a profile_id or an identity"))
    if event.occurred_at_us > now_us + AHEAD_US:
        found.append(Violation("occurred_at", "lies more than 5 minutes in the future"))
    if event.occurred_at_us and event.occurred_at_us < now_us - 3650 * DAY_US:
        found.append(Violation("occurred_at", "lies more than ten years in the past"))
    return found
