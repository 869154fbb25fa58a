"""From an archive to what is learned from: read, check, join outcomes, keep what is settled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from takt.catalog.legend import Legend, parse_legend
from takt.errors import NotFoundError, PreconditionError, RecordError
from takt.features.spec import FeatureSpec
from takt_training.archive.directory import files, texts
from takt_training.archive.positions import read_positions
from takt_training.archive.tables import DECISIONS, FEEDBACK
from takt_training.logged.dataset import Decisions, Logged, Offers, Slots, SlotState, taken
from takt_training.logged.goal import Goal
from takt_training.logged.guards import check, used_again
from takt_training.logged.outcomes import Outcomes, join, read_events
from takt_training.logged.reading import Found, read


def load(
    archive: Path,
    spec: FeatureSpec,
    goal: Goal,
    *,
    since_us: int = 0,
    until_us: int | None = None,
    candidates: bool = True,
    tell: Callable[[int], None] = lambda decisions: None,  # noqa: ARG005
) -> Logged:
    """The decisions of an archive whose windows have closed, with their outcomes; packed in the layout of `spec`.

    Earlier decisions than `since_us` are passed over, and nothing is checked of them. `until_us` closes the log
    earlier: later decisions and events are not known then. `candidates` can be left out by whoever judges no policy:
    they are most of what a log takes. `tell` is told how many decisions are read. Raises `NotFoundError` where there is
    nothing to learn from, `PreconditionError` for what must not be.
    """
    positions = read_positions(archive)
    if positions is None:
        raise NotFoundError(f"{archive}: is no archive of a log; make one with `takt log export`")
    through_us = positions.through_us if until_us is None else min(until_us, positions.through_us)
    legends = _legends(archive)
    paths = files(archive, DECISIONS)
    found = read(paths, spec, tell, since_us=since_us, candidates=candidates)
    if found is None:
        raise NotFoundError(f"{archive}: holds no decision" + (" so late" if since_us else ""))
    check(found, paths)
    meanings = {name: does for legend in legends.values() for name, does in legend.events.items()}
    events = read_events(files(archive, FEEDBACK), found, through_us)
    outcomes = join(found, events, goal, meanings, through_us=through_us)
    return _settled(found, outcomes, goal, spec=spec, legends=legends, through_us=through_us)


def _legends(archive: Path) -> dict[str, Legend]:
    legends = {}
    for version, text in texts(archive, "legends").items():
        try:
            legends[version] = parse_legend(text)
        except RecordError as error:
            raise PreconditionError(f"{archive}/legends/{version}.json: {error}") from error
    return legends


def _settled(
    found: Found, outcomes: Outcomes, goal: Goal, *, spec: FeatureSpec, legends: dict[str, Legend], through_us: int
) -> Logged:
    """Decisions whose features can be read and all of whose windows have closed, in the order of time."""
    latest = found.time_us.copy()
    np.maximum.at(latest, found.slot_decision, outcomes.opens_us)
    closed = latest + goal.window_us <= through_us
    again = used_again(found)
    kept = found.readable & closed & ~again
    order = np.flatnonzero(kept)[np.argsort(found.time_us[kept], kind="stable")]
    row_of = np.full(len(kept), -1)
    row_of[order] = np.arange(len(order))
    slots = np.flatnonzero(kept[found.slot_decision])

    def pulled(name: str, rows: npt.NDArray[np.intp]) -> Any:
        # what was read is let go column by column: two copies of everything would not fit
        column = getattr(found, name)
        delattr(found, name)
        return taken(column, rows)

    slots = slots[np.argsort(row_of[found.slot_decision[slots]], kind="stable")]
    names = {name: column.take(order) for name, column in found.names.items()}
    slot_names = {name: column.take(slots) for name, column in found.slot_names.items()}
    slot_names.pop("counted_event")
    state = outcomes.state[slots]
    counts = outcomes.counts | {
        "decisions": len(order),
        "decisions_whose_window_is_open": int((found.readable & ~closed).sum()),
        "decisions_whose_features_cannot_be_read": int((~found.readable).sum()),
        "decisions_whose_id_was_used_again": int(again.sum()),
        "placements_without_a_draw": found.without_draw,
        "no_shows": int((state == SlotState.NO_SHOW).sum()),
        "slots_of_which_nobody_knows": int((state == SlotState.UNKNOWN).sum()),
    }
    return Logged(
        spec=spec,
        decisions=Decisions(
            id=pulled("id", order),
            time_us=pulled("time_us", order),
            person=names.pop("profile_id"),
            attempts=pulled("attempts", order),
            profile=pulled("profile", order),
            known=pulled("known", order),
            context=pulled("context", order),
            **names,
        ),
        slots=Slots(
            decision=row_of[found.slot_decision[slots]],
            slot=pulled("slot", slots),
            offer_propensity=pulled("offer_propensity", slots),
            arm_propensity=pulled("arm_propensity", slots),
            candidates=pulled("candidates", slots),
            score=pulled("score", slots),
            opens_us=outcomes.opens_us[slots],
            state=state,
            happened=outcomes.happened[slots],
            reward=outcomes.reward[slots],
            reached=outcomes.reached.take(slots),
            reacted=outcomes.reacted[slots],
            **slot_names,
        ),
        counts=counts,
        offers={version: Offers(legend.offers, legend.offer, legend.attributes) for version, legend in legends.items()},
        through_us=through_us,
    )
