"""What is kept of what a store acknowledged: the newest, for a while."""

from __future__ import annotations

from takt.clock import ManualClock
from takt.redis.calls import Unit
from takt.redis.journal import Journal


def units(*frames: bytes) -> list[Unit]:
    """Commits or events that are told apart by their frames."""
    return [Unit(0, (b"m",), frame) for frame in frames]


def frames_of(journal: Journal) -> list[list[bytes]]:
    """What would be put back: commits, and events."""
    return [[noted.unit.frame for noted in kept] for kept in journal.recent()]


def test_commits_and_events_are_kept_in_order() -> None:
    """Each kind for itself, the oldest first."""
    journal = Journal(ManualClock(0), within_us=10)
    journal.committed((unit, ()) for unit in units(b"a", b"b"))
    journal.marked(units(b"e"))
    journal.committed((unit, ()) for unit in units(b"c"))

    assert [[b"a", b"b", b"c"], [b"e"]] == frames_of(journal)


def test_no_more_are_kept_than_it_holds() -> None:
    """The oldest go first, so that its memory has a bound."""
    journal = Journal(ManualClock(0), within_us=10, most=2)
    journal.committed((unit, ()) for unit in units(b"a", b"b", b"c"))
    journal.marked(units(b"d", b"e", b"f"))

    assert [[b"b", b"c"], [b"e", b"f"]] == frames_of(journal)


def test_what_is_old_is_not_put_back() -> None:
    """Its id may have been forgotten in good order by then, and it would be written twice."""
    clock = ManualClock(0)
    journal = Journal(clock, within_us=10)
    journal.committed((unit, ()) for unit in units(b"a"))
    clock.advance(6)
    journal.committed((unit, ()) for unit in units(b"b"))
    journal.marked(units(b"e"))
    clock.advance(5)

    assert [[b"b"], [b"e"]] == frames_of(journal)
