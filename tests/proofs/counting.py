"""The proof's own count of contacts, from the answers alone, held against the caps as they are declared.

It shares no code with the policy: a plain reading of what a cap says, over every window there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from takt.catalog.snapshot import Calendar, Cap, Catalog, Scope, Zone
from takt.v1 import decision_pb2

CUSTOMERS_ZONE = "America/New_York"
"""The zone of every household of the demo."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One offer of one answer."""

    profile: str
    decision: str
    channel: str
    placement: str
    offer: str
    moment_us: int
    """When it may be shown from on: the moment at which it counts."""


@dataclass(slots=True)
class Count:
    """Every contact of every answer that was given; an answer given twice is one."""

    shown: set[Shown] = field(default_factory=set)

    def add(self, answers: Iterable[decision_pb2.DecideResponse]) -> None:
        """Count real answers."""
        self.shown |= {one for answer in answers if not answer.dry_run for one in contacts(answer)}

    def over_delivered(self, catalog: Catalog) -> int:
        """By how many contacts caps are exceeded, summed over caps, people and things; 0 is what was promised."""
        return sum(max(0, most - cap.limit) for cap in catalog.caps for most in self.most(catalog, cap).values())

    def reached(self, catalog: Catalog) -> list[str]:
        """Caps that are full for somebody."""
        return [cap.id for cap in catalog.caps if any(m >= cap.limit for m in self.most(catalog, cap).values())]

    def fullest_of(self, catalog: Catalog, cap: Cap, profile: str) -> int:
        """The fullest window of one person, over all things that the cap counts."""
        return max((most for (whom, _), most in self.most(catalog, cap).items() if whom == profile), default=0)

    def most(self, catalog: Catalog, cap: Cap) -> dict[tuple[str, Hashable], int]:
        """The fullest window of each person and thing that the cap counts for itself."""
        things: dict[tuple[str, Hashable], set[tuple[Hashable, int]]] = defaultdict(set)
        for one in self.shown:
            thing = _thing(catalog, cap, one)
            if thing is not None:
                # what makes one: an occasion, a filling, an offer shown
                unit: dict[Scope, Hashable] = {
                    Scope.PROFILE: (one.decision, one.channel, one.moment_us),
                    Scope.CHANNEL: (one.decision, one.channel, one.moment_us),
                    Scope.PLACEMENT: (one.decision, one.placement, one.moment_us),
                    Scope.GROUP: (one.decision, one.placement, one.offer, one.moment_us),
                    Scope.OFFER: (one.decision, one.placement, one.offer, one.moment_us),
                }
                things[one.profile, thing].add((unit[cap.scope], one.moment_us))
        return {
            thing: fullest(sorted(moment for _, moment in units), cap, catalog.project_zone)
            for thing, units in things.items()
        }


def contacts(answer: decision_pb2.DecideResponse) -> list[Shown]:
    """Every offer of an answer."""
    return [
        Shown(
            answer.profile_id,
            answer.decision_id,
            offer.channel,
            placement.placement,
            offer.offer,
            offer.timing.not_before.ToMicroseconds(),
        )
        for placement in answer.placements
        for offer in placement.offers
    ]


def fullest(moments_us: Sequence[int], cap: Cap, project_zone: str) -> int:
    """The most of these ascending moments that lie in one window of the cap."""
    if cap.calendar is Calendar.ROLLING:
        return max(sum(1 for m in moments_us if start <= m < start + cap.window_us) for start in moments_us)
    zone = {Zone.CUSTOMER: CUSTOMERS_ZONE, Zone.PROJECT: project_zone, Zone.NAMED: cap.zone_name}[cap.zone]
    windows: dict[Hashable, int] = defaultdict(int)
    for moment in moments_us:
        local = datetime.fromtimestamp(moment / 1e6, tz=UTC).astimezone(ZoneInfo(zone))
        week = local.isocalendar()
        windows[
            {
                Calendar.DAY: local.date(),
                Calendar.WEEK: (week.year, week.week),
                Calendar.MONTH: (local.year, local.month),
            }[cap.calendar]
        ] += 1
    return max(windows.values())


def _thing(catalog: Catalog, cap: Cap, one: Shown) -> Hashable | None:
    """What the cap counts this contact under; None if it does not."""
    if cap.scope is Scope.PROFILE:
        return "person"
    offers = [offer.id for offer in catalog.offers]
    index = {
        Scope.CHANNEL: lambda: [channel.id for channel in catalog.channels].index(one.channel),
        Scope.PLACEMENT: lambda: [placement.id for placement in catalog.placements].index(one.placement),
        Scope.GROUP: lambda: catalog.offers[offers.index(one.offer)].group,
        Scope.OFFER: lambda: offers.index(one.offer),
    }[cap.scope]()
    return index if index >= 0 and cap.keys[index] else None
