"""A real engine and the reference side by side: random policies as catalogs, and what each made of the same events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import yaml
from msgspec.structs import replace

from takt.catalog import snapshot
from takt.catalog.workspace import load_workspace
from takt.clock import ManualClock
from takt.domain.decision import (
    Decision,
    PlacementDecision,
    RankedOffer,
    decision_id,
    ledger_code,
    person_address,
)
from takt.domain.feedback import FeedbackEvent
from takt.domain.ledger import EMPTY, code16, code32
from takt.domain.profile import ProfilePut
from takt.domain.reasons import Status
from takt.domain.request import DecideRequest, Explain, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.feedback import Feedback
from takt.engine.force import force
from takt.engine.profiles import Profiles
from takt.features.layout import layout_json
from takt.memory.ledger import Ledger
from takt.memory.store import MemoryStore
from takt.model.prior import ConstantScorer
from takt.ports import Group, NullMeter, Outcome
from tests.unit.decisionlog.slow_writing import CheckedCodec
from tests.unit.policy import reference
from tests.unit.policy.reference import Book, Contact, Policy, Suppression

MINUTE: Final = 60_000_000
DAY: Final = 1440 * MINUTE
OFFERS: Final = {"coat": "clothes", "hat": "clothes", "lamp": "home", "toy": ""}
CHANNELS: Final = ("web", "email")
PLACEMENTS: Final = {"hero": ("web", 1), "row": ("web", 3), "letter": ("email", 2)}
TIMINGS: Final = ("now", "tonight", "later")
ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
LIVE: Final = {"OUTRANKED", "NOT_DRAWN"}
"""What the engine says of offers that could have been had."""
REMEMBERED: Final = 15 * MINUTE
EVENTS: Final = {
    "impression": reference.SHOWN,
    "click": reference.CLICKED,
    "not_shown": reference.RELEASED,
    "reject": "",
    "complaint": "",
    "purchase": reference.CLICKED,
}
SUPPRESSING: Final = {"reject": ("offer", 2 * DAY), "complaint": ("group", None), "purchase": ("group", 180 * MINUTE)}


@cache
def base() -> snapshot.Catalog:
    """The catalog that random policies are written into."""
    features = {
        "person": {"time_zones": list(ZONES), "locales": ["en-GB"], "consents": list(CHANNELS)},
        "profile": [{"name": "visits", "type": "int", "default": 0}],
        "offer": [{"name": "price", "type": "float", "min": 0}],
    }
    templates = {"channels": list(CHANNELS), "tonalities": ["factual"], "locales": ["en-GB"], "content": "{offer}"}
    catalog = {
        "name": "random",
        "time_zone": "Europe/Berlin",
        "locale": "en-GB",
        "channels": [{"id": name, "consent": name} for name in CHANNELS],
        "tonalities": ["factual"],
        "timings": [
            {"id": "now"},
            {"id": "tonight", "from": "18:00", "to": "21:00"},
            {"id": "later", "from": "02:30", "to": "06:00", "day": 1},
        ],
        "groups": ["clothes", "home"],
        "placements": [
            {"id": name, "channel": channel, "max_offers": slots, "timings": list(TIMINGS)}
            for name, (channel, slots) in PLACEMENTS.items()
        ],
        "offers": [{"id": o, "value": 10, **({"group": group} if group else {})} for o, group in OFFERS.items()],
        "treatment_templates": [{**templates, "id": "{offer}-{channel}-{tonality}-{address}-{locale}"}],
        "events": [
            {"id": "reject", "suppress": {"scope": "offer", "for": "2d"}},
            {"id": "complaint", "suppress": {"scope": "group"}},
            {"id": "purchase", "suppress": {"scope": "group", "for": "3h"}},
        ],
        "exploration": {"rule": "epsilon", "epsilon": 1.0, "silence_floor": 0.05, "arms": {"epsilon": 1.0}},
    }
    with TemporaryDirectory() as directory:
        (Path(directory) / "features.yaml").write_text(yaml.safe_dump(features))
        (Path(directory) / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        return load_workspace(Path(directory))


def cap_of(cap: reference.Cap) -> snapshot.Cap:
    """A cap as the catalog has it."""
    scope = snapshot.Scope[cap.scope.upper()]
    things = {
        snapshot.Scope.CHANNEL: CHANNELS,
        snapshot.Scope.PLACEMENT: tuple(PLACEMENTS),
        snapshot.Scope.GROUP: ("clothes", "home"),
        snapshot.Scope.OFFER: tuple(OFFERS),
    }
    keys = [name in cap.of for name in things[scope]] if scope in things else [True]
    rolling = isinstance(cap.window, int)
    named = cap.zone not in {"customer", "project"}
    return snapshot.Cap(
        id=cap.id,
        scope=scope,
        limit=cap.limit,
        window_us=int(cap.window) if rolling else 0,
        calendar=snapshot.Calendar.ROLLING if rolling else snapshot.Calendar[str(cap.window).upper()],
        zone=snapshot.Zone.NAMED if named else snapshot.Zone[cap.zone.upper()],
        zone_name=cap.zone if named else "",
        counts=snapshot.Counts[cap.counts.upper()],
        keys=np.array(keys, np.bool_),
    )


def catalog_of(policy: Policy) -> snapshot.Catalog:
    """A policy as the catalog has it."""
    made = base()
    quiet = {name: channel.quiet or (-1, -1) for name, channel in policy.channels.items()}
    return replace(
        made,
        project_zone=policy.project_zone,
        gap_us=policy.gap,
        channels=tuple(
            replace(
                c,
                gap_us=policy.channels[c.id].gap,
                quiet_from_minute=quiet[c.id][0],
                quiet_to_minute=quiet[c.id][1],
            )
            for c in made.channels
        ),
        timings=tuple(
            snapshot.Timing(name, t.day, -1 if t.start is None else t.start, t.end, t.weekdays, t.lasts)
            for name, t in policy.timings.items()
        ),
        placements=tuple(replace(p, hold_us=policy.placements[p.id].hold) for p in made.placements),
        placement_timings=np.array(
            [[t in policy.placements[p.id].timings for t in policy.timings] for p in made.placements], np.bool_
        ),
        caps=tuple(cap_of(cap) for cap in policy.caps),
        max_entries=policy.max_entries,
        keep_us=policy.keep,
        late_us=policy.late,
    )


class InterruptedStore(MemoryStore):
    """A store in memory in which something may happen between a read and the commit that follows."""

    happens: Callable[[], None] | None = None

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """Let it happen, once."""
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return super().commit(groups)


@dataclass
class Asked:
    """A request that was answered, and what it was for."""

    request: DecideRequest
    answer: Decision


@dataclass
class World:
    """Two engines on one store, and the reference."""

    policy: Policy
    clock: ManualClock
    store: InterruptedStore = field(init=False)
    engines: tuple[Engine, Engine] = field(init=False)
    books: dict[str, Book] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    events: list[tuple[FeedbackEvent, str, int]] = field(default_factory=list)
    """What was told, of whom, and when."""
    made: int = 0

    def __post_init__(self) -> None:
        self.store = InterruptedStore(self.clock)
        in_force, codec = force(catalog_of(self.policy), ConstantScorer(0.1)), CheckedCodec()
        one, other = (
            Engine(
                in_force,
                self.store,
                codec,
                prior=ConstantScorer(0.1),
                clock=self.clock,
                meter=NullMeter(),
                service_version="0",
            )
            for _ in range(2)
        )
        self.engines = one, other
        self.profiles = Profiles(one, self.store, clock=self.clock, make_id=lambda: "unused")
        self.feedback = Feedback(one, self.store, codec, clock=self.clock)
        spec = in_force.catalog.spec
        self.store.register_layout(spec.layout_fingerprint, layout_json(spec))
        for person, zone in (("ann", "Europe/Berlin"), ("ben", "")):
            self.profiles.put([ProfilePut(person, consents=dict.fromkeys(CHANNELS, True), time_zone=zone)])
            self.books[person] = Book(zone, set(CHANNELS))

    def move(self, person: str, zone: str) -> None:
        """Somebody moves."""
        self.profiles.put([ProfilePut(person, time_zone=zone)])
        self.books[person].zone = zone

    def consent(self, person: str, channel: str, given: bool) -> None:
        """Somebody gives or withdraws consent."""
        self.profiles.put([ProfilePut(person, consents={channel: given})])
        (self.books[person].consents.add if given else self.books[person].consents.discard)(channel)

    def tell(self, kind: str, which: int, offer: str) -> None:
        """Feedback on an earlier request, or on one that never was; both must say the same became of it."""
        self.made += 1
        person, decision = "ann", decision_id("ann", "never")
        if which < len(self.asked):
            answer = self.asked[-1 - which].answer
            person, decision = answer.profile_id, answer.decision_id
        offer = offer or ("coat" if kind in SUPPRESSING else "")
        self._record(FeedbackEvent(f"e{self.made}", kind, decision_id=decision, offer=offer), person)

    def tell_again(self, which: int) -> None:
        """An event is delivered once more, while it is remembered."""
        if which < len(self.events):
            event, person, at = self.events[-1 - which]
            if self.clock.at_us < at + REMEMBERED:
                assert "DUPLICATE" == self.feedback.record([event])[0].outcome.name
                assert person in self.books

    def _record(self, event: FeedbackEvent, person: str) -> None:
        now, book = self.clock.at_us, self.books[person]
        told = self.feedback.record([event])[0].outcome.name
        about = [c for c in book.contacts if c.decision == event.decision_id]
        old = [c for c in about if c.ends < now - self.policy.keep or reference.lapsed(self.policy, c, now)]
        there = [c for c in about if self._stands(person, c)]
        assert all(c in there or c in old for c in about), "what may still matter is in the ledger"
        book.contacts = [c for c in book.contacts if c not in about or c in there]
        assert reference.confirm(book, event.decision_id, event.offer, EVENTS[event.type], now) == told
        if event.type in SUPPRESSING:
            scope, lasts = SUPPRESSING[event.type]
            group = OFFERS[event.offer]
            whole = scope == "group" and bool(group)
            suppression = Suppression(
                "group" if whole else "offer",
                event.offer,
                group if whole else "",
                None if lasts is None else now + lasts,
            )
            reference.suppress(book, suppression)
        self.events.append((event, person, now))

    def _stands(self, person: str, contact: Contact) -> bool:
        """Whether a contact is in the person's ledger."""
        code = ledger_code(contact.decision)
        entries = Ledger.parse(self.store.ledgers.get(person_address(person), EMPTY)).entries
        placement, offer = code16(contact.placement), code32(contact.offer)
        return (code, placement, offer) in [(e.decision, e.placement, e.offer) for e in entries if e.is_contact]

    def retry(self, which: int) -> DecideRequest | None:
        """An earlier request once more, if it is surely remembered."""
        if which < len(self.asked):
            earlier = self.asked[-1 - which]
            if self.clock.at_us < earlier.answer.decided_at_us + REMEMBERED and not earlier.request.dry_run:
                return earlier.request
        return None

    def new(self, person: str, placements: Sequence[str], timings: Sequence[str], dry: bool) -> DecideRequest:
        """A request that was never made before."""
        self.made += 1
        return DecideRequest(
            request_id=f"r{self.made}",
            profile_id=person,
            placements=tuple(PlacementAsk(p) for p in placements),
            timings=tuple(timings),
            dry_run=dry,
            explain=Explain.OFFERS,
        )

    def decide(
        self, engine: int, requests: Sequence[DecideRequest], meanwhile: Callable[[], None] | None = None
    ) -> None:
        """One batch for one person; `meanwhile` happens between its read and its commit. Check every answer."""
        person = requests[0].profile_id
        before = self.books[person].copy()
        happened = [meanwhile is None]

        def happens() -> None:
            happened[0] = True
            if meanwhile is not None:
                meanwhile()

        self.store.happens = happens
        answers = self.engines[engine].decide(requests)
        self.store.happens = None
        if not happened[0]:
            happens()  # nothing had to be committed, so it happened after
        book = self.books[person]
        repeated = {a.request.request_id: a.answer for a in self.asked}
        known = any(r.request_id in repeated for r in requests)
        chain: Book | None = None
        for request, answer in zip(requests, answers, strict=True):
            assert isinstance(answer, Decision), answer
            if request.request_id in repeated:
                assert repeated[request.request_id] == answer, "a retry gets the same answer"
                continue
            if answer.degraded:
                full = self.policy.max_entries - sum(p.max_offers or 3 for p in request.placements) * len(requests)
                assert "room" in answer.degradations[0].message
                assert len(book.contacts) + len(book.suppressions) > full - 8
                continue
            fresh = answer.attempts > 1 or (known and not request.dry_run)
            start = book if fresh else before
            if request.dry_run:
                self.check(before.copy(), request, answer)
                continue
            chain = chain or start.copy()
            self.commit(book, self.check(chain, request, answer), answer.decided_at_us)
            self.asked.append(Asked(request, answer))

    def check(self, book: Book, request: DecideRequest, answer: Decision) -> list[Contact]:
        """Hold one answer to the reference, on the book it was decided on, which gains the contacts; return these."""
        taken: set[str] = set()
        contacts: list[Contact] = []
        for found in answer.placements:
            made = self._placement(book, request, answer, found, taken)
            taken |= {contact.offer for contact in made}
            contacts += made
        return contacts

    def _placement(
        self, book: Book, request: DecideRequest, answer: Decision, found: PlacementDecision, taken: set[str]
    ) -> list[Contact]:
        now, policy, placement = answer.decided_at_us, self.policy, found.placement
        timings = frozenset(request.timings or policy.timings)
        told = {o: (e.reason.name, e.detail) for e in found.exclusions for o in e.offers}
        expected: dict[str, tuple[str, str]] = {}
        contacts: list[Contact] = []
        live_first: set[str] = set()
        for k in range(min(len(found.offers) + 1, policy.placements[placement].slots)):
            here = {contact.offer for contact in contacts}
            for offer in policy.offers:
                if offer in here or offer in expected:
                    continue
                if policy.placements[placement].channel not in book.consents:
                    why: reference.Why | None = reference.Why("NO_CONSENT")
                elif offer in taken:
                    why = reference.Why("DUPLICATE")
                else:
                    why = reference.verdict(
                        policy,
                        book,
                        decision=answer.decision_id,
                        placement=placement,
                        offer=offer,
                        timings=timings,
                        now=now,
                    )
                if why is not None:
                    expected[offer] = why
                elif k == 0:
                    live_first.add(offer)
            if k < len(found.offers):
                pick = found.offers[k]
                assert pick.offer not in expected, (placement, pick.offer, expected.get(pick.offer))
                assert pick.timing.slot in timings
                contacts.append(self._pick(book, answer, placement, pick))
        shown = {contact.offer for contact in contacts}
        for offer in policy.offers:
            if offer in shown:
                assert offer not in told
            elif offer in expected:
                assert (placement, offer, *expected[offer]) == (placement, offer, *told[offer])
            else:
                assert told[offer][0] in LIVE, (placement, offer, told[offer])
        assert (Status.OFFERED if contacts else Status.SILENCE if live_first else Status.EMPTY) == found.status
        return contacts

    def _pick(self, book: Book, answer: Decision, placement: str, found: RankedOffer) -> Contact:
        """The contact that a pick makes: one that the reference allows, at its moment, held as long."""
        now = answer.decided_at_us
        named = {
            "decision": answer.decision_id,
            "placement": placement,
            "offer": found.offer,
            "timing": found.timing.slot,
        }
        assert None is reference.judge(self.policy, book, **named, now=now)
        contact = reference.contact_at(self.policy, book, **named, now=now)
        assert contact is not None
        assert (contact.moment, contact.ends) == (found.timing.not_before_us, found.hold_expires_us)
        book.contacts.append(contact)
        return contact

    def commit(self, book: Book, contacts: list[Contact], now: int) -> None:
        """What was granted stands in the book as it is by now, and no cap is exceeded where it does."""
        book.contacts.extend(contacts)
        for contact in contacts:
            for cap in self.policy.caps:
                key = reference.key_of(contact, cap.scope)
                if cap.scope == "profile" or key in cap.of:
                    assert cap.limit >= reference.fullest(
                        self.policy, book, cap, key=key, moment=contact.moment, now=now
                    )
