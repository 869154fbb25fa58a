"""What is true of simulated customers: how they respond to an offer, at a moment, in a tone, and what they do anyway.

Deliberately not of the family of any model here: thresholds, tents and products of conditions instead of log-odds that
add up; levels that drift; and annoyance that depends on what nobody is told. docs/simulation.md says it in words.

Arrays are laid out as a model's answer: [n, timings, tonalities, offers].
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from takt_training.simulation.customers import (
    COMPACT,
    FAMILY,
    PREMIUM,
    VAN,
    Bools,
    Floats,
    Ints,
    Situations,
    Temper,
    tempers,
)

OFFERS: Final = (
    *("inspection", "tyres", "lease_renewal", "test_drive", "roof_box", "insurance", "battery_check", "car_wash"),
)
INSPECTION, TYRES, LEASE, DRIVE, BOX, INSURANCE, BATTERY, WASH = range(8)
VALUES: Final = np.array([50.0, 34.0, 220.0, 100.0, 34.0, 58.0, 42.0, 8.0])
"""What a booking brings, EUR, by offer."""
TIMINGS: Final = ("now", "evening", "morning")
NOW, EVENING, MORNING = range(3)
TONALITIES: Final = ("factual", "warm", "playful")
FACTUAL, WARM, PLAYFUL = range(3)
ANNOYANCE_COST: Final = 60.0
"""What is lost with a customer who unsubscribes, EUR."""
WINDOW_DAYS: Final = 3
"""Within which a booking counts."""
MOST: Final = 0.9
"""No booking is likelier."""


class Expected(Struct, frozen=True, eq=False):
    """What is to be expected of n situations, for every action."""

    booked: Floats
    """[n, T, K, O]: P(the offer's goal within the window | contact)."""
    anyway: Floats
    """[n, O]: P(the same | nothing said, or something else)."""
    annoyed: Floats
    """[n, T, K, O]: P(unsubscribes | contact)."""

    @property
    def worth(self) -> Floats:
        """[n, T, K, O]: what a contact adds to silence, EUR."""
        return worth(self.booked, self.anyway, self.annoyed)


def worth(booked: Floats, anyway: Floats, annoyed: Floats) -> Floats:
    """`(booked - anyway) x value - annoyance cost x annoyed`, [n, T, K, O]."""
    return np.asarray((booked - anyway[:, None, None, :]) * VALUES - ANNOYANCE_COST * annoyed)


def expected(known: Situations, temper: Ints | None = None) -> Expected:
    """What is true of people whose temper is given, int64 [n], or on average over tempers, given what is known."""
    mix = tempers(known) if temper is None else np.eye(len(Temper))[temper]
    anyway, lift = organic(known), lifts(known)
    felt = (mix * patience(known)).sum(1)
    suits = by_timing(known)[:, :, None] * by_tone(known)[:, None, :]
    booked = anyway[:, None, None, :] + lift[:, None, None, :] * (suits * felt[:, None, None])[:, :, :, None]
    strain = np.einsum("nh,nhtk->ntk", mix, strains(known))
    annoyed = strain[:, :, :, None] * bother(known)[:, None, None, :]
    return Expected(np.minimum(booked, MOST), anyway, np.minimum(annoyed, MOST))


def tent(at: Ints, peak: float, width: float) -> Floats:
    """1 at the peak, falling to 0 at `width` weeks before and after."""
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(at - peak) / width))


def organic(known: Situations) -> Floats:
    """P(goal within the window | nothing said), [n, O]: most of it comes anyway for services that are due."""
    due = np.abs(known.service_days) <= 20
    leaving = known.lease_days
    season = 0.3 + 0.7 * tent(known.week, 13, 12)
    base = np.full((len(known), len(OFFERS)), 0.002)
    base[:, INSPECTION] = np.where(due, 0.3 + 0.15 * known.app, np.where(known.service_days < -20, 0.04, 0.003))
    base[:, TYRES] = season * np.where(known.km_year > 14, 0.1, 0.01)
    base[:, LEASE] = np.where(leaving < 30, 0.03, np.where(leaving < 110, 0.01, 0.0003))
    base[:, DRIVE] = np.where(known.visits >= 5, 0.008, 0.002)
    base[:, BATTERY] = np.where(known.electric, 0.0002, 0.002)
    base[:, WASH] = 0.03
    return base


def lifts(known: Situations) -> Floats:
    """What a contact adds to that with an average arm, [n, O]: needs that open and close at thresholds."""
    family = (known.segment == FAMILY) | (known.segment == VAN)
    premium = known.segment == PREMIUM
    leased = np.isfinite(known.lease_days)
    keen = known.visits >= 3
    rise = 0.7 + 0.6 * np.minimum(known.week, 20) / 20
    season = 0.4 + 0.6 * tent(known.week, 13, 12)
    holiday = 0.7 + 0.6 * tent(known.week, 20, 12)
    lift = np.empty((len(known), len(OFFERS)))
    lift[:, INSPECTION] = np.where(known.service_days < -20, 0.17, 0.004)
    lift[:, TYRES] = season * np.where(known.km_year > 14, 0.004, np.where(known.urban, 0.11, 0.012))
    closing = (known.lease_days >= 40) & (known.lease_days < 130)
    lift[:, LEASE] = np.where(closing, 0.085 * np.where(premium, 1.4, 1.0) * np.where(keen, 1.5, 0.8), 0.0005)
    old = np.where(leased, known.lease_days < 250, known.car_age >= 5)
    lift[:, DRIVE] = rise * np.where(
        old & known.urban & ~known.electric, np.where(keen, 0.12, 0.036), np.where(old & premium, 0.024, 0.002)
    )
    lift[:, BOX] = holiday * np.where(family & (known.children >= 1), np.where(known.electric, 0.036, 0.18), 0.004)
    lift[:, INSURANCE] = np.where(
        ~leased & (known.car_age >= 1.5) & (known.car_age < 6), np.where(known.km_year > 17, 0.155, 0.072), 0.003
    )
    lift[:, BATTERY] = np.where(
        known.electric,
        0.0,
        np.where((known.car_age >= 6) & ~known.urban, 0.17, np.where(known.car_age >= 6, 0.036, 0.003)),
    )
    lift[:, WASH] = np.where(known.urban & (known.car_age < 4), 0.17, 0.012) * np.where(premium, 1.4, 1.0)
    return lift


def by_timing(known: Situations) -> Floats:
    """What a moment multiplies a lift with, [n, T]. From week 10 on, evenings are no longer the app's."""
    later = known.week >= 10
    home = (known.children > 0) & ~known.app
    factor = np.ones((len(known), len(TIMINGS)))
    factor[:, NOW] = np.where(known.km_year > 18, 0.6, 1.0)
    factor[:, EVENING] = np.where(home, 1.25, np.where(known.app & ~later, 1.4, 0.9))
    factor[:, MORNING] = np.where(known.km_year > 18, 1.3, np.where(known.urban, 0.7, 1.0))
    return factor


def by_tone(known: Situations) -> Floats:
    """What a tone multiplies a lift with, [n, K]."""
    young = known.informal & (known.urban | (known.segment == COMPACT))
    factor = np.ones((len(known), len(TONALITIES)))
    factor[:, FACTUAL] = np.where(young, 0.7, 1.1)
    factor[:, WARM] = np.where(known.informal, 1.0, 1.25)
    factor[:, PLAYFUL] = np.where(young, 1.4, np.where(known.informal, 0.9, 0.45))
    return factor


def patience(known: Situations) -> Floats:
    """What pressure leaves of a lift, by temper, [n, tempers]."""
    left = np.ones((len(known), len(Temper)))
    left[known.pressure >= 2.5] = 0.75
    left[known.pressure >= 1.2, Temper.CROWDED] = 0.6
    left[known.pressure >= 2.5, Temper.CROWDED] = 0.3
    return left


def strains(known: Situations) -> Floats:
    """P(unsubscribes | contact that fits no worse than others), by temper, [n, tempers, T, K]."""
    strain = np.full((len(known), len(Temper), len(TIMINGS), len(TONALITIES)), 0.006)
    strain[known.pressure >= 3, Temper.TOLERANT] = 0.012
    crowded = np.select(
        [known.pressure >= 2.2, known.pressure >= 1.2, known.pressure >= 0.6], [0.16, 0.08, 0.03], 0.006
    )
    strain[:, Temper.CROWDED] = crowded[:, None, None]
    strain[:, Temper.PROPER, :, PLAYFUL] = 0.12
    strain[:, Temper.PROPER, :, WARM] = 0.06
    strain[:, Temper.PRIVATE, EVENING] = 0.1
    strain[:, Temper.PRIVATE, MORNING] = 0.05
    return strain


def bother(known: Situations) -> Floats:
    """What an offer multiplies that with, [n, O]: an offer that makes no sense annoys more."""
    leased = np.isfinite(known.lease_days)
    factor = np.ones((len(known), len(OFFERS)))
    factor[:, LEASE] = np.where(leased, np.where(known.lease_days < 180, 0.6, 1.2), 2.0)
    factor[:, DRIVE] = np.where(known.car_age < 2, 1.8, 1.0)
    factor[:, BOX] = np.where(known.children == 0, 1.6, 0.8)
    factor[:, BATTERY] = np.where(known.electric, 2.5, 1.0)
    factor[:, INSPECTION] = np.where(known.service_days < 20, 0.5, 1.3)
    factor[:, WASH] = 0.7
    return factor


def chosen(table: Floats, arms: Ints) -> Floats:
    """Entries of a table [n, T, K, O] by flat action, float64 [n]; 0 where silence (-1) was chosen."""
    flat = table.reshape(len(table), -1)
    found = flat[np.arange(len(flat)), np.maximum(arms, 0)]
    return np.where(arms < 0, 0.0, found)


def flat(timing: Ints, tonality: Ints, offer: Ints) -> Ints:
    """Flat index of actions in [T, K, O]; -1 where the offer is negative."""
    index = (timing * len(TONALITIES) + tonality) * len(OFFERS) + offer
    return np.where(offer < 0, -1, index)


def silent(arms: Ints) -> Bools:
    """Where nothing was said."""
    return np.asarray(arms < 0)
