"""A batch laid out for kernels: requests grouped by person, spots and rows numbered, moments stacked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from takt.clock import MINUTE_US
from takt.domain.decision import decision_id, ledger_code
from takt.domain.ledger import EMPTY, code8
from takt.engine.arrays import REQUEST, SPOT, Asked, Tables, Totals
from takt.exploration.draws import request_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.domain.request import DecideRequest
    from takt.domain.totals import Pool
    from takt.engine.force import Force


@dataclass(frozen=True, slots=True)
class Item:
    """One request with what was read for it."""

    index: int
    """Position in the caller's batch."""
    request: DecideRequest
    digest: bytes
    profile_id: str
    record: bytes | None
    ledger: bytes = EMPTY
    now_us: int = 0
    attempt: int = 1
    partition: int = 0
    """Where the person's totals are held, if any total cap is in force."""
    pools: Mapping[bytes, Pool] = field(default_factory=dict)
    """What is held there."""

    @property
    def origin(self) -> int:
        """Ledger code of the namespace the person was named in; 0 for a profile id."""
        return code8(self.request.identities[0].namespace) if self.request.identities else 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a batch stands. Items are in the order of the groups."""

    items: tuple[Item, ...]
    decisions: tuple[str, ...]
    """Decision id per item."""
    group_first: npt.NDArray[np.int64]
    """int64 [groups + 1]."""
    first_spot: npt.NDArray[np.int64]
    placement: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]
    row_item: npt.NDArray[np.int64]
    """int64 [Q]: item of each row (request and channel)."""
    row_channel: npt.NDArray[np.int64]
    now_us: npt.NDArray[np.int64]
    """int64 [items]."""

    def room(self) -> list[int]:
        """How many contacts each group could make."""
        per_item = np.add.reduceat(self.slots, self.first_spot[:-1])
        return [int(n) for n in np.add.reduceat(per_item, self.group_first[:-1])]


def lay_out(force: Force, items: Sequence[Item]) -> Layout:
    """Group items by person, dry runs apart (they must not weigh on real ones), and number their spots and rows.

    Every item is valid, and so has at least one placement.
    """
    groups: dict[tuple[str, int], list[Item]] = {}
    for item in items:
        key = (item.profile_id, 1 + item.index if item.request.dry_run else 0)
        groups.setdefault(key, []).append(item)
    ordered = [item for group in groups.values() for item in group]
    first_spot: list[int] = [0]
    placement: list[int] = []
    row: list[int] = []
    slots: list[int] = []
    row_item: list[int] = []
    row_channel: list[int] = []
    for i, item in enumerate(ordered):
        rows: dict[int, int] = {}
        for ask in item.request.placements:
            p = force.placement_index[ask.placement]
            declared = force.catalog.placements[p]
            if declared.channel not in rows:
                rows[declared.channel] = len(row_item)
                row_item.append(i)
                row_channel.append(declared.channel)
            placement.append(p)
            row.append(rows[declared.channel])
            slots.append(min(ask.max_offers or declared.max_offers, declared.max_offers))
        first_spot.append(len(placement))
    sizes = [len(group) for group in groups.values()]
    return Layout(
        items=tuple(ordered),
        decisions=tuple(decision_id(item.profile_id, item.request.request_id) for item in ordered),
        group_first=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        first_spot=np.array(first_spot, np.int64),
        placement=np.array(placement, np.int64),
        row=np.array(row, np.int64),
        slots=np.array(slots, np.int64),
        row_item=np.array(row_item, np.int64),
        row_channel=np.array(row_channel, np.int64),
        now_us=np.array([item.now_us for item in ordered], np.int64),
    )


@dataclass(frozen=True, slots=True)
class Zones:
    """The batch's moments: one table per distinct zone and minute."""

    tables: Tables
    of_item: npt.NDArray[np.int64]
    """int64 [items]: index into the tables."""
    hour: npt.NDArray[np.int64]
    """int64 [items]: local hour, 0 to 23."""
    weekday: npt.NDArray[np.int64]


def zones(force: Force, codes: npt.NDArray[np.integer], now_us: npt.NDArray[np.int64]) -> Zones:
    """Moments for items with these zone codes (0 = unknown: the project's zone) at these times."""
    names = force.catalog.spec.person.time_zones
    minutes = now_us // MINUTE_US
    keys, of_item = np.unique(np.stack((codes.astype(np.int64), minutes)), axis=1, return_inverse=True)
    found = [force.moments.at(names[code - 1] if code else "", int(minute) * MINUTE_US) for code, minute in keys.T]
    tables = Tables(
        not_before_us=np.stack([m.not_before_us for m in found]),
        not_after_us=np.stack([m.not_after_us for m in found]),
        open=np.stack([m.open for m in found]),
        window_us=np.stack([m.window_us for m in found]),
        quiet=np.stack([m.quiet for m in found]),
    )
    of_item = of_item.reshape(-1).astype(np.int64)
    hours = np.array([m.hour for m in found], np.int64)
    weekdays = np.array([m.weekday for m in found], np.int64)
    return Zones(tables, of_item, hours[of_item], weekdays[of_item])


def allowed_timings(force: Force, layout: Layout) -> npt.NDArray[np.bool_]:
    """Bool [items, T]: slots that the callers allow."""
    n_timings = len(force.catalog.timings)
    timings = np.ones((len(layout.items), n_timings), np.bool_)
    for i, item in enumerate(layout.items):
        if item.request.timings:
            timings[i] = False
            timings[i, [force.timing_index[t] for t in item.request.timings]] = True
    return timings


def asked(
    layout: Layout, profiles: npt.NDArray[np.void], where: Zones, timings: npt.NDArray[np.bool_], totals: Totals
) -> Asked:
    """The batch as the selection kernel takes it. `profiles` is structured [items], the records as read."""
    requests = np.zeros(len(layout.items), REQUEST)
    requests["seed"] = [request_seed(item.request.request_id) for item in layout.items]
    requests["decision"] = [ledger_code(d) for d in layout.decisions]
    requests["now_us"] = layout.now_us
    requests["zone"] = where.of_item
    requests["address"] = profiles["address"]
    requests["locale"] = profiles["locale"]
    requests["distinct"] = [not item.request.allow_duplicates for item in layout.items]
    spots = np.zeros(len(layout.placement), SPOT)
    spots["placement"] = layout.placement
    spots["row"] = layout.row
    spots["slots"] = layout.slots
    return Asked(layout.group_first, layout.first_spot, requests, timings, spots, totals)
