"""Short ways to say what the tests are about; everything else has a default that does no harm."""

from __future__ import annotations

from typing import Any

from takt.domain.decision import person_address
from takt.domain.ledger import EntryState
from takt.memory.ledger import Ledger, LedgerEntry
from takt.ports import Entry, Group, Mark, MarkKind, ProfileWrite, Store
from tests.contract.harness import NOW_US

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def contact(**changes: Any) -> LedgerEntry:
    """A hold of half an hour made now, unless told otherwise."""
    fields = {
        "time_us": NOW_US,
        "decision": 77,
        "expiry_s": 1800,
        "offer": 5,
        "group": 6,
        "channel": 7,
        "placement": 8,
        "state": EntryState.HELD,
        "origin": 0,
    }
    return LedgerEntry(**(fields | changes))


def suppression(**changes: Any) -> LedgerEntry:
    """An offer suppressed for thirty days from now on, unless told otherwise."""
    fields = {"state": EntryState.SUPPRESS_OFFER, "expiry_s": 30 * 86_400, "group": 0, "channel": 0, "placement": 0}
    return contact(**(fields | changes))


def packed(*entries: LedgerEntry) -> bytes:
    """Entries as they stand in a ledger."""
    return Ledger(entries=entries).pack()[32:]


def entry(request_id: str, *contacts: LedgerEntry, record: bytes | None = None) -> Entry:
    """One decided request."""
    return Entry(
        request_id, request_id.encode().ljust(16, b"."), packed(*contacts), record or f"log {request_id}".encode()
    )


def group(profile_id: str, *entries: Entry, **changes: Any) -> Group:
    """A group that was decided on the empty ledger, just now."""
    fields = {
        "compare": True,
        "gate": 0,
        "appends": 0,
        "slack": 0,
        "snapshot_us": NOW_US,
        "max_age_us": 2_000_000,
        "max_entries": 512,
        "trim_before_us": NOW_US - 35 * DAY_US,
    }
    return Group(profile_id=profile_id, entries=entries, **(fields | changes))


def mark(profile_id: str, event_id: str, kind: MarkKind, **changes: Any) -> Mark:
    """A feedback event on decision 77."""
    fields: dict[str, Any] = {"decision": 77, "offer": 0, "suppression": b"", "record": f"log {event_id}".encode()}
    return Mark(event_id=event_id, person=person_address(profile_id), kind=kind, **(fields | changes))


def write(profile_id: str, record: bytes = b"record", **changes: Any) -> ProfileWrite:
    """A profile without identities."""
    fields: dict[str, Any] = {"identities": (), "tightens": False}
    return ProfileWrite(profile_id=profile_id, record=record, **(fields | changes))


def ledger_of(store: Store, profile_id: str) -> Ledger:
    """A person's ledger as the store has it."""
    return Ledger.parse(store.fetch([profile_id]).ledgers[0])
