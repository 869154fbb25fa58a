"""Simulated customers of a car maker: what a service can know of them, and what it cannot.

One value of `Customers` is a population; `Situations` are some of its people at some moment, as columns. What annoys a
person (`Temper`) is never told: `tempers` gives the probabilities of each, given what is known.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WEEK_DAYS: Final = 7
LEASE_DAYS: Final = 1095
SERVICE_DAYS: Final = 365
HALF_LIFE_DAYS: Final = 10.0
"""Within which half of the pressure of a contact has faded."""
SEGMENTS: Final = ("compact", "family", "premium", "van")
COMPACT, FAMILY, PREMIUM, VAN = range(4)
FAR: Final = 23
"""Weeks and months that are not told apart any more."""
NO_LEASE: Final = np.inf


class Temper(IntEnum):
    """What annoys a person. Nobody is told."""

    TOLERANT = 0
    CROWDED = 1
    """Contacts in short succession."""
    PROPER = 2
    """The wrong tone."""
    PRIVATE = 3
    """Contacts outside working hours."""


class Situations(Struct, frozen=True, eq=False):
    """n people, each at one moment: what is known of them, and the week."""

    week: Ints
    """int64 [n], weeks since the simulation began."""
    urban: Bools
    informal: Bools
    """Wants to be addressed informally."""
    app: Bools
    """Uses the app."""
    electric: Bools
    segment: Ints
    """int64 [n], index in `SEGMENTS`."""
    children: Ints
    km_year: Floats
    """Thousands of kilometres a year."""
    car_age: Floats
    """Years."""
    lease_days: Floats
    """Days until the lease ends; infinite without a lease."""
    service_days: Floats
    """Days until the service is due; negative: overdue."""
    visits: Ints
    """Visits to the website within 30 days."""
    pressure: Floats
    """Contacts so far, each halved with every `HALF_LIFE_DAYS`."""

    def __len__(self) -> int:
        return len(self.week)

    @property
    def car_years(self) -> Ints:
        """Whole years of the car."""
        return self.car_age.astype(np.int64)

    @property
    def lease_months(self) -> Floats:
        """Whole months until the lease ends, at most `FAR`; infinite without a lease."""
        months = np.floor(self.lease_days / 30)
        return np.where(np.isfinite(months), np.minimum(months, FAR), np.inf)

    @property
    def service_weeks(self) -> Ints:
        """Whole weeks until the service is due, 0 to `FAR`."""
        return np.clip(self.service_days // WEEK_DAYS, 0, FAR).astype(np.int64)

    @property
    def overdue_weeks(self) -> Ints:
        """Whole weeks since it was, 0 to `FAR`."""
        return np.clip(-self.service_days // WEEK_DAYS, 0, FAR).astype(np.int64)

    def take(self, rows: Ints | Bools) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, name)[rows] for name in self.__struct_fields__))


class Customers(Struct, frozen=True, eq=False):
    """A population of n people."""

    urban: Bools
    informal: Bools
    app: Bools
    electric: Bools
    segment: Ints
    children: Ints
    km_year: Floats
    car_age: Floats
    """Years, when the simulation begins."""
    leased: Bools
    lease_end: Floats
    """Day of the first end of the lease; every three years another."""
    service_due: Floats
    """Day on which the first service is due."""
    diligence: Floats
    """Days after it is due by which a service is done, if nobody says anything. Not told, but for being overdue."""
    interest: Floats
    """Mean of the visits in 30 days."""
    temper: Ints
    """int64 [n], `Temper`."""
    seed: int

    def __len__(self) -> int:
        return len(self.urban)

    def at(self, week: int, people: Ints, pressure: Floats) -> Situations:
        """Some people in one week, on its Monday. `pressure` float64 [k] is theirs."""
        day = np.float64(WEEK_DAYS * week)
        lease = np.where(
            self.leased[people], self.lease_end[people] + LEASE_DAYS * _cycles(day, self.lease_end[people]), NO_LEASE
        )
        done = self.service_due[people] + self.diligence[people]
        due = self.service_due[people] + SERVICE_DAYS * np.ceil(np.maximum(day - done, 0) / SERVICE_DAYS)
        visits = np.random.default_rng((self.seed, 7, week)).poisson(self.interest)[people]
        return Situations(
            week=np.full(len(people), week, np.int64),
            urban=self.urban[people],
            informal=self.informal[people],
            app=self.app[people],
            electric=self.electric[people],
            segment=self.segment[people],
            children=self.children[people],
            km_year=self.km_year[people],
            car_age=self.car_age[people] + day / 365,
            lease_days=lease - day,
            service_days=due - day,
            visits=visits.astype(np.int64),
            pressure=pressure,
        )


def _cycles(day: np.float64, end: Floats) -> Floats:
    """How often a lease that first ended at `end` was renewed by `day`."""
    return np.asarray(np.ceil(np.maximum(day - end, 0) / LEASE_DAYS))


def draw(seed: int, size: int) -> Customers:
    """A population of some size. The same seed gives the same people."""
    rng = np.random.default_rng((seed, 1))
    urban = rng.random(size) < 0.55
    segment = np.where(
        urban,
        rng.choice(4, size, p=(0.42, 0.24, 0.26, 0.08)),
        rng.choice(4, size, p=(0.27, 0.38, 0.17, 0.18)),
    ).astype(np.int64)
    informal = rng.random(size) < np.where(urban, 0.55, 0.3) - 0.15 * (segment == PREMIUM)
    app = rng.random(size) < np.where(informal, 0.7, 0.35)
    electric = rng.random(size) < np.where(urban & (segment == PREMIUM), 0.3, 0.08)
    children = np.where((segment == FAMILY) | (segment == VAN), rng.integers(0, 4, size), rng.random(size) < 0.2)
    leased = rng.random(size) < np.where(segment == PREMIUM, 0.7, 0.42)
    lease_end = rng.uniform(0, LEASE_DAYS, size)
    bought = np.where(leased, (LEASE_DAYS - lease_end) / 365, rng.gamma(2.2, 3.0, size))
    people = Customers(
        urban=urban,
        informal=informal,
        app=app,
        electric=electric,
        segment=segment,
        children=children.astype(np.int64),
        km_year=rng.lognormal(np.where(urban, 2.35, 2.75), 0.45),
        car_age=np.minimum(bought, 18.0),
        leased=leased,
        lease_end=lease_end,
        service_due=rng.uniform(-60, SERVICE_DAYS - 60, size),
        diligence=np.where(rng.random(size) < 0.7, rng.uniform(0, 14, size), rng.uniform(30, 90, size)),
        interest=rng.gamma(1.5, 1.6, size),
        temper=np.zeros(size, np.int64),
        seed=seed,
    )
    mix = tempers(people.at(0, np.arange(size), np.zeros(size)))
    temper = (rng.random(size)[:, None] > mix.cumsum(1)).sum(1).clip(0, len(Temper) - 1)
    people.temper[:] = temper
    return people


def tempers(known: Situations) -> Floats:
    """P(temper | what is known and does not change), float64 [n, tempers]."""
    weight = np.full((len(known), len(Temper)), 0.3)
    weight[:, Temper.TOLERANT] += 2.0 * known.app + 1.0 * (known.segment == COMPACT)
    weight[:, Temper.CROWDED] += 2.5 * (known.urban & ~known.app) + 1.5 * (known.segment == PREMIUM)
    weight[:, Temper.PROPER] += 4.0 * (~known.informal & ~known.urban)
    weight[:, Temper.PRIVATE] += 4.0 * ((known.children > 0) & ~known.app)
    weight **= 2
    return np.asarray(weight / weight.sum(1, keepdims=True))


def faded(pressure: Floats, days: float) -> Floats:
    """Pressure after some days without a contact."""
    return np.asarray(pressure * 0.5 ** (days / HALF_LIFE_DAYS))
