"""What is known of a person's contacts, and what may be done to them by hand, as values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from takt.domain.request import Identity
    from takt.errors import Violation


class Person(Struct, frozen=True):
    """Whom a question is about: exactly one of the two is given."""

    profile_id: str = ""
    identity: Identity | None = None


class ContactState(StrEnum):
    """Whether a contact counts."""

    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    LATE = "LATE"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    BACKFILLED = "BACKFILLED"


class KnownContact(Struct, frozen=True):
    """One contact in a ledger. A name that the catalog no longer has is `#` and its code in hexadecimal digits."""

    counted_us: int
    state: ContactState
    offer: str
    group: str
    channel: str
    placement: str
    decision_id: str
    hold_expires_us: int
    """0: it was no hold."""


class KnownSuppression(Struct, frozen=True):
    """An offer or a group that is not to be offered."""

    offer: str
    group: str
    since_us: int
    until_us: int
    """0: for good."""


class CapState(Struct, frozen=True):
    """How much of a cap is used."""

    cap: str
    scope: str
    """Name of a `takt.catalog.snapshot.Scope`."""
    subject: str
    limit: int
    counted: int
    held: int
    start_us: int
    end_us: int
    """0: a rolling window."""
    next_us: int
    """0: now; the largest int64: never."""


class ContactView(Struct, frozen=True):
    """A person's contacts and caps at one moment."""

    profile_id: str
    contacts: tuple[KnownContact, ...]
    """Newest first."""
    caps: tuple[CapState, ...]
    suppressions: tuple[KnownSuppression, ...]
    as_of_us: int


class Reset(Struct, frozen=True, kw_only=True):
    """Take a person's contacts out of what is counted. Filters that are given must all hold; empty is all."""

    person: Person
    actor: str
    reason: str
    channel: str = ""
    offer: str = ""
    group: str = ""
    since_us: int | None = None
    before_us: int | None = None


class ResetResult(Struct, frozen=True):
    """What a reset did."""

    removed: int
    reset_us: int


class OutsideContact(Struct, frozen=True):
    """A contact that another system made."""

    contact_id: str
    person: Person
    counted_us: int
    channel: str
    offer: str = ""
    placement: str = ""


class BackfillOutcome(StrEnum):
    """What became of a contact from outside."""

    ADDED = "ADDED"
    DUPLICATE = "DUPLICATE"
    TOO_OLD = "TOO_OLD"
    REJECTED = "REJECTED"
    UNAVAILABLE = "UNAVAILABLE"
    """Others kept writing, or the person is being merged; send it again."""


class BackfillResult(Struct, frozen=True):
    """The answer to one contact from outside."""

    contact_id: str
    outcome: BackfillOutcome
    violations: tuple[Violation, ...] = ()


class ChangeKind(StrEnum):
    """What was done to a ledger by hand."""

    RESET = "RESET"
    BACKFILL = "BACKFILL"


class LedgerChange(Struct, frozen=True):
    """A change of what is counted, for the log."""

    profile_id: str
    kind: ChangeKind
    actor: str
    reason: str
    changed_us: int
    removed: bytes
    """Ledger entries."""
    added: bytes
