"""The catalog's timings in terms of the Complete Journey's shopping times."""

import numpy as np

from takt.features.matrix import model_columns
from takt.features.spec import FeatureSpec
from takt_training.complete_journey.households import PART_OF_HOUR, SLOT_HOURS, SLOTS, slot_of
from takt_training.complete_journey.tables import Tables
from takt_training.timing import Moment, TimingLift, timing_table

DAMPING = 0.3
"""A moment at which a household shops twice as often as at its other moments counts for 30% more acceptance.
Assumed."""

# Hours in (morning, afternoon, evening, night), as the catalog declares its timings.
MOMENTS = (
    Moment("now", "now"),
    Moment("tonight", "today", (0, 0, 3, 0)),
    Moment("tomorrow_morning", "tomorrow", (3, 0, 0, 0)),
    Moment("tomorrow_evening", "tomorrow", (0, 0, 3, 0)),
    Moment("weekend", "weekend", (2, 5, 1, 0)),
)


def timing_lift(tables: Tables, spec: FeatureSpec) -> TimingLift:
    """The lift of the five timings. Everybody's shopping times are those of `tables`: give what training may know."""
    profile, context = model_columns(spec.profile), model_columns(spec.context)
    baskets = np.bincount(slot_of(tables.baskets.time), minlength=len(SLOTS))
    return TimingLift(
        slot_columns=np.array([profile.index(f"shops_{slot}") for slot in SLOTS], np.int64),
        slot_hours=np.array(SLOT_HOURS, np.float32),
        population=(baskets / baskets.sum()).astype(np.float32),
        hour_column=context.index("hour"),
        weekday_column=context.index("weekday"),
        table=timing_table(MOMENTS, PART_OF_HOUR, SLOT_HOURS),
        damping=DAMPING,
    )
