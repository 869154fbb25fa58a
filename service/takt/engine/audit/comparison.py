"""One person's ledger beside what the log says that it should hold, as far as both sides still know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from takt.clock import SECOND_US
from takt.domain.audit import FindingKind
from takt.domain.ledger import LATE, OUTSIDE, EntryState
from takt.engine.audit.expected import PLAIN, Expected, Key, contacts_in, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np


class Bounds(Struct, frozen=True):
    """What can be compared at all, and what is asked for. Moments in microseconds."""

    ledger_since_us: int = 0
    """Contacts that ended before may be missing in the ledger."""
    lapsed_since_us: int = 0
    """Contacts whose hold ended before without a confirmation may be missing in the ledger."""
    log_since_us: int = 0
    """The log has no deed before this moment; 0: it has all."""
    deferred_us: int = 0
    """How long before its moment a contact may have been decided."""
    since_us: int | None = None
    """Only contacts that count at or after."""
    until_us: int | None = None
    """Only contacts that count before."""

    def asks_for(self, *counted_us: int) -> bool:
        """Whether one of these moments is asked for."""
        return any(
            (self.since_us is None or at >= self.since_us) and (self.until_us is None or at < self.until_us)
            for at in counted_us
        )


class Difference(NamedTuple):
    """One contact about which ledger and log do not say the same; LATE: they do, and it is noteworthy."""

    kind: FindingKind
    entry: np.void
    """As the ledger has it; where it lacks it, as it should."""
    expected: Expected | None
    """As the log has it."""
    fields: tuple[str, ...] = ()
    """What differs, one sentence each."""


class Compared(Struct):
    """What came of one person."""

    contacts: int = 0
    """That were compared."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether ledger and log say the same."""
        return all(one.kind is FindingKind.LATE for one in self.differences)


def compare(entries: bytes, contacts: Iterable[Expected], bounds: Bounds) -> Compared:
    """All differences between the entries of a ledger and the contacts that the log has, in the order of the keys."""
    counted, logged = _by_key(contacts_in(entries)), _sorted(contacts)
    compared = Compared()
    for key in sorted(counted.keys() | logged.keys()):
        ours, theirs = counted.get(key, []), logged.get(key, [])
        pairs = min(len(ours), len(theirs))
        for entry, one in zip(ours[:pairs], theirs[:pairs], strict=True):
            if bounds.asks_for(int(entry["time_us"]), one.counted_us):
                compared.contacts += 1
                compared.differences += _pair(entry, one)
        for entry in ours[pairs:]:
            if bounds.asks_for(int(entry["time_us"])) and _would_be_logged(entry, bounds):
                compared.contacts += 1
                compared.differences.append(Difference(FindingKind.MISSING_IN_LOG, entry, None))
        for one in theirs[pairs:]:
            if bounds.asks_for(one.counted_us) and _would_be_kept(one, bounds):
                compared.contacts += 1
                compared.differences.append(Difference(FindingKind.MISSING_IN_LEDGER, one.entry(), one))
    return compared


def told(at_us: int) -> str:
    """A moment as people read it: `2026-01-31T12:00:00.25Z`."""
    whole = datetime.fromtimestamp(at_us // SECOND_US, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    micros = f"{at_us % SECOND_US:06d}".rstrip("0")
    return f"{whole}.{micros}Z" if micros else f"{whole}Z"


def _by_key(entries: Iterable[np.void]) -> dict[Key, list[np.void]]:
    """Entries of each key, the oldest first."""
    found: dict[Key, list[np.void]] = {}
    for entry in entries:
        found.setdefault(key_of(entry), []).append(entry)
    for same in found.values():
        same.sort(key=lambda entry: int(entry["time_us"]))
    return found


def _sorted(contacts: Iterable[Expected]) -> dict[Key, list[Expected]]:
    """Contacts of each key, the oldest first."""
    found: dict[Key, list[Expected]] = {}
    for one in sorted(contacts, key=lambda one: one.counted_us):
        found.setdefault(one.key, []).append(one)
    return found


def _would_be_logged(entry: np.void, bounds: Bounds) -> bool:
    """Whether the log would have a contact of the ledger."""
    if not bounds.log_since_us:
        return True
    # one from outside says nothing of when it was added
    return not entry["state"] & OUTSIDE and int(entry["time_us"]) >= bounds.log_since_us + bounds.deferred_us


def _would_be_kept(one: Expected, bounds: Bounds) -> bool:
    """Whether the ledger would have a contact of the log."""
    waits = one.state in (EntryState.HELD, EntryState.RELEASED) or not one.sure
    since_us = max(bounds.ledger_since_us, bounds.lapsed_since_us) if waits else bounds.ledger_since_us
    return max(one.counted_us, one.hold_expires_us) >= since_us


def _pair(entry: np.void, one: Expected) -> list[Difference]:
    """What differs about a contact that both sides have."""
    counted_us, state = int(entry["time_us"]), int(entry["state"])
    fields = []
    if counted_us != one.counted_us:
        fields.append(f"it counts at {told(counted_us)} by the ledger, at {told(one.counted_us)} by the log")
    ends_us = counted_us + int(entry["expiry_s"]) * SECOND_US
    if one.hold_expires_us and ends_us != one.hold_expires_us:
        fields.append(f"its hold ends at {told(ends_us)} by the ledger, at {told(one.hold_expires_us)} by the log")
    if int(entry["channel"]) != one.channel:
        fields.append(f"its channel is #{int(entry['channel']):x} in the ledger, #{one.channel:x} in the log")
    # by what the log cannot tell, the ledger is believed
    logged = one.state if one.sure else state & PLAIN
    late = one.late if one.sure and one.late is not None else bool(state & LATE)
    logged |= (OUTSIDE if one.outside else 0) | (LATE if late else 0)
    if state != logged:
        fields.append(f"it is {_word(state)} by the ledger, {_word(logged)} by the log")
    if fields:
        return [Difference(FindingKind.DIFFERENT, entry, one, tuple(fields))]
    return [Difference(FindingKind.LATE, entry, one)] if state & LATE else []


def _word(state: int) -> str:
    """A state in words: `shown`, `clicked late`, `shown outside`."""
    word = EntryState(state & PLAIN).name.lower()
    return word + (" late" if state & LATE else "") + (" outside" if state & OUTSIDE else "")
