"""What happened after a decision, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.domain.request import Identity, Scalar
    from takt.errors import Violation


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
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


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """The answer to one event."""

    event_id: str
    outcome: FeedbackOutcome
    violations: tuple[Violation, ...] = ()
