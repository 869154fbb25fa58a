"""Every window of every cap counted again: from what callers were told, and from the ledgers' raw bytes.

It shares no code with the policy. Ledgers are read by a reader of its own: 32 bytes of header, then entries of 32
bytes, little endian (time i8, decision u8, end u4 in seconds after the time, offer u4, group, channel and placement u2,
state u1, origin u1), under `takt:{partition}:l:<digest>`; a decision id ends with the same digest.

What callers know of a moment has edges: an event was applied somewhere between its sending and its answer, a contact
was committed somewhere between its decision and its answer. So each contact counts *surely* or only *possibly* at a
moment. A grant is too much if what surely counted is more than the limit; a refusal is unjustified if even what
possibly counted is less. What lies between is counted apart, as open.
"""

from __future__ import annotations

import bisect
import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from takt.catalog.snapshot import Calendar, Cap, Catalog, Counts, Scope, Zone

NEVER = 1 << 62
ENTRY = struct.Struct("<qQIIHHHBB")
HEADER_BYTES = 32
HELD, SHOWN, CLICKED, RELEASED, LATE, SUPPRESSIONS = 0, 1, 2, 3, 8, 16
TAKEN = {"APPLIED", "LATE", "DUPLICATE"}
"""Outcomes after which an event has surely been applied."""
Key = tuple[str, str, str]
"""A contact: decision (16 hexadecimal digits, as the ledger has it), placement, offer."""


@dataclass(slots=True)
class Contact:
    """One offer shown to one person, and when what was known of it."""

    person: str
    decision: str
    placement: str
    channel: str
    offer: str
    time_us: int
    ends_us: int
    told_us: int = NEVER
    """When the first caller had it in hand: it was in the ledger by then."""
    seen_us: tuple[int, int] = (NEVER, NEVER)
    """Confirmed as an impression or click: not before, and surely by."""
    clicked_us: tuple[int, int] = (NEVER, NEVER)
    released_us: tuple[int, int] = (NEVER, NEVER)

    @property
    def key(self) -> Key:
        """Of this contact."""
        return (self.decision, self.placement, self.offer)

    def surely(self, counts: Counts, at_us: int) -> bool:
        """Whether it counts at a moment, whatever the edges."""
        if counts is Counts.DECISION:
            return True
        confirmed = self.seen_us if counts is Counts.IMPRESSION else self.clicked_us
        return confirmed[1] <= at_us or (at_us < self.ends_us and self.released_us[0] > at_us)

    def possibly(self, counts: Counts, at_us: int) -> bool:
        """Whether it may count at a moment."""
        if counts is Counts.DECISION:
            return True
        confirmed = self.seen_us if counts is Counts.IMPRESSION else self.clicked_us
        given_back = self.released_us[1] <= at_us and self.seen_us[0] > at_us
        return confirmed[0] <= at_us or (at_us < self.ends_us and not given_back)


@dataclass(slots=True)
class Recount:
    """Contacts by person, and what was found wrong with them."""

    catalog: Catalog
    contacts: dict[Key, Contact] = field(default_factory=dict)
    channel_of: dict[str, str] = field(init=False)
    """By placement."""
    slots: dict[str, int] = field(init=False)
    """The most offers of a placement."""
    things: dict[tuple[str, str, str], int | None] = field(default_factory=dict)
    """By cap, placement and offer: the index of what the cap counts it under; None if it does not."""
    shelves: dict[tuple[str, str, int], list[Contact]] = field(default_factory=dict)
    """By person, cap and thing, in the order of their times."""

    def __post_init__(self) -> None:
        """Look up what every contact needs."""
        catalog = self.catalog
        self.channel_of = {p.id: catalog.channels[p.channel].id for p in catalog.placements}
        self.slots = {p.id: p.max_offers for p in catalog.placements}
        places = {
            Scope.CHANNEL: {c.id: i for i, c in enumerate(catalog.channels)},
            Scope.PLACEMENT: {p.id: i for i, p in enumerate(catalog.placements)},
            Scope.GROUP: {o.id: o.group for o in catalog.offers},
            Scope.OFFER: {o.id: i for i, o in enumerate(catalog.offers)},
        }
        for cap in catalog.caps:
            for placement, channel in self.channel_of.items():
                for offer in places[Scope.OFFER]:
                    name = {Scope.CHANNEL: channel, Scope.PLACEMENT: placement}.get(cap.scope, offer)
                    index = 0 if cap.scope is Scope.PROFILE else places[cap.scope][name]
                    self.things[cap.id, placement, offer] = index if index >= 0 and cap.keys[index] else None

    def shelve(self) -> None:
        """Sort contacts to the caps that count them. Call it once all are there."""
        self.shelves = defaultdict(list)
        for contact in sorted(self.contacts.values(), key=lambda c: c.time_us):
            for cap in self.catalog.caps:
                thing = self.things[cap.id, contact.placement, contact.offer]
                if thing is not None:
                    self.shelves[contact.person, cap.id, thing].append(contact)

    def units(self, person: str, cap: Cap, thing: int, at_us: int) -> list[Contact]:
        """Contacts that lie in the cap's window that ends at, or contains, a moment; none of later."""
        shelf = self.shelves.get((person, cap.id, thing), [])
        first = bisect.bisect_left(shelf, window_start(cap, at_us, self.catalog.project_zone), key=lambda c: c.time_us)
        return shelf[first : bisect.bisect_right(shelf, at_us, key=lambda c: c.time_us)]

    def over_delivered(self) -> tuple[int, int]:
        """Contacts beyond a limit at the grant of any contact: surely, and possibly besides."""
        sure: dict[tuple[str, str, int], int] = defaultdict(int)
        maybe = 0
        caps = {cap.id: cap for cap in self.catalog.caps}
        for (person, cap_id, thing), shelf in self.shelves.items():
            cap = caps[cap_id]
            for at_us in {contact.time_us for contact in shelf}:
                inside = self.units(person, cap, thing, at_us)
                surely = count(cap, (c for c in inside if c.surely(cap.counts, at_us)))
                possibly = count(cap, (c for c in inside if c.possibly(cap.counts, at_us)))
                sure[person, cap_id, thing] = max(sure[person, cap_id, thing], surely - cap.limit)
                maybe += surely <= cap.limit < possibly
        return sum(max(0, excess) for excess in sure.values()), maybe

    def refusal(self, answer: Mapping[str, Any], placement: str, cap: Cap, offer: str) -> str:
        """`sure`, `open` or `unjustified`: whether the cap was full for this offer at the moment of an answer."""
        thing = self.things.get((cap.id, placement, offer))
        if thing is None:
            return "unjustified"
        at_us, own = answer["at"], answer["decision"][:16]
        place = answer["asked"].index(placement) + (self.slots[placement] > 1)
        behind = set(answer["asked"][place:])  # a second slot is judged after the first is filled
        surely, possibly = [], []
        for contact in self.units(answer["person"], cap, thing, at_us):
            if contact.decision == own:
                # what stands behind was not taken yet, and a second offer of one occasion costs it nothing
                occasion = cap.scope in {Scope.PROFILE, Scope.CHANNEL} and contact.channel == self.channel_of[placement]
                filling = cap.scope is Scope.PLACEMENT and contact.placement == placement
                if contact.placement in behind or occasion or filling:
                    continue
            if contact.possibly(cap.counts, at_us):
                possibly.append(contact)
                mine = contact.decision == own
                if (contact.told_us <= at_us or mine) and contact.surely(cap.counts, at_us):
                    surely.append(contact)
        if count(cap, surely) >= cap.limit:
            return "sure"
        return "open" if count(cap, possibly) >= cap.limit else "unjustified"


def count(cap: Cap, contacts: Iterable[Contact]) -> int:
    """Units: occasions, fillings, or offers shown."""
    if cap.scope in {Scope.PROFILE, Scope.CHANNEL}:
        return len({(c.decision, c.channel, c.time_us) for c in contacts})
    if cap.scope is Scope.PLACEMENT:
        return len({(c.decision, c.placement, c.time_us) for c in contacts})
    return sum(1 for _ in contacts)


def window_start(cap: Cap, at_us: int, project_zone: str) -> int:
    """First moment of the window: a rolling one ends at this moment, a calendar one contains it."""
    if cap.calendar is Calendar.ROLLING:
        return at_us - cap.window_us + 1
    zone = ZoneInfo(cap.zone_name if cap.zone is Zone.NAMED else project_zone)  # nobody's own zone is known
    local = datetime.fromtimestamp(at_us / 1e6, tz=UTC).astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if cap.calendar is Calendar.WEEK:
        midnight -= timedelta(days=midnight.weekday())
    elif cap.calendar is Calendar.MONTH:
        midnight = midnight.replace(day=1)
    return round(midnight.timestamp() * 1_000_000)


def from_told(catalog: Catalog, told: Iterable[Mapping[str, Any]]) -> Recount:
    """What callers were told, and what they reported."""
    made = Recount(catalog)
    events: list[Mapping[str, Any]] = []
    for line in told:
        if line["k"] == "a":
            for placement, channel, offer, time_us, ends_us in line["contacts"]:
                contact = Contact(line["person"], line["decision"][:16], placement, channel, offer, time_us, ends_us)
                known = made.contacts.setdefault(contact.key, contact)
                known.told_us = min(known.told_us, line["got"])
        elif line["k"] == "f":
            events.append(line)
    apply_events(made, events)
    made.shelve()
    return made


def apply_events(made: Recount, events: Iterable[Mapping[str, Any]]) -> None:
    """Note on contacts between which moments they were confirmed or released."""
    by_offer: dict[tuple[str, str], list[Contact]] = defaultdict(list)
    for contact in made.contacts.values():
        by_offer[contact.decision, contact.offer].append(contact)
    for event in events:
        by = event["got"] if event["outcome"] in TAKEN else NEVER
        for contact in by_offer[event["decision"][:16], event["offer"]]:
            if event["type"] == "not_shown":
                contact.released_us = earlier(contact.released_us, event["sent"], by)
            else:
                contact.seen_us = earlier(contact.seen_us, event["sent"], by)
                if event["type"] == "click":
                    contact.clicked_us = earlier(contact.clicked_us, event["sent"], by)


def earlier(known: tuple[int, int], sent_us: int, by_us: int) -> tuple[int, int]:
    """Edges of what may have happened through either of two events."""
    return min(known[0], sent_us), min(known[1], by_us)


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What the ledgers hold, by contact; `states` are as they are at the end, `twice` stand there more than once."""

    recount: Recount
    states: dict[Key, int]
    twice: int


def from_ledgers(catalog: Catalog, raw: Mapping[bytes, bytes], people: Mapping[str, str]) -> Ledgers:
    """Contacts of all ledgers. `raw` is by the digest in the key; `people` names persons by the hex of it.

    Of a contact that was confirmed in time it is known that it always counted; when one that was released, or confirmed
    late, began or ceased to count is not in the ledger, so these count possibly.
    """
    offers = {code(o.id, 4): o.id for o in catalog.offers}
    placements = {code(p.id, 2): p.id for p in catalog.placements}
    channels = {code(c.id, 2): c.id for c in catalog.channels}
    made, states, twice = Recount(catalog), {}, 0
    for digest, ledger in raw.items():
        person = people.get(digest.hex(), digest.hex())
        for start in range(HEADER_BYTES, len(ledger), ENTRY.size):
            time_us, decision, ends_s, offer, _, channel, placement, state, _ = ENTRY.unpack_from(ledger, start)
            if state >= SUPPRESSIONS:
                continue
            contact = Contact(
                person,
                decision.to_bytes(8, "little").hex(),
                placements[placement],
                channels[channel],
                offers[offer],
                time_us,
                time_us + ends_s * 1_000_000,
            )
            last, late = state % 4, bool(state & LATE)
            if last == RELEASED:
                contact.released_us = (time_us, NEVER)
            elif last != HELD:
                by = NEVER if late else contact.ends_us
                contact.seen_us = (time_us, by)
                contact.released_us = (time_us if late else NEVER, NEVER)
                if last == CLICKED:
                    contact.clicked_us = (time_us, by)
            twice += contact.key in made.contacts
            made.contacts[contact.key] = contact
            states[contact.key] = state
    made.shelve()
    return Ledgers(made, states, twice)


def code(name: str, size: int) -> int:
    """How a ledger writes a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=size).digest(), "little") or 1


@dataclass(slots=True)
class Differences:
    """What callers were told, held against the ledgers."""

    lost: int = 0
    """Contacts that a caller was told of and no ledger has."""
    untold: int = 0
    """Contacts in a ledger that nobody was told of."""
    moved: int = 0
    """Contacts of which time, channel or end of the hold differ."""
    unconfirmed: int = 0
    """Contacts whose confirmation was acknowledged and that do not bear it."""


def compare(told: Recount, ledgers: Ledgers) -> Differences:
    """All differences, one by one."""
    found = Differences()
    for key, contact in told.contacts.items():
        kept = ledgers.recount.contacts.get(key)
        if kept is None:
            found.lost += 1
            continue
        found.moved += (contact.person, contact.channel, contact.time_us, contact.ends_us) != (
            kept.person,
            kept.channel,
            kept.time_us,
            kept.ends_us,
        )
        last = ledgers.states[key] % 4
        shown, clicked = contact.seen_us[1] != NEVER, contact.clicked_us[1] != NEVER
        found.unconfirmed += (shown and last not in {SHOWN, CLICKED}) or (clicked and last != CLICKED)
    found.untold = len(ledgers.recount.contacts.keys() - told.contacts.keys())
    return found


def granted_twice(told: Iterable[Mapping[str, Any]]) -> int:
    """Ids that got two different final answers."""
    first: dict[str, str] = {}
    different: set[str] = set()
    for line in told:
        if line["k"] == "a" and not line["causes"]:
            answer = line["decision"][:16] + line["digest"]
            if first.setdefault(line["id"], answer) != answer:
                different.add(line["id"])
    return len(different)


@dataclass(slots=True)
class Refusals:
    """Refusals by caps, offer by offer, judged again."""

    kinds: dict[str, int] = field(default_factory=lambda: {"sure": 0, "open": 0, "unjustified": 0})
    by_cap: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: list[str] = field(default_factory=list)


def judge(recount: Recount, told: Iterable[Mapping[str, Any]]) -> Refusals:
    """Every refusal of every final answer, once per id."""
    caps = {cap.id: cap for cap in recount.catalog.caps}
    found = Refusals()
    done: set[str] = set()
    for line in told:
        if line["k"] != "a" or line["causes"] or not line["caps"] or line["id"] + line["digest"] in done:
            continue
        done.add(line["id"] + line["digest"])
        kinds: dict[tuple[str, str, int | None], str] = {}
        for placement, _, rule, offers in line["caps"]:
            for offer in offers:
                # offers that a cap counts together share their verdict
                thing = (placement, rule, recount.things.get((rule, placement, offer)))
                if thing not in kinds:
                    kinds[thing] = recount.refusal(line, placement, caps[rule], offer)
                kind = kinds[thing]
                found.kinds[kind] += 1
                found.by_cap[rule] += 1
                if kind == "unjustified" and len(found.examples) < 5:
                    found.examples.append(f"{line['id']} of {line['person']}: {offer} at {placement} by {rule}")
    return found
