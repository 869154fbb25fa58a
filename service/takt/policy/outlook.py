"""How much of a cap is used, and when the next contact becomes possible: for people who ask, in plain Python.

The kernels of `takt.policy.contacts` say the same of one moment; here the moment is looked for.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from takt.catalog.snapshot import Counts, Scope
from takt.domain.ledger import EntryState
from takt.policy.moments import FOREVER_US

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from takt.policy.contacts import Contacts


class Unit(NamedTuple):
    """What a cap counts: an occasion, a filling or an entry."""

    time_us: int
    until_us: int
    """It counts before this moment; `FOREVER_US` unless it is a hold that is waiting to be confirmed."""


class Outlook(NamedTuple):
    """How a cap stands at one moment."""

    counted: int
    """Units in the window that the next contact is judged by."""
    held: int
    """Those of them that stop counting unless they are confirmed."""
    start_us: int
    end_us: int
    """The window that contains the moment; a rolling one has just this end."""
    next_us: int
    """The first moment, not before now, at which one more contact fits if nothing else happens; `FOREVER_US`: never."""


def until_us(state: int, ends_us: int, counts: int) -> int:
    """Until when an entry counts for a cap on `counts`; 0 if it does not count at all."""
    if state >= EntryState.SUPPRESS_OFFER:
        return 0
    if counts == Counts.DECISION:
        return FOREVER_US
    if state == EntryState.RELEASED:
        return 0
    return FOREVER_US if state >= counts else ends_us


def units_of(contacts: Contacts, scope: int, key: int, counts: int) -> list[Unit]:
    """Units of one key of a scope among `contacts` (`takt.policy.contacts.CONTACT` [n])."""
    column = {Scope.CHANNEL: "channel", Scope.PLACEMENT: "placement", Scope.GROUP: "group", Scope.OFFER: "offer"}
    found: dict[Hashable, Unit] = {}
    for i, entry in enumerate(contacts):
        until = until_us(int(entry["state"]), int(entry["ends_us"]), counts)
        if not until or (scope != Scope.PROFILE and entry[column[Scope(scope)]] != key):
            continue
        time_us, decision = int(entry["time_us"]), int(entry["decision"])
        unit: Hashable = i
        if scope in (Scope.PROFILE, Scope.CHANNEL):
            unit = (decision, time_us, int(entry["channel"]))
        elif scope == Scope.PLACEMENT:
            unit = (decision, time_us)
        before = found.get(unit)
        found[unit] = Unit(time_us, max(until, before.until_us) if before else until)
    return list(found.values())


def outlook(
    units: Sequence[Unit], *, limit: int, rolling_us: int, window: Callable[[int], tuple[int, int]], now_us: int
) -> Outlook:
    """How a cap of `limit` stands. `window` is asked only where `rolling_us` is 0."""
    inside = _judged(units, now_us, rolling_us, window)
    start_us, end_us = (now_us - rolling_us, now_us) if rolling_us else window(now_us)
    return Outlook(
        counted=len(inside),
        held=sum(unit.until_us < FOREVER_US for unit in inside),
        start_us=start_us,
        end_us=end_us,
        next_us=next_us(units, limit=limit, rolling_us=rolling_us, window=window, now_us=now_us),
    )


def next_us(
    units: Sequence[Unit], *, limit: int, rolling_us: int, window: Callable[[int], tuple[int, int]], now_us: int
) -> int:
    """The first moment from `now_us` on at which a cap of `limit` has room; `FOREVER_US` if it never has.

    Room appears only where a unit leaves the window, a hold lapses or a calendar window begins, so only those moments
    are tried.
    """
    if limit <= 0:
        return FOREVER_US
    moments = {unit.until_us for unit in units}
    if rolling_us:
        moments |= {unit.time_us + rolling_us for unit in units}
    else:
        last = max((unit.time_us for unit in units), default=now_us)
        end = window(now_us)[1]
        moments.add(end)
        while end <= last:
            end = window(end)[1]
            moments.add(end)
    for moment in [now_us, *sorted(m for m in moments if now_us < m < FOREVER_US)]:
        if len(_judged(units, moment, rolling_us, window)) < limit:
            return moment
    return FOREVER_US


def _judged(
    units: Sequence[Unit], moment_us: int, rolling_us: int, window: Callable[[int], tuple[int, int]]
) -> list[Unit]:
    """The units that a contact at a moment is judged by: those of the fullest window that contains it."""
    alive = sorted(unit for unit in units if moment_us < unit.until_us)
    times = [unit.time_us for unit in alive]
    if not rolling_us:
        start, end = window(moment_us)
        return alive[bisect_left(times, start) : bisect_left(times, end)]
    # a fullest window can be slid right until it starts at a unit or at the moment
    starts = [moment_us, *(time for time in times if moment_us - rolling_us < time <= moment_us)]
    spans = [(bisect_left(times, start), bisect_left(times, start + rolling_us)) for start in starts]
    first, last = max(spans, key=lambda span: span[1] - span[0])
    return alive[first:last]
