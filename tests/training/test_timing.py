"""Moments at which a person shops more count for more, and the level stays."""

import numpy as np
import pytest

from takt_training.timing import Moment, TimingLift, timing_table

# Two parts of a day (first and second half), so four slots; profile columns 1 to 4, context columns hour, weekday.
HALVES = (0,) * 12 + (1,) * 12
HOURS = (60.0, 60.0, 24.0, 24.0)
MOMENTS = (Moment("now", "now"), Moment("tonight", "today", (0.0, 3.0)), Moment("weekend", "weekend", (1.0, 1.0)))
LIFT = TimingLift(
    slot_columns=np.array([1, 2, 3, 4]),
    slot_hours=np.array(HOURS, np.float32),
    population=np.array([60, 60, 24, 24], np.float32) / np.float32(168),
    hour_column=0,
    weekday_column=1,
    table=timing_table(MOMENTS, HALVES, HOURS),
    damping=0.5,
)
NAN = np.nan
MORNING_PERSON = [0.0, 0.6, 0.0, 0.4, 0.0]


def _lift(person: list[float], hour: float, weekday: float) -> list[float]:
    found: list[float] = LIFT.apply(np.array([person], np.float32), np.array([[hour, weekday]], np.float32))[0].tolist()
    return found


def test_lifts_average_one() -> None:
    """The mean over timings keeps the level of acceptance, at every hour of the week."""
    means = [np.mean(_lift(MORNING_PERSON, hour, weekday)) for hour in range(24) for weekday in range(7)]

    assert pytest.approx([1.0] * 168, abs=1e-5) == means


def test_who_shops_in_the_morning_is_best_asked_then() -> None:
    """Now is best on a weekday morning, worst in the evening; tonight never wins."""
    now, tonight, weekend = _lift(MORNING_PERSON, 9, 2)
    assert now > weekend > tonight

    late_now, late_tonight, _ = _lift(MORNING_PERSON, 20, 2)
    assert late_now == late_tonight < 1


def test_without_a_moment_or_a_person_nothing_moves() -> None:
    """Unknown hour: now is the average of the week. Unknown person: everybody's times, even here."""
    assert pytest.approx([1.0, 1.0, 1.0]) == _lift([0.0, NAN, NAN, NAN, NAN], NAN, NAN)


def test_absurd_hours_are_taken_for_the_nearest() -> None:
    """A context of nonsense gives a lift all the same."""
    assert _lift(MORNING_PERSON, 23, 6) == _lift(MORNING_PERSON, 1e30, 1e30)


def test_tomorrow_on_a_friday_is_the_weekend() -> None:
    """The slots of a timing are those of the day it falls on."""
    table = timing_table((Moment("tomorrow", "tomorrow", (1.0, 0.0)),), HALVES, HOURS)

    assert [0.0, 0.0, 1.0, 0.0] == table[4 * 24, 0].tolist()
    assert [1.0, 0.0, 0.0, 0.0] == table[6 * 24, 0].tolist()
