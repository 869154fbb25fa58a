"""Play worked examples through a real engine on any store, and say what came out in the words of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.clock import ManualClock
from takt.domain.decision import Decision, PlacementDecision, decision_id
from takt.domain.feedback import FeedbackEvent
from takt.domain.profile import ProfilePut
from takt.domain.reasons import Reason, Status
from takt.domain.request import DecideRequest, Explain, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.feedback import Feedback
from takt.engine.force import force
from takt.engine.profiles import Profiles
from takt.features.layout import layout_json
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter, Store
from tests.golden.tables import Example, Page, Step, moment_us
from tests.unit.decisionlog.slow_writing import CheckedCodec

UNSAID: Final = {Reason.NOT_FOR_PLACEMENT, Reason.OUTRANKED}
"""Reasons that tables leave out."""


def compiled(page: Page, example: Example, directory: Path) -> Catalog:
    """The catalog of an example, made from a workspace in `directory`."""
    directory.mkdir(exist_ok=True)
    (directory / "features.yaml").write_text(yaml.safe_dump(page.features))
    (directory / "catalog.yaml").write_text(yaml.safe_dump(page.catalog | example.changes))
    return load_workspace(directory)


@dataclass
class Play:
    """An example under way."""

    catalog: Catalog
    store: Store
    clock: ManualClock
    zone: ZoneInfo
    engine: Engine = field(init=False)
    profiles: Profiles = field(init=False)
    feedback: Feedback = field(init=False)
    people: dict[str, str] = field(default_factory=dict)
    """Whose request an id is."""
    events: int = 0

    def __post_init__(self) -> None:
        codec = CheckedCodec()
        self.engine = Engine(
            force(self.catalog, ConstantScorer(0.1)),
            self.store,
            codec,
            prior=ConstantScorer(0.1),
            clock=self.clock,
            meter=NullMeter(),
            service_version="0",
        )
        self.profiles = Profiles(self.engine, self.store, clock=self.clock, make_id=lambda: "unused")
        self.feedback = Feedback(self.engine, self.store, codec, clock=self.clock)
        self.store.register_layout(self.catalog.spec.layout_fingerprint, layout_json(self.catalog.spec))
        consents = dict.fromkeys(self.catalog.spec.person.consents, True)
        people = [ProfilePut("ann", consents=consents, time_zone="Europe/Berlin"), ProfilePut("ben", consents=consents)]
        self.profiles.put(people)

    def happen(self, step: Step) -> tuple[str, str]:
        """Let a step happen; answer and left out as a table would say them."""
        self.clock.at_us = step.at_us
        match step.kind:
            case "request":
                return self._ask(step.words)
            case "move":
                self.profiles.put([ProfilePut(step.words["person"], time_zone=step.words["zone"])])
            case "consent":
                given = {step.words["consent"]: step.words["verb"] == "gives"}
                self.profiles.put([ProfilePut(step.words["person"], consents=given)])
            case _:
                return self._tell(step.words), ""
        return "", ""

    def _tell(self, words: dict[str, str]) -> str:
        self.events += 1
        named: dict[str, Any]
        if "request" in words:
            person = self.people.get(words["request"], "ann")
            named = {"decision_id": decision_id(person, words["request"])}
        else:
            named = {"profile_id": words["person"]}
        event = FeedbackEvent(
            event_id=words.get("event", f"event-{self.events}"),
            type=words["type"],
            offer=words.get("offer", ""),
            **named,
        )
        return self.feedback.record([event])[0].outcome.name

    def _ask(self, words: dict[str, str]) -> tuple[str, str]:
        person = self.people.setdefault(words["id"], words.get("person", "ann"))
        placements = words["placements"].split(", ")
        request = DecideRequest(
            request_id=words["id"],
            profile_id=person,
            placements=tuple(PlacementAsk(placement) for placement in placements),
            timings=(words["timing"],) if "timing" in words else (),
            explain=Explain.OFFERS,
        )
        (decision,) = self.engine.decide([request])
        assert isinstance(decision, Decision), decision
        assert not decision.degraded, decision.degradations
        prefix = len(placements) > 1
        answers = [self._answer(found, prefix, decision.decided_at_us) for found in decision.placements]
        left_out = [self._left_out(found, prefix) for found in decision.placements]
        return "; ".join(answers), "; ".join(text for text in left_out if text)

    def _answer(self, found: PlacementDecision, prefix: bool, decided_at_us: int) -> str:
        offers = []
        for offer in found.offers:
            ahead = offer.timing.not_before_us != decided_at_us
            offers.append(f"{offer.offer} at {offer.timing.not_before_us}" if ahead else offer.offer)
        said = {Status.OFFERED: ", ".join(offers), Status.SILENCE: "silence"}.get(found.status, "nothing")
        return f"{found.placement} {said}" if prefix else said

    def _left_out(self, found: PlacementDecision, prefix: bool) -> str:
        reasons = {
            offer: f"{excluded.reason.name} {excluded.detail}".strip()
            for excluded in found.exclusions
            if excluded.reason not in UNSAID
            for offer in excluded.offers
        }
        shown = [o.id for p, o in self._offers_of(found.placement)]
        if reasons and len(set(reasons.values())) == 1 and set(reasons) == set(shown):
            said = f"all {next(iter(reasons.values()))}"
        else:
            said = "; ".join(f"{offer} {reasons[offer]}" for offer in shown if offer in reasons)
        return f"{found.placement}: {said}" if prefix and said else said

    def _offers_of(self, placement: str) -> list[tuple[int, Any]]:
        p = [place.id for place in self.catalog.placements].index(placement)
        return [(o, offer) for o, offer in enumerate(self.catalog.offers) if self.catalog.placement_offers[p, o]]


def expected(step: Step, zone: ZoneInfo) -> tuple[str, str]:
    """What a row says should come out; moments in microseconds."""
    answer = step.answer
    if " at " in answer:
        offer, _, when = answer.partition(" at ")
        answer = f"{offer} at {moment_us(when, zone)}"
    return answer, step.left_out
