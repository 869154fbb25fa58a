"""What could be earned at best, and by any policy: the truth run forward without noise.

A policy is run over weeks in which the same people come on the same days. What a contact brings is its expectation,
over what nobody is told as well; pressure grows with contacts and falls with those who are expected to leave, whose
place is taken by somebody alike. So nothing is drawn, and two policies differ by what they choose alone.

The optimum looks one step ahead on what can be observed: the action that is worth most now, if that is more than a
contact cost, the price of the pressure that it leaves behind. The cost is the one with which this earns most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from msgspec import Struct

from takt_training.metrics import Interval
from takt_training.simulation.customers import WEEK_DAYS, Customers, Floats, Ints, Situations, faded
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, chosen, expected

Policy = Callable[[Situations], Ints]
"""Flat actions [n] of `truth.flat`, -1 for silence."""

ASKING_DAYS: Final = (0, 1, 2)
"""Monday to Wednesday: what follows is known before the week ends."""
COSTS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
"""Contact costs that are tried, EUR."""
ACTIONS: Final = len(TIMINGS) * len(TONALITIES) * len(OFFERS)


class Weeks(Struct, frozen=True):
    """Some weeks in the life of a population."""

    customers: Customers
    first: int
    count: int
    decisions: int
    """In each week: so many different people are asked about."""

    def asked(self, week: int) -> list[Ints]:
        """Who is asked about on each of the `ASKING_DAYS` of a week; the same for whoever asks."""
        rng = np.random.default_rng((self.customers.seed, 11, week))
        people = rng.permutation(len(self.customers))[: self.decisions]
        return [np.sort(part) for part in np.array_split(people, len(ASKING_DAYS))]


class Course(Struct, frozen=True, eq=False):
    """What a policy came to over the weeks, by customer."""

    worth: Floats
    """float64 [customers]: what contacts added to silence, EUR."""
    left: Floats
    """float64 [customers]: how many are expected to have unsubscribed."""
    contacts: int
    decisions: int
    by_offer: tuple[int, ...]
    """Contacts with each of `truth.OFFERS`."""

    @property
    def value(self) -> float:
        """EUR per decision."""
        return float(self.worth.sum() / self.decisions)

    @property
    def unsubscribes(self) -> float:
        """Per thousand decisions."""
        return float(1000 * self.left.sum() / self.decisions)

    @property
    def contacted(self) -> float:
        """Share of decisions in which something was said."""
        return self.contacts / self.decisions


def run(policy: Policy, weeks: Weeks) -> Course:
    """Run a policy from the first week on, from customers to whom nothing was said lately."""
    customers = weeks.customers
    size = len(customers)
    pressure, earned, left = np.zeros(size), np.zeros(size), np.zeros(size)
    by_offer = np.zeros(len(OFFERS), np.int64)
    decisions = 0
    for week in range(weeks.first, weeks.first + weeks.count):
        for day, people in zip(ASKING_DAYS, weeks.asked(week), strict=True):
            known = customers.at(week, people, faded(pressure[people], day))
            actions = policy(known)
            truth = expected(known)
            leaving = chosen(truth.annoyed, actions)
            earned[people] += chosen(truth.worth, actions)
            left[people] += leaving
            after = np.where(actions < 0, known.pressure, (known.pressure + 1.0) * (1.0 - leaving))
            pressure[people] = faded(after, -day)
            by_offer += np.bincount(actions[actions >= 0] % len(OFFERS), minlength=len(OFFERS))
            decisions += len(people)
        pressure = faded(pressure, WEEK_DAYS)
    return Course(earned, left, int(by_offer.sum()), decisions, tuple(by_offer.tolist()))


def best(known: Situations, *, cost: float) -> Ints:
    """The optimum: the best action one step ahead, if it is worth more than the contact cost."""
    return best_of(expected(known).worth, cost)


def best_of(worth: Floats, cost: float) -> Ints:
    """Flat actions [n] of the highest worth [n, T, K, O] above `cost`, else silence."""
    table = worth.reshape(len(worth), -1)
    action = table.argmax(1)
    return np.where(table[np.arange(len(table)), action] > cost, action, -1)


def always(known: Situations, *, action: int) -> Ints:
    """One action for everybody."""
    return np.full(len(known), action)


def tuned(policy_at: Callable[[float], Policy], weeks: Weeks, costs: Sequence[float] = COSTS) -> tuple[float, Course]:
    """The contact cost with which a policy earns most in the long run, and what it comes to with it."""
    found = [(cost, run(policy_at(cost), weeks)) for cost in costs]
    return max(found, key=lambda item: item[1].value)


class Bounds(Struct, frozen=True, eq=False):
    """What everything is held against."""

    constant: Course
    """The best of all constant actions, silence included."""
    action: int
    """Which one that is, -1 for silence."""
    optimum: Course
    cost: float
    """The optimum's contact cost, EUR."""

    def share(self, course: Course) -> float:
        """How much of the gap between the best constant action and the optimum a policy closes."""
        return (course.value - self.constant.value) / (self.optimum.value - self.constant.value)


def bounds(weeks: Weeks) -> Bounds:
    """Both ends of the scale for some weeks."""
    constants = {action: run(partial(always, action=action), weeks) for action in _promising(weeks)}
    action = max(constants, key=lambda one: constants[one].value)
    cost, optimum = tuned(lambda cost: partial(best, cost=cost), weeks)
    return Bounds(constants[action], action, optimum, cost)


def _promising(weeks: Weeks) -> list[int]:
    """Silence, and the best constant actions when nobody was contacted yet: pressure makes each worth less."""
    known = weeks.customers.at(weeks.first, np.arange(len(weeks.customers)), np.zeros(len(weeks.customers)))
    mean = expected(known).worth.reshape(len(known), -1).mean(0)
    return [-1, *np.argsort(-mean)[:12].tolist()]


def difference(one: Course, other: Course) -> Interval:
    """EUR per decision by which one earns more than the other, with its 95% interval over customers, paired."""
    gap = one.worth - other.worth
    scale = len(gap) / one.decisions
    mean, error = float(gap.mean()) * scale, float(gap.std(ddof=1) / np.sqrt(len(gap))) * scale
    return Interval(mean, mean - 1.96 * error, mean + 1.96 * error)
