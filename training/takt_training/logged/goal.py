"""What counts as success: which events, within which time, and what several of them come to."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from takt.errors import PreconditionError

AGGREGATES: Final = ("max", "sum", "first")
ATTRIBUTIONS: Final = ("decision", "person")


class Goal(Struct, frozen=True):
    """A declared outcome. Raises `PreconditionError` if it cannot mean anything."""

    events: tuple[str, ...]
    """Types of events, any of which is success."""
    window_us: int
    """Events count from the contact on for so long. A decision is learned from once this has passed."""
    aggregate: str = "max"
    """What several events within the window come to: `max`, `sum`, or `first` by when they occurred."""
    default: float = 0.0
    """Outcome where no event came within the window."""
    without_value: float = 1.0
    """What an event counts that was reported without a value."""
    attribution: str = "decision"
    """`decision`: events that name the decision. `person`: those that name none as well, by person and, if they name
    one, offer; silence can then have outcomes too, which is what a baseline is learned from."""
    reactions: tuple[str, ...] = ()
    """Types of events that are a negative reaction to a contact, within the same window."""

    def __post_init__(self) -> None:
        if not self.events:
            raise PreconditionError("a goal needs at least one type of event")
        if self.window_us <= 0:
            raise PreconditionError(f"a goal's window of {self.window_us} us; it must be longer than nothing")
        if self.aggregate not in AGGREGATES:
            raise PreconditionError(f"{self.aggregate!r} is no way to aggregate; it is one of {', '.join(AGGREGATES)}")
        if self.attribution not in ATTRIBUTIONS:
            raise PreconditionError(
                f"{self.attribution!r} is no way to attribute; it is one of {', '.join(ATTRIBUTIONS)}"
            )
