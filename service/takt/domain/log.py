"""The decision log as it lies in a store: entries of each partition, in the order in which they were written."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct


class LogKind(StrEnum):
    """What an entry tells of."""

    DECISION = "decision"
    FEEDBACK = "feedback"
    CHANGE = "change"
    """A ledger was changed by hand."""
    CONSENT = "consent"
    """A consent was given, refused or withdrawn, or changed by a merge."""


class LogPosition(NamedTuple):
    """Where an entry stands in its partition. Positions only grow, and none is used twice."""

    ms: int
    """Milliseconds since the epoch, by the store's own clock, when it was written."""
    sequence: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"


START: Final = LogPosition(0, 0)
"""Before every entry."""


class LogEntry(NamedTuple):
    """One entry."""

    position: LogPosition
    kind: LogKind
    record: bytes
    """As the codec wrote it."""
    outcome: str
    """What became of an event (`APPLIED`, `LATE` or `ORPHAN`); empty for other kinds."""


class LogExtent(Struct, frozen=True):
    """How much of one partition's log there is."""

    entries: int
    """That are there now."""
    written: int
    """Ever, trimmed ones included."""
    first: LogPosition
    """Of the oldest that is there; `START` if there is none."""
    last: LogPosition
    """Of the newest that was ever written; `START` if there was none."""

    @property
    def trimmed(self) -> int:
        """How many are gone."""
        return self.written - self.entries
