"""What happened after a decision, as values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.domain.request import Identity, Scalar
    from takt.errors import Violation


class FeedbackEvent(Struct, frozen=True):
    """One event. It names the decision, the person, or both: a decision alone is enough while its log is kept."""

    event_id: str
    type: str
    """A type that the catalog declares."""
    decision_id: str = ""
    profile_id: str = ""
    identity: Identity | None = None
    offer: str = ""
    """Empty: every offer of the decision."""
    placement: str = ""
    channel: str = ""
    occurred_at_us: int = 0
    """0: now."""
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    value: float | None = None


class FeedbackOutcome(StrEnum):
    """What became of an event."""

    APPLIED = "APPLIED"
    DUPLICATE = "DUPLICATE"
    ORPHAN = "ORPHAN"
    LATE = "LATE"
    REJECTED = "REJECTED"
    UNAVAILABLE = "UNAVAILABLE"


class EventOutcome(Struct, frozen=True):
    """The answer to one event."""

    event_id: str
    outcome: FeedbackOutcome
    violations: tuple[Violation, ...] = ()
