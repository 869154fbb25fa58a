"""Slots, calendar windows and quiet hours, as a person in that zone would read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from takt.catalog.snapshot import Calendar, Timing
from takt.policy.moments import calendar_window, is_quiet, slot

BERLIN = ZoneInfo("Europe/Berlin")
TONIGHT = Timing("tonight", day_offset=0, from_minute=18 * 60, to_minute=21 * 60)
MORNING = Timing("tomorrow_morning", day_offset=1, from_minute=8 * 60, to_minute=11 * 60)
WEEKEND = Timing("weekend", day_offset=0, from_minute=10 * 60, to_minute=18 * 60, weekdays=(5, 6))


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    """A local moment."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def shown(span: tuple[datetime, datetime] | None) -> tuple[str, ...]:
    """A slot as local wall-clock text."""
    return tuple(moment.strftime("%a %H:%M") for moment in span) if span else ()


@pytest.mark.parametrize(
    ("timing", "now", "expected"),
    [
        (TONIGHT, "2026-11-23T09:00", ("Mon 18:00", "Mon 21:00")),
        (TONIGHT, "2026-11-23T20:59", ("Mon 18:00", "Mon 21:00")),
        (TONIGHT, "2026-11-23T21:00", ()),
        (MORNING, "2026-11-23T09:00", ("Tue 08:00", "Tue 11:00")),
        (WEEKEND, "2026-11-23T09:00", ("Sat 10:00", "Sat 18:00")),
        (WEEKEND, "2026-11-28T17:59", ("Sat 10:00", "Sat 18:00")),
        (WEEKEND, "2026-11-28T18:00", ("Sun 10:00", "Sun 18:00")),
        (WEEKEND, "2026-11-29T18:00", ("Sat 10:00", "Sat 18:00")),
    ],
)
def test_a_slot_is_the_next_one_that_is_not_over(timing: Timing, now: str, expected: tuple[str, ...]) -> None:
    """A slot under way is still open, one that is over is not; a weekday slot moves to the next such day."""
    assert expected == shown(slot(timing, at(now), BERLIN))


@pytest.mark.parametrize(
    ("calendar", "moment", "hours"),
    [
        (Calendar.DAY, "2026-03-29T12:00", 23),
        (Calendar.DAY, "2026-10-25T12:00", 25),
        (Calendar.DAY, "2026-11-23T00:00", 24),
        (Calendar.WEEK, "2026-10-25T23:59", 7 * 24 + 1),
        (Calendar.MONTH, "2026-02-28T23:59", 28 * 24),
        (Calendar.MONTH, "2026-12-31T23:59", 31 * 24),
    ],
)
def test_calendar_windows_follow_the_wall_clock(calendar: Calendar, moment: str, hours: int) -> None:
    """A day, week or month is as long as it is on the wall, across both changes of the clock, and holds its moment."""
    start, end = calendar_window(calendar, at(moment), BERLIN)
    us = int(at(moment).timestamp()) * 1_000_000
    assert hours * 3_600_000_000 == end - start
    assert start <= us < end


def test_a_time_that_the_clock_skips_is_read_as_much_later() -> None:
    """Half past two on the morning on which two becomes three is half past three, on the wall as well."""
    skipped = Timing("early", day_offset=1, from_minute=150, to_minute=360)
    assert ("Sun 03:30", "Sun 06:00") == shown(slot(skipped, at("2026-03-28T12:00"), BERLIN))


def test_a_week_starts_on_monday_in_the_zone_that_counts() -> None:
    """Sunday evening in New York is Monday in Berlin: the cap's zone decides, not the customer's."""
    moment = at("2026-11-22T20:00", ZoneInfo("America/New_York"))
    start, _ = calendar_window(Calendar.WEEK, moment, BERLIN)
    assert datetime(2026, 11, 22, 23, tzinfo=UTC) == datetime.fromtimestamp(start / 1e6, UTC)


@pytest.mark.parametrize(
    ("minute", "quiet"), [(20 * 60 + 59, False), (21 * 60, True), (0, True), (8 * 60 - 1, True), (8 * 60, False)]
)
def test_quiet_hours_run_past_midnight(minute: int, quiet: bool) -> None:
    """From 21:00 to 08:00, the end not included."""
    assert quiet == is_quiet(minute, 21 * 60, 8 * 60)
