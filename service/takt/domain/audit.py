"""An audit of contacts, as values: what the log tells of a person, and where their ledger says otherwise."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from takt.domain.contact import KnownContact
    from takt.domain.log import LogPosition


class LoggedContact(NamedTuple):
    """One offer of an answer."""

    offer: str
    channel: str
    placement: str
    counted_us: int
    hold_expires_us: int
    """0: the answer names no end of a hold."""


class Decided(NamedTuple):
    """An answer that was given."""

    position: LogPosition
    person: bytes
    """`takt.domain.decision.person_address` of whom it concerns."""
    profile_id: str
    decision_id: str
    contacts: tuple[LoggedContact, ...]


class Happened(NamedTuple):
    """An event that was recorded."""

    position: LogPosition
    person: bytes
    profile_id: str
    """Empty where only its decision says who it was."""
    decision_id: str
    """Empty where the event names none."""
    offer: str
    """Empty: all of the decision."""
    type: str
    outcome: str
    """Of a `takt.domain.log.LogEntry`."""


class Changed(NamedTuple):
    """A change of a ledger by hand."""

    position: LogPosition
    person: bytes
    profile_id: str
    removed: bytes
    """Ledger entries."""
    added: bytes


class Unreadable(NamedTuple):
    """An entry of the log that is damaged, or of a version that is not read here."""

    position: LogPosition


Deed: TypeAlias = Decided | Happened | Changed
"""What the log tells of one person."""


class FindingKind(StrEnum):
    """Kinds of differences."""

    MISSING_IN_LEDGER = "MISSING_IN_LEDGER"
    MISSING_IN_LOG = "MISSING_IN_LOG"
    DIFFERENT = "DIFFERENT"
    TOTAL_MISMATCH = "TOTAL_MISMATCH"
    LATE = "LATE"
    """No difference: a contact was confirmed after its hold had expired or been given back."""


class Finding(Struct, frozen=True):
    """A difference between what is counted and what was logged."""

    kind: FindingKind
    message: str
    """One sentence for people."""
    profile_id: str = ""
    """Empty where it concerns nobody in particular."""
    contact: KnownContact | None = None
    cap: str = ""
    counted: int = 0
    logged: int = 0


class AuditSummary(Struct, frozen=True):
    """What was compared, and what came of it."""

    profiles: int
    contacts: int
    totals: int
    findings: int
    """Late confirmations excluded."""
    late: int
    log_since_us: int
    """The moment from which on the log was there to compare with; 0 where there is none."""
