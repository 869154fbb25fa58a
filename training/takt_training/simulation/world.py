"""The world around the service: who comes when, what is known of them, what they do next, and when that is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import numpy as np
from msgspec import Struct

from takt.cli.messages import Answer, Question, event, profile_write
from takt.cli.show import status
from takt.clock import DAY_US, HOUR_US, MINUTE_US
from takt_training.simulation.customers import SEGMENTS, WEEK_DAYS, Bools, Customers, Floats, Ints, Situations, faded
from takt_training.simulation.optimum import ASKING_DAYS, Weeks, best_of
from takt_training.simulation.serving import Served, SimulatedClock, SimulationError
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, VALUES, WINDOW_DAYS, chosen, expected, flat
from takt_training.simulation.workspace import BOOLS, CONSENT, FLOATS, GOAL, INTS, LOCALE, PLACEMENT, REACTION, ZONE

BEGINNING_US: Final = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000
"""A Monday."""
ASKING_HOUR: Final = 9
"""UTC: ten o'clock where the customers live."""
CLOSING_HOUR: Final = 22
"""On Sunday, when all windows of the week have closed."""
Item = TypeVar("Item")
MOST_AT_ONCE: Final = 1000
"""Profiles and events of one call."""


def moment_us(week: int, day: int, hour: int) -> int:
    """A moment of the simulation."""
    return BEGINNING_US + (WEEK_DAYS * week + day) * DAY_US + hour * HOUR_US


class Round(Struct, frozen=True):
    """What a week came to, by the truth of those who came."""

    week: int
    decisions: int
    contacts: int
    worth: float
    """EUR: the sum of what the chosen actions add to silence in expectation, given what can be observed."""
    regret: float
    """EUR: by how much less than the optimum's choices in the same situations, contact costs included."""
    unsubscribed: int
    earned: float
    """EUR: what bookings brought that would not have come anyway."""


class World:
    """Customers in front of a service. The same seed, asked the same, does the same, whoever learns."""

    def __init__(self, weeks: Weeks, clock: SimulatedClock, cost: float) -> None:
        """`cost`: the optimum's contact cost, EUR, that regret is told by."""
        self.weeks = weeks
        self.clock = clock
        self.cost = cost
        self.pressure: Floats = np.zeros(len(self.customers))
        self.successor: Ints = np.zeros(len(self.customers), np.int64)
        """int64 [customers]: how many have left whose place this one has."""
        self._waiting: list[tuple[int, dict[str, str]]] = []

    @property
    def customers(self) -> Customers:
        """The population."""
        return self.weeks.customers

    def week(self, number: int, served: Served) -> Round:
        """One week: ask on three days, react, tell the service of it, until Sunday night."""
        parts = []
        for day, people in zip(ASKING_DAYS, self.weeks.asked(number), strict=True):
            self.clock.turn(moment_us(number, day, ASKING_HOUR))
            self._tell(served)
            parts.append(self._day(number, day, people, served))
        self.clock.turn(moment_us(number, WEEK_DAYS - 1, CLOSING_HOUR))
        self._tell(served)
        self.pressure = faded(self.pressure, WEEK_DAYS)
        totals = np.sum(parts, axis=0)
        return Round(
            week=number,
            decisions=sum(len(people) for people in self.weeks.asked(number)),
            contacts=int(totals[0]),
            worth=float(totals[1]),
            regret=float(totals[2]),
            unsubscribed=int(totals[3]),
            earned=float(totals[4]),
        )

    def _day(self, week: int, day: int, people: Ints, served: Served) -> tuple[float, ...]:
        known = self.customers.at(week, people, faded(self.pressure[people], day))
        names = [self._name(person) for person in people.tolist()]
        put(served, names, known)
        answers = served.decide([question(f"{name}.{week}", name) for name in names])
        actions, opens_us = read([answers[f"{name}.{week}"] for name in names])
        ids = [answers[f"{name}.{week}"].decision_id for name in names]
        left, earned = self._react(week, day, people, known=known, actions=actions, opens_us=opens_us, ids=ids)
        after = np.where(actions < 0, known.pressure, known.pressure + 1.0)
        self.pressure[people] = faded(np.where(left, 0.0, after), -day)
        worth = expected(known).worth
        paid = chosen(worth, actions) - self.cost * (actions >= 0)
        most = best_of(worth, self.cost)
        best = chosen(worth, most) - self.cost * (most >= 0)
        return (
            float((actions >= 0).sum()),
            float(chosen(worth, actions).sum()),
            float((best - paid).sum()),
            float(left.sum()),
            earned,
        )

    def _react(
        self,
        week: int,
        day: int,
        people: Ints,
        *,
        known: Situations,
        actions: Ints,
        opens_us: Ints,
        ids: list[str],
    ) -> tuple[Bools, float]:
        """What people do within the window; who leaves, and EUR that would not have come anyway."""
        rng = np.random.default_rng((self.customers.seed, 13, week, day))
        everyone = len(self.customers)
        anyway, because, annoyed, when = (
            part[people]
            for part in (
                rng.random((everyone, len(OFFERS))),
                *rng.random((2, everyone)),
                rng.random((everyone, len(OFFERS))),
            )
        )
        truth = expected(known, self.customers.temper[people])
        offer = np.where(actions < 0, -1, actions % len(OFFERS))
        comes = anyway < truth.anyway
        rows = np.arange(len(people))
        chance = truth.anyway[rows, offer]
        added = (chosen(truth.booked, actions) - chance) / (1 - chance)
        caused = (actions >= 0) & ~comes[rows, offer] & (because < added)
        left = annoyed < chosen(truth.annoyed, actions)
        window_us = WINDOW_DAYS * DAY_US
        for row, o in np.argwhere(comes).tolist():
            self._later(
                GOAL, int(opens_us[row] + when[row, o] * (window_us - MINUTE_US)), int(people[row]), offer=OFFERS[o]
            )
        for row in np.flatnonzero(caused).tolist():
            delay_us = int(when[row, offer[row]] ** 3 * (window_us - MINUTE_US))
            self._later(
                GOAL, int(opens_us[row]) + delay_us, int(people[row]), offer=OFFERS[offer[row]], decision=ids[row]
            )
        for row in np.flatnonzero(left).tolist():
            at_us = int(opens_us[row]) + 10 * MINUTE_US
            self._later(REACTION, at_us, int(people[row]), offer=OFFERS[offer[row]], decision=ids[row])
            self.successor[people[row]] += 1
        return left, float(VALUES[offer[caused]].sum())

    def _name(self, person: int) -> str:
        return f"c{person:05d}-{self.successor[person]}"

    def _later(self, kind: str, at_us: int, person: int, *, offer: str, decision: str = "") -> None:
        name = self._name(person)
        told = {
            "event_id": f"{kind}.{name}.{offer}.{at_us}",
            "type": kind,
            "decision_id": decision,
            "profile_id": name,
            "offer": offer,
            "placement": PLACEMENT,
            "occurred_at": written(at_us),
        }
        self._waiting.append((at_us, told))

    def _tell(self, served: Served) -> None:
        """Report what has happened by now, in the order of time."""
        now_us = self.clock.now_us()
        due = [item for item in self._waiting if item[0] <= now_us]
        due.sort(key=lambda item: (item[0], item[1]["event_id"]))
        self._waiting = [item for item in self._waiting if item[0] > now_us]
        for some in parts_of([told for _, told in due]):
            for taken in served.public.record([event(told) for told in some]):
                if taken.outcome not in {"applied", "late"}:
                    raise SimulationError(f"an event was not applied: {taken}")
        gone = [told["profile_id"] for _, told in due if told["type"] == REACTION]
        for people in parts_of(gone):
            served.admin.put([profile_write({"profile_id": name, "consents": {CONSENT: False}}) for name in people])


def parts_of(items: list[Item]) -> Iterator[list[Item]]:
    """Items in parts that one call takes."""
    for at in range(0, len(items), MOST_AT_ONCE):
        yield items[at : at + MOST_AT_ONCE]


def written(at_us: int) -> str:
    """A moment as JSON has it."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat()


def question(request_id: str, name: str) -> Question:
    """One message, to one customer."""
    return Question(request_id=request_id, profile_id=name, placements=(PLACEMENT,))


def read(answers: list[Answer]) -> tuple[Ints, Ints]:
    """Flat actions, and from when on outcomes count, microseconds. Raises `SimulationError` for a fallback."""
    timing, tonality, offer = (np.full(len(answers), -1) for _ in range(3))
    opens_us = np.empty(len(answers), np.int64)
    for row, answer in enumerate(answers):
        (placement,) = answer.placements
        opens_us[row] = answer.decided_at.ToMicroseconds()
        word = status(placement)
        if word == "OFFERED":
            told = placement.offers[0]
            offer[row], tonality[row] = OFFERS.index(told.offer), TONALITIES.index(told.tonality)
            timing[row] = TIMINGS.index(told.timing.slot)
            opens_us[row] = told.timing.not_before.ToMicroseconds()
        elif word != "SILENCE":
            raise SimulationError(f"{answer.request_id} was answered {word}: {placement.exclusions}")
    return flat(timing, tonality, offer), opens_us


def put(served: Served, names: list[str], known: Situations) -> None:
    """Write what is known of some people today. Raises `SimulationError` where that is refused."""
    for some in parts_of([(name, row) for row, name in enumerate(names)]):
        for taken in served.admin.put([profile_write(plain(name, known, row)) for name, row in some]):
            if taken.violations:
                raise SimulationError(f"a profile was refused: {taken}")


def plain(name: str, known: Situations, row: int) -> Mapping[str, Any]:
    """One profile as JSON has it."""
    features: dict[str, bool | int | float | str] = {feature: bool(getattr(known, feature)[row]) for feature in BOOLS}
    whole = {feature: getattr(known, column)[row] for feature, column in INTS.items()}
    features |= {feature: int(number) for feature, number in whole.items() if np.isfinite(number)}
    features |= {
        feature: float(getattr(known, feature)[row]) for feature in FLOATS if np.isfinite(getattr(known, feature)[row])
    }
    return {
        "profile_id": name,
        "features": features | {"segment": SEGMENTS[known.segment[row]]},
        "time_zone": ZONE,
        "locale": LOCALE,
        "form_of_address": "informal" if known.informal[row] else "formal",
        "consents": {CONSENT: True},
        "mode": "replace",
    }
