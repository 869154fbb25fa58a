"""How acceptance varies over the moments of a week, made of the times at which a person shops.

    lift(t) = 1 + damping (d(t) / mean over timings of d - 1),   d(t) = sum over slots of weight(t, slot) density(slot)

density: the person's share of shopping in a part of the week over that part's share of the week's hours. The lifts of
a decision average 1 over its timings: what is known of acceptance comes from contacts at no stated moment, and keeps
its level. The damping is an assumption, not learned: no data here say how people respond to messages at different
moments, only when they shop.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.preparation import Floats32

HOURS_A_WEEK = 168
NO_MOMENT = 7 * 24
"""Row of a table for a decision whose hour or weekday is missing."""
LEAST_DENSITY = 1e-6


class TimingLift(Struct, frozen=True):
    """S parts of the week, T timings."""

    slot_columns: npt.NDArray[np.int64]
    """int64 [S]: profile columns with the person's shares of shopping."""
    slot_hours: Floats32
    """float32 [S]: hours a week of each part."""
    population: Floats32
    """float32 [S]: everybody's shares, for persons without."""
    hour_column: int
    """Context column of the local hour, 0 to 23."""
    weekday_column: int
    """Context column of the local weekday, Monday = 0."""
    table: Floats32
    """float32 [7 x 24 + 1, T, S]: weight of each part in each timing, by weekday x 24 + hour of the decision."""
    damping: float

    def apply(self, profile: Floats32, context: Floats32) -> Floats32:
        """Lifts [n, T] of raw profiles [n, P] in contexts [n, C]."""
        shares = profile[:, self.slot_columns]
        shares = np.clip(np.where(np.isnan(shares), self.population, shares), 0, 1)
        density = shares * (HOURS_A_WEEK / self.slot_hours)
        hour, weekday = context[:, self.hour_column], context[:, self.weekday_column]
        known = ~(np.isnan(hour) | np.isnan(weekday))
        moment = np.floor(np.clip(np.nan_to_num(weekday), 0, 6)) * 24 + np.floor(np.clip(np.nan_to_num(hour), 0, 23))
        rows = self.table[np.where(known, moment, NO_MOMENT).astype(np.int64)]
        at = (rows * density[:, None, :]).sum(2)
        mean = np.maximum(at.mean(1, keepdims=True), LEAST_DENSITY)
        lift: Floats32 = (1 + self.damping * (at / mean - 1)).astype(np.float32)
        return lift


class Moment(Struct, frozen=True):
    """A timing as parts of a day: when it is, and how many of its hours lie in each part."""

    name: str
    day: str
    """`now`: the decision's own hour. `today`, `tomorrow`, `weekend`: hours of that day."""
    hours: tuple[float, ...] = ()
    """Hours in each part of the day."""


def timing_table(moments: Sequence[Moment], part_of_hour: Sequence[int], slot_hours: Sequence[float]) -> Floats32:
    """Weights [7 x 24 + 1, T, S] for slots that are the parts of a weekday, then those of a weekend day.

    part_of_hour: [24], which part of the day an hour belongs to.
    """
    parts = len(slot_hours) // 2
    table = np.zeros((NO_MOMENT + 1, len(moments), 2 * parts))
    for weekday in range(7):
        for hour in range(24):
            for t, moment in enumerate(moments):
                row = table[weekday * 24 + hour, t]
                if moment.day == "now":
                    row[parts * (weekday >= 5) + part_of_hour[hour]] = 1.0
                else:
                    ahead = {"today": weekday, "tomorrow": (weekday + 1) % 7, "weekend": 5}[moment.day]
                    start = parts * (ahead >= 5)
                    row[start : start + parts] = np.array(moment.hours) / sum(moment.hours)
    table[NO_MOMENT] = table[:NO_MOMENT].mean(0)
    for t, moment in enumerate(moments):
        if moment.day == "now":
            table[NO_MOMENT, t] = np.array(slot_hours) / sum(slot_hours)
    return table.astype(np.float32)
