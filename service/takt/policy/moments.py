"""What the clock says in one customer's zone: timing slots, calendar windows, quiet hours.

All three change only on whole minutes, so a table is computed once per zone and minute and then shared by every batch.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.catalog.snapshot import Calendar, Zone
from takt.clock import MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from takt.catalog.snapshot import Cap, Catalog, Timing

FOREVER_US = np.iinfo(np.int64).max
KEPT = 4096
"""Tables kept before the cache is emptied: some 600 zones times a few minutes."""


class Moments(Struct, frozen=True):
    """One zone in one minute. Arrays: timings T, caps C, channels H."""

    not_before_us: npt.NDArray[np.int64]
    """int64 [T]: start of the slot; where it has begun, or is `now`, 0: it starts at the decision."""
    not_after_us: npt.NDArray[np.int64]
    """int64 [T]: end of the slot; for `now` the decision plus this many microseconds, stored negative."""
    open: npt.NDArray[np.bool_]
    """bool [T]: the slot still lies ahead or is under way."""
    window_us: npt.NDArray[np.int64]
    """int64 [C, T, 2]: a calendar cap's window that contains the slot's moment, half-open; zeros for a rolling cap."""
    quiet: npt.NDArray[np.bool_]
    """bool [H, T]: the slot's moment lies in the channel's quiet hours."""
    hour: int
    weekday: int
    """Local hour (0 to 23) and weekday (Monday = 0)."""


def epoch_us(moment: datetime) -> int:
    """Microseconds since the epoch of an aware moment on a whole second."""
    return int(moment.timestamp()) * SECOND_US


def at_minute(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """Local `day` at `minute` of the day (1440 = the next midnight). A time skipped by DST is read as much later."""
    if minute >= 24 * 60:
        day, minute = day + timedelta(days=1), minute - 24 * 60
    wall = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return wall.astimezone(UTC).astimezone(zone)  # a wall time that was skipped would stay as it is


def slot(timing: Timing, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Start and end of a slot for `now`, local in `zone`; None when it has passed. One under way began in the past."""
    first = now.date() + timedelta(days=timing.day_offset)
    for ahead in range(8 if timing.weekdays else 1):
        day = first + timedelta(days=ahead)
        if timing.weekdays and day.weekday() not in timing.weekdays:
            continue
        start, end = at_minute(day, timing.from_minute, zone), at_minute(day, timing.to_minute, zone)
        if end.timestamp() > now.timestamp():
            return start, end
    return None


def calendar_window(calendar: Calendar, moment: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The day, week or month in `zone` that contains a moment, half-open, in microseconds; exact across DST.

    `EVER` is from 0 to the end of time.
    """
    if calendar == Calendar.EVER:
        return 0, FOREVER_US
    day = moment.astimezone(zone).date()
    if calendar == Calendar.WEEK:
        day -= timedelta(days=day.weekday())
        until = day + timedelta(days=7)
    elif calendar == Calendar.MONTH:
        day = day.replace(day=1)
        until = (day + timedelta(days=31)).replace(day=1)
    else:
        until = day + timedelta(days=1)
    return epoch_us(at_minute(day, 0, zone)), epoch_us(at_minute(until, 0, zone))


def is_quiet(minute: int, from_minute: int, to_minute: int) -> bool:
    """Whether a minute of the local day lies in quiet hours, which may run past midnight. -1 = none."""
    if from_minute < 0:
        return False
    if from_minute <= to_minute:
        return from_minute <= minute < to_minute
    return minute >= from_minute or minute < to_minute


def cap_zone(cap: Cap, customer: ZoneInfo, project: ZoneInfo) -> ZoneInfo:
    """The zone in which a cap's calendar window is reckoned."""
    if cap.zone == Zone.NAMED:
        return ZoneInfo(cap.zone_name)
    return project if cap.zone == Zone.PROJECT else customer


def moments(catalog: Catalog, zone_name: str, minute_us: int) -> Moments:
    """The table of one zone (empty = the project's) for the minute that starts at `minute_us`."""
    project = ZoneInfo(catalog.project_zone)
    customer = ZoneInfo(zone_name) if zone_name else project
    now = datetime.fromtimestamp(minute_us // SECOND_US, UTC).astimezone(customer)
    n_timings, n_caps = len(catalog.timings), len(catalog.caps)
    not_before = np.zeros(n_timings, np.int64)
    not_after = np.zeros(n_timings, np.int64)
    is_open = np.zeros(n_timings, np.bool_)
    window = np.zeros((n_caps, n_timings, 2), np.int64)
    quiet = np.zeros((len(catalog.channels), n_timings), np.bool_)
    for t, timing in enumerate(catalog.timings):
        moment = now
        if timing.from_minute < 0:
            is_open[t], not_after[t] = True, -timing.valid_us
        else:
            span = slot(timing, now, customer)
            if span is None:
                continue
            start, end = span
            is_open[t], not_after[t] = True, epoch_us(end)
            if start.timestamp() > now.timestamp():
                moment, not_before[t] = start, epoch_us(start)
        for c, cap in enumerate(catalog.caps):
            if cap.calendar != Calendar.ROLLING:
                window[c, t] = calendar_window(cap.calendar, moment, cap_zone(cap, customer, project))
        local = moment.astimezone(customer)
        minute = local.hour * 60 + local.minute
        for h, channel in enumerate(catalog.channels):
            quiet[h, t] = is_quiet(minute, channel.quiet_from_minute, channel.quiet_to_minute)
    return Moments(not_before, not_after, is_open, window, quiet, now.hour, now.weekday())


class MomentTables:
    """Moments of one catalog by zone and minute, computed once each. Used by one thread."""

    def __init__(self, catalog: Catalog) -> None:
        """Start empty; a new catalog gets new tables."""
        self._catalog = catalog
        self._kept: dict[tuple[str, int], Moments] = {}

    def at(self, zone_name: str, now_us: int) -> Moments:
        """The table that holds at `now_us` in a zone (empty = the project's)."""
        minute_us = now_us - now_us % MINUTE_US
        key = (zone_name, minute_us)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[key] = moments(self._catalog, zone_name, minute_us)
        return found
