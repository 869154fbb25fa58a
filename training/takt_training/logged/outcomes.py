"""Events joined to the draws that they follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from takt.catalog.legend import RELEASES
from takt_training.archive.features import TIME
from takt_training.logged.dataset import NONE, Bools, Candidates, Codes, Floats, Ints, SlotState
from takt_training.logged.goal import Goal
from takt_training.logged.guards import SKEW_US
from takt_training.logged.reading import Found

COLUMNS: Final = (
    *("partition", "entry_ms", "entry_sequence", "event_id", "type", "decision_id", "profile_id"),
    *("offer", "placement", "occurred_at", "received_at", "value"),
)


class Events(Struct):
    """Events e that can be an outcome, each id once."""

    type: npt.NDArray[np.object_]
    decision: Ints
    """int64 `[e]`: row of the decision that it names, `NONE` where it names none that is known."""
    named: Bools
    """bool `[e]`: it names one, known or not."""
    person: Ints
    """int64 `[e]`: code of the person, `NONE` where nobody is named who was decided for."""
    offer: Codes
    """int32 `[e]`: code of the offer, `NONE` where none is named, `UNKNOWN` where one that was never decided on."""
    placement: Codes
    occurred_us: Ints
    value: Floats
    """float64 `[e]`, NaN where none was reported."""
    duplicates: int
    """Events that were left out because their id stands twice."""

    def __len__(self) -> int:
        return len(self.type)


UNKNOWN: Final = -2
"""Code of a name that was never met."""
_TYPES: Final = {
    "partition": pa.int16(),
    "entry_ms": pa.int64(),
    "entry_sequence": pa.int64(),
    "occurred_at": TIME,
    "received_at": TIME,
    "value": pa.float64(),
}
_NO_EVENTS: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS]).empty_table()


class Outcomes(Struct, frozen=True):
    """What came of each slot `[n]`."""

    opens_us: Ints
    state: npt.NDArray[np.uint8]
    happened: Bools
    reward: Floats
    reached: Candidates
    """Offers that the goal was reported of."""
    reacted: Bools
    counts: dict[str, int]


def read_events(paths: Sequence[Path], found: Found, through_us: int) -> Events:
    """All events of some files that were received by then, in the terms of the decisions."""
    tables = [pq.read_table(path, columns=list(COLUMNS), partitioning=None) for path in paths]
    table = pa.concat_tables([*tables, _NO_EVENTS]).filter(pc.field("received_at") <= pa.scalar(through_us, TIME))
    table = table.sort_by([(name, "ascending") for name in ("partition", "entry_ms", "entry_sequence")])
    ids = np.asarray(table["event_id"].to_pylist(), object)
    _, first = np.unique(ids, return_index=True)
    kept = table.take(pa.array(np.sort(first))).combine_chunks()
    decision = _codes(kept["decision_id"], [name.decode() for name in found.id.tolist()])
    return Events(
        type=np.array(kept["type"].to_pylist(), object),
        decision=np.where(decision == UNKNOWN, NONE, decision).astype(np.int64),
        named=decision != NONE,
        person=_codes(kept["profile_id"], found.names["profile_id"].names).astype(np.int64),
        offer=_codes(kept["offer"], found.slot_names["offer"].names),
        placement=_codes(kept["placement"], found.slot_names["placement"].names),
        occurred_us=np.asarray(kept["occurred_at"].combine_chunks().cast(pa.int64())),
        value=np.asarray(kept["value"].combine_chunks().fill_null(np.nan)),
        duplicates=len(ids) - len(first),
    )


def join(found: Found, events: Events, goal: Goal, meanings: Mapping[str, str], *, through_us: int) -> Outcomes:
    """State and outcome of every slot. `meanings` are what events do to contacts (`Legend.events`)."""
    confirms = np.array([meanings.get(t, "") in {"IMPRESSION", "CLICK"} or t in goal.events for t in events.type], bool)
    impresses = np.array([meanings.get(t, "") == "IMPRESSION" for t in events.type], bool)
    releases = np.array([meanings.get(t, "") == RELEASES for t in events.type], bool)
    succeeds = np.array([t in goal.events for t in events.type], bool)
    event, slot = _named_pairs(found, events)

    n = len(found.slot_decision)
    shown, released = np.zeros(n, bool), np.zeros(n, bool)
    shown[slot[confirms[event]]] = True
    released[slot[releases[event]]] = True
    never = np.iinfo(np.int64).max
    seen_us = np.full(n, never)
    impression = impresses[event]
    np.minimum.at(seen_us, slot[impression], events.occurred_us[event[impression]])
    opens_us = np.where(seen_us < never, seen_us, found.slot_times["not_before"])
    state = _states(found, shown, released, through_us)

    reacted = _reacted(n, event, slot, events, goal, opens_us=opens_us)
    goals = succeeds[event]
    event, slot = event[goals], slot[goals]
    late_us = events.occurred_us[event] - found.time_us[found.slot_decision[slot]]
    too_early = late_us < -SKEW_US
    before_impression = (seen_us[slot] < never) & (events.occurred_us[event] < seen_us[slot]) & ~too_early
    too_late = events.occurred_us[event] >= opens_us[slot] + goal.window_us
    counts = {
        "duplicate_events": events.duplicates,
        "orphan_events": int((events.named & (events.decision == NONE)).sum()),
        "goals_before_the_decision": int(too_early.sum()),
        "goals_before_the_impression": int(before_impression.sum()),
        "goals_after_the_window": int(too_late.sum()),
    }
    kept = ~too_early & ~too_late
    event, slot = event[kept], slot[kept]
    if goal.attribution == "person":
        more_event, more_slot = _person_pairs(found, events, succeeds & (events.decision == NONE), opens_us, goal)
        counts["goals_by_person"] = len(np.unique(more_event))
        event, slot = np.concatenate((event, more_event)), np.concatenate((slot, more_slot))
    else:
        counts["goals_without_decision"] = int((succeeds & ~events.named).sum())
    happened, reward = _aggregated(n, event, slot, events, goal)
    counts["slots_with_several_goals"] = int((np.bincount(slot, minlength=n) > 1).sum())
    return Outcomes(opens_us, state, happened, reward, _reached(n, event, slot, events), reacted, counts)


def _states(found: Found, shown: Bools, released: Bools, through_us: int) -> npt.NDArray[np.uint8]:
    """Whether each draw was seen, as far as anybody reported by `through_us`."""
    counted = found.slot_names["counted_event"]
    at_once = np.array([*(name == "DECISION" for name in counted.names), False])[counted.codes]
    held = found.slot_times["hold_expires"]
    state = np.full(len(shown), SlotState.UNKNOWN, np.uint8)
    state[(held > 0) & (held <= through_us)] = SlotState.NO_SHOW
    state[at_once] = SlotState.SHOWN
    state[released] = SlotState.NO_SHOW
    state[shown] = SlotState.SHOWN
    state[found.slot_names["offer"].codes == NONE] = SlotState.SILENCE
    return state


def _named_pairs(found: Found, events: Events) -> tuple[Ints, Ints]:
    """Every event with each slot of the decision that it names: of its offer and placement, where it names them.

    An event without an offer concerns every offer of the decision; silence only where nothing was said at all.
    """
    order = np.argsort(found.slot_decision, kind="stable")
    first = np.searchsorted(found.slot_decision[order], np.arange(len(found.id) + 1))
    offers = found.slot_names["offer"].codes
    spoken = np.zeros(len(found.id), bool)
    spoken[found.slot_decision[offers != NONE]] = True
    known = np.flatnonzero(events.decision != NONE)
    decision = events.decision[known]
    event, at = _expanded(first[decision], first[decision + 1])
    event = known[event]
    slot = order[at]
    offer, placement = events.offer[event], events.placement[event]
    of_offer = np.where(offer == NONE, (offers[slot] != NONE) | ~spoken[events.decision[event]], offers[slot] == offer)
    of_placement = (placement == NONE) | (found.slot_names["placement"].codes[slot] == placement)
    kept = of_offer & of_placement
    return event[kept], slot[kept]


def _person_pairs(found: Found, events: Events, wanted: Bools, opens_us: Ints, goal: Goal) -> tuple[Ints, Ints]:
    """Every wanted event of a person with each of their slots whose window holds it, and whose offer it may mean."""
    chosen = np.flatnonzero(wanted & (events.person >= 0))
    times = np.unique(events.occurred_us[chosen])
    width = len(times) + 1
    keys = events.person[chosen] * width + np.searchsorted(times, events.occurred_us[chosen])
    order = np.argsort(keys, kind="stable")
    chosen, keys = chosen[order], keys[order]
    person = found.names["profile_id"].codes[found.slot_decision].astype(np.int64) * width
    start = np.searchsorted(keys, person + np.searchsorted(times, opens_us))
    end = np.searchsorted(keys, person + np.searchsorted(times, opens_us + goal.window_us))
    slot, at = _expanded(start, np.maximum(start, end))
    event = chosen[at]
    offer = events.offer[event]
    offers = found.slot_names["offer"].codes[slot]
    kept = (offer == NONE) | (offers == NONE) | (offers == offer)
    return event[kept], slot[kept]


def _aggregated(n: int, event: Ints, slot: Ints, events: Events, goal: Goal) -> tuple[Bools, Floats]:
    """Whether and how much, per slot."""
    happened = np.zeros(n, bool)
    happened[slot] = True
    value = events.value[event]
    value = np.where(np.isnan(value), goal.without_value, value)
    reward = np.full(n, goal.default)
    match goal.aggregate:
        case "sum":
            reward[happened] = 0.0
            np.add.at(reward, slot, value)
        case "max":
            reward[happened] = -np.inf
            np.maximum.at(reward, slot, value)
        case _:
            order = np.argsort(-events.occurred_us[event], kind="stable")  # the earliest is written last
            reward[slot[order]] = value[order]
    return happened, reward


def _reached(n: int, event: Ints, slot: Ints, events: Events) -> Candidates:
    """Offers of the events of each slot, each once."""
    pairs = np.unique(np.stack((slot, events.offer[event].astype(np.int64))), axis=1)
    sizes = np.bincount(pairs[0], minlength=n)
    return Candidates(np.concatenate(([0], np.cumsum(sizes))), pairs[1].astype(np.int32))


def _reacted(n: int, event: Ints, slot: Ints, events: Events, goal: Goal, *, opens_us: Ints) -> Bools:
    """Whether a slot's contact was reacted to negatively before its window closed: by events that name the decision."""
    kinds = np.array([kind in goal.reactions for kind in events.type], bool)
    chosen = kinds[event] & (events.occurred_us[event] < opens_us[slot] + goal.window_us)
    reacted = np.zeros(n, bool)
    reacted[slot[chosen]] = True
    return reacted


def _expanded(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Row and position of every element of half-open ranges, one after the other."""
    sizes = end - start
    row = np.repeat(np.arange(len(sizes)), sizes)
    return row, np.arange(len(row)) + np.repeat(start - np.cumsum(sizes) + sizes, sizes)


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> Codes:
    """Index of each text in `names`, `NONE` where it is empty, `UNKNOWN` where it is another."""
    flat = column.combine_chunks()
    found = pc.index_in(flat, value_set=pa.array(list(names), pa.string())).fill_null(UNKNOWN)
    codes: Codes = np.asarray(found).astype(np.int32)
    empty = np.asarray(pc.equal(flat, ""))
    codes[empty] = NONE
    return codes
