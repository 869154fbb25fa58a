"""The contact policy once more, slow and obvious, written from docs/contact-policy.md. Times are microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

HELD, SHOWN, CLICKED, RELEASED = "held", "shown", "clicked", "released"
ORDER: Final = {
    "NO_CONSENT": 60,
    "DUPLICATE": 61,  # judged before all timings
    "TIMING_NOT_ALLOWED": 90,
    "TIMING_PASSED": 100,
    "SUPPRESSED": 110,
    "QUIET_HOURS": 120,
    "LEDGER_FULL": 130,
    "MINIMUM_GAP": 140,
    "CAP_PROFILE": 150,
    "CAP_CHANNEL": 160,
    "CAP_PLACEMENT": 170,
    "CAP_GROUP": 180,
    "CAP_OFFER": 190,
}
DAY: Final = 86_400_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Why(NamedTuple):
    """A reason, and the cap behind it."""

    reason: str
    cap: str = ""


@dataclass(frozen=True)
class Cap:
    """At most `limit` contacts per window."""

    id: str
    scope: str
    limit: int
    window: int | str
    """A length, or `day`, `week` or `month`."""
    zone: str
    """`customer`, `project` or a name."""
    counts: str
    of: frozenset[str]
    """Which channels, placements, groups or offers are counted, each for itself."""


@dataclass(frozen=True)
class Channel:
    """A channel. Quiet hours in minutes of the day."""

    gap: int = 0
    quiet: tuple[int, int] | None = None


@dataclass(frozen=True)
class Timing:
    """A slot; `start` None is this very moment, which lasts for `lasts`."""

    start: int | None = None
    end: int = 0
    day: int = 0
    weekdays: tuple[int, ...] = ()
    lasts: int = 0


@dataclass(frozen=True)
class Placement:
    """A placement."""

    channel: str
    slots: int
    hold: int
    timings: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """All that is declared."""

    project_zone: str
    gap: int
    channels: dict[str, Channel]
    timings: dict[str, Timing]
    placements: dict[str, Placement]
    offers: dict[str, str]
    """Offer to group, empty for none."""
    caps: tuple[Cap, ...]
    max_entries: int
    keep: int
    late: int
    """How long a contact whose hold ended unconfirmed can be confirmed in any case."""

    @property
    def lapsed(self) -> int:
        """How long such a contact is kept in any case: as long as anything looks back on it."""
        spans = {"day": 2 * DAY, "week": 8 * DAY, "month": 32 * DAY}
        reach = [spans.get(str(cap.window), cap.window) for cap in self.caps if cap.counts == "decision"]
        longest = max([int(span) for span in reach] + [self.gap] + [channel.gap for channel in self.channels.values()])
        return min(self.keep, max(self.late, longest + DAY if longest else 0))


@dataclass(frozen=True)
class Contact:
    """One offer that was shown, or will be."""

    moment: int
    ends: int
    decision: str
    offer: str
    group: str
    channel: str
    placement: str
    state: str = HELD


@dataclass(frozen=True)
class Suppression:
    """An offer or a group that shall not come back before `ends`; None for good."""

    scope: str
    offer: str
    group: str
    ends: int | None


@dataclass
class Book:
    """Everything that is known of one person."""

    zone: str = ""
    consents: set[str] = field(default_factory=set)
    contacts: list[Contact] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)

    def copy(self) -> Book:
        """The same again, to be changed."""
        return Book(self.zone, set(self.consents), list(self.contacts), list(self.suppressions))


def local(moment: int, zone: str) -> datetime:
    """A moment on the wall."""
    return (EPOCH + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))


def from_wall(day: date, minute: int, zone: str) -> int:
    """A minute of a local day."""
    if minute == 24 * 60:
        day, minute = day + timedelta(days=1), 0
    wall = datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(zone))
    return (wall.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def zone_of(policy: Policy, book: Book) -> str:
    """Where the customer lives, as far as anybody knows."""
    return book.zone or policy.project_zone


def span(policy: Policy, book: Book, name: str, now: int) -> tuple[int, int] | None:
    """From when to when a contact in a slot may be made; None if the slot is over."""
    timing = policy.timings[name]
    if timing.start is None:
        return now, now + timing.lasts
    zone = zone_of(policy, book)
    for ahead in range(8 if timing.weekdays else 1):
        day = local(now, zone).date() + timedelta(days=timing.day + ahead)
        end = from_wall(day, timing.end, zone)
        if end > now and (not timing.weekdays or day.weekday() in timing.weekdays):
            return max(now, from_wall(day, timing.start, zone)), end
    return None


def counts(contact: Contact, event: str, now: int) -> bool:
    """Whether a contact counts for a cap on decisions, impressions or clicks."""
    held = now < contact.ends
    return {
        "decision": True,
        "impression": contact.state in {SHOWN, CLICKED} or (contact.state == HELD and held),
        "click": contact.state == CLICKED or (contact.state in {HELD, SHOWN} and held),
    }[event]


def lapsed(policy: Policy, contact: Contact, now: int) -> bool:
    """Whether a contact may be dropped because nobody confirmed it in time, and nothing looks back on it."""
    return contact.state in {HELD, RELEASED} and contact.ends < now - policy.lapsed


def unit(contact: Contact, scope: str, number: int) -> object:
    """What makes two contacts one for a scope."""
    return {
        "profile": (contact.decision, contact.channel, contact.moment),
        "channel": (contact.decision, contact.channel, contact.moment),
        "placement": (contact.decision, contact.placement, contact.moment),
    }.get(scope, number)


def key_of(contact: Contact, scope: str) -> str:
    """Whose count a contact adds to."""
    named = {"channel": contact.channel, "placement": contact.placement, "group": contact.group, "offer": contact.offer}
    return named.get(scope, "")


def page_of(moment: int, window: str, zone: str) -> tuple[int, ...]:
    """The page of the calendar that a moment is on."""
    wall = local(moment, zone)
    return {
        "day": (wall.year, wall.month, wall.day),
        "week": wall.isocalendar()[:2],
        "month": (wall.year, wall.month),
    }[window]


def fullest(policy: Policy, book: Book, cap: Cap, *, key: str, moment: int, now: int) -> int:
    """How many contacts of a key are counted in the fullest window that contains the moment."""
    found = {
        unit(contact, cap.scope, number): contact.moment
        for number, contact in enumerate(book.contacts)
        if key_of(contact, cap.scope) == key and counts(contact, cap.counts, now)
    }
    times = list(found.values())
    if isinstance(cap.window, str):
        zone = {"customer": zone_of(policy, book), "project": policy.project_zone}.get(cap.zone, cap.zone)
        page = page_of(moment, cap.window, zone)
        return sum(page == page_of(t, cap.window, zone) for t in times)
    starts = [s for s in [moment, *times] if moment - cap.window < s <= moment]
    return max(sum(s <= t < s + cap.window for t in times) for s in starts)


def all_of(policy: Policy, book: Book, contact: Contact, now: int) -> list[Why]:
    """Every reason for which a contact may not be made, on its channel's consent and what happened so far."""
    found: list[Why] = []
    if any(
        (s.ends is None or contact.moment < s.ends)
        and (s.offer == contact.offer if s.scope == "offer" else s.group == contact.group)
        for s in book.suppressions
    ):
        found.append(Why("SUPPRESSED"))
    channel = policy.channels[contact.channel]
    if channel.quiet:
        wall = local(contact.moment, zone_of(policy, book))
        first, last = channel.quiet
        minute = wall.hour * 60 + wall.minute
        if first <= minute < last if first < last else (minute >= first or minute < last):
            found.append(Why("QUIET_HOURS"))
    oldest = now - policy.keep
    kept = [c for c in book.contacts if c.ends >= oldest and not lapsed(policy, c, now)]
    standing = [s for s in book.suppressions if s.ends is None or s.ends >= oldest]
    if len(kept) + len(standing) >= policy.max_entries:
        found.append(Why("LEDGER_FULL"))
    mine = [c for c in book.contacts if c.decision == contact.decision and c.moment == contact.moment]
    same_occasion = any(c.channel == contact.channel for c in mine)
    same_filling = any(c.placement == contact.placement for c in mine)
    if not same_occasion:
        for other in book.contacts:
            gap = max(channel.gap, policy.gap) if other.channel == contact.channel else policy.gap
            if other.state != RELEASED and abs(other.moment - contact.moment) < gap:
                found.append(Why("MINIMUM_GAP"))
    for cap in policy.caps:
        key = key_of(contact, cap.scope)
        free = same_occasion if cap.scope in {"profile", "channel"} else same_filling and cap.scope == "placement"
        if free or (cap.scope != "profile" and key not in cap.of):
            continue
        if fullest(policy, book, cap, key=key, moment=contact.moment, now=now) >= cap.limit:
            found.append(Why(f"CAP_{cap.scope.upper()}", cap.id))
    return found


def contact_at(
    policy: Policy, book: Book, *, decision: str, placement: str, offer: str, timing: str, now: int
) -> Contact | None:
    """The contact that an offer in a slot would be; None if the slot is over."""
    declared = policy.placements[placement]
    found = span(policy, book, timing, now)
    if found is None:
        return None
    moment, until = found
    seconds = (until - moment + declared.hold) // 1_000_000
    ends = moment + seconds * 1_000_000
    return Contact(moment, ends, decision, offer, policy.offers[offer], declared.channel, placement)


def judge(
    policy: Policy, book: Book, *, decision: str, placement: str, offer: str, timing: str, now: int
) -> Why | None:
    """The first reason, in the order of judgement, for which an offer cannot be had in one slot; None if it can."""
    if timing not in policy.placements[placement].timings:
        return Why("TIMING_NOT_ALLOWED")
    contact = contact_at(policy, book, decision=decision, placement=placement, offer=offer, timing=timing, now=now)
    if contact is None:
        return Why("TIMING_PASSED")
    return min(all_of(policy, book, contact, now), key=lambda why: ORDER[why.reason], default=None)


def verdict(
    policy: Policy, book: Book, *, decision: str, placement: str, offer: str, timings: frozenset[str], now: int
) -> Why | None:
    """Why an offer cannot be had at all: the reason that came furthest of all its slots'; None if it can be had."""
    whys: list[Why] = []
    for timing in policy.timings:
        why = judge(policy, book, decision=decision, placement=placement, offer=offer, timing=timing, now=now)
        if timing not in timings:
            why = Why("TIMING_NOT_ALLOWED")
        if why is None:
            return None
        whys.append(why)
    return max(whys, key=lambda why: ORDER[why.reason])


def confirm(book: Book, decision: str, offer: str, event: str, now: int) -> str:
    """Apply an impression, click or release to contacts; what became of it."""
    outcome = "ORPHAN"
    for at, contact in enumerate(book.contacts):
        if contact.decision != decision or offer not in {"", contact.offer}:
            continue
        after = contact.state
        if event == CLICKED or (event == SHOWN and contact.state != CLICKED):
            after = event
        elif event == RELEASED and contact.state == HELD:
            after = RELEASED
        lapsed = contact.state == RELEASED or contact.ends <= now
        late = lapsed and after != contact.state and event != RELEASED
        if late:
            outcome = "LATE"
        elif outcome == "ORPHAN":
            outcome = "APPLIED"
        book.contacts[at] = replace(contact, state=after)
    return outcome


def suppress(book: Book, new: Suppression) -> None:
    """Suppress something; of two that are alike the one that lasts longer stands."""
    for at, old in enumerate(book.suppressions):
        if (old.scope, old.offer, old.group) == (new.scope, new.offer, new.group):
            if old.ends is not None and (new.ends is None or new.ends > old.ends):
                book.suppressions[at] = new
            return
    book.suppressions.append(new)
