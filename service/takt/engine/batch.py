"""A batch laid out for kernels: requests grouped by person, spots and rows numbered, moments stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from takt.clock import MINUTE_US
from takt.domain.decision import decision_bytes, person_address
from takt.domain.ledger import EMPTY, code8
from takt.engine.arrays import REQUEST, SPOT, Asked, Tables, Totals
from takt.engine.asking import spans
from takt.exploration.draws import request_seed
from takt.kernel import kernel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.domain.totals import Pool
    from takt.engine.asking import Asking
    from takt.engine.force import Force


class Item(Struct):
    """One request of an `Asking` with what was read for it. Changed in place from attempt to attempt."""

    index: int
    """Position in the asking."""
    request_id: str
    profile_id: str
    """Who is meant now: a merge that is met on the way may lead to another."""
    seed: int
    address: bytes = b""
    """`takt.domain.decision.person_address` of the profile."""
    decision: bytes = b""
    """The decision's id, 24 bytes."""
    record: bytes | None = None
    ledger: bytes = EMPTY
    now_us: int = 0
    attempt: int = 1
    partition: int = 0
    """Where the person's totals are held, if any total cap is in force."""
    pools: Mapping[bytes, Pool] = field(default_factory=dict)
    """What is held there."""

    def name(self, profile_id: str) -> None:
        """Decide for this person from now on."""
        self.profile_id = profile_id
        self.address = person_address(profile_id)
        self.decision = decision_bytes(profile_id, self.request_id, self.address)


def item(asking: Asking, index: int, profile_id: str) -> Item:
    """A request whose person is known."""
    request_id = asking.request_ids[index]
    made = Item(index, request_id, profile_id, request_seed(request_id))
    made.name(profile_id)
    return made


class Layout(Struct, frozen=True):
    """Where everything of a batch stands. Items are in the order of the groups."""

    items: list[Item]
    index: npt.NDArray[np.int64]
    """int64 [items]: their positions in the asking."""
    group_first: npt.NDArray[np.int64]
    """int64 [groups + 1]."""
    first_spot: npt.NDArray[np.int64]
    """int64 [items + 1]."""
    placement: npt.NDArray[np.int64]
    """int64 [S]."""
    slots: npt.NDArray[np.int64]
    spots: npt.NDArray[np.void]
    """`SPOT` [S]: the same with the row of each."""
    row_item: npt.NDArray[np.int64]
    """int64 [Q]: item of each row (request and channel)."""
    row_channel: npt.NDArray[np.int64]
    now_us: npt.NDArray[np.int64]
    """int64 [items]."""
    room: npt.NDArray[np.int64]
    """int64 [groups]: how many contacts each group could make."""
    most_slots: int
    """Of any spot."""

    @property
    def row(self) -> npt.NDArray[np.int64]:
        """int64 [S]: row of each spot."""
        return self.spots["row"]


@kernel
def number_rows(
    group_first: npt.NDArray[np.int64],
    first_spot: npt.NDArray[np.int64],
    placement: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    placement_channel: npt.NDArray[np.int64],
    spots: npt.NDArray[np.void],
    row_item: npt.NDArray[np.int64],
    row_channel: npt.NDArray[np.int64],
    room: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Give all spots of a request on one channel the same row; how many rows there are, and the most slots of a spot.

    `placement_channel` [P] is the catalog's; `spots`, `row_item` and `row_channel` [S] and `room` [groups] are written.
    """
    rows, most = 0, 0
    for g in range(group_first.shape[0] - 1):
        room[g] = 0
        for i in range(group_first[g], group_first[g + 1]):
            own = rows
            for s in range(first_spot[i], first_spot[i + 1]):
                channel = placement_channel[placement[s]]
                q = own
                while q < rows and row_channel[q] != channel:
                    q += 1
                if q == rows:
                    row_item[q] = i
                    row_channel[q] = channel
                    rows += 1
                spots[s]["placement"] = placement[s]
                spots[s]["row"] = q
                spots[s]["slots"] = slots[s]
                room[g] += slots[s]
                most = max(most, slots[s])
    return rows, most


def grouped(asking: Asking, items: Sequence[Item]) -> tuple[list[Item], npt.NDArray[np.int64]]:
    """Items by person, dry runs apart (they must not weigh on real ones), and where each group begins."""
    if len({item.address for item in items}) == len(items):
        return list(items), np.arange(len(items) + 1)
    groups: dict[tuple[bytes, int], list[Item]] = {}
    for item in items:
        key = (item.address, 1 + item.index if asking.dry_run[item.index] else 0)
        groups.setdefault(key, []).append(item)
    sizes = [len(group) for group in groups.values()]
    return [item for group in groups.values() for item in group], np.concatenate(([0], np.cumsum(sizes)))


def lay_out(asking: Asking, items: Sequence[Item]) -> Layout:
    """Group items by person, and number their spots and rows. Every item has at least one placement."""
    ordered, group_first = grouped(asking, items)
    indices = [item.index for item in ordered]
    index = np.array(indices, np.int64)
    if indices == list(range(len(asking))):
        placement, slots, first_spot = asking.placement, asking.slots, asking.first_ask
    else:
        wanted, first_spot = spans(asking.first_ask, index)
        placement, slots = asking.placement[wanted], asking.slots[wanted]
    count = len(placement)
    spots, row_item, row_channel = np.empty(count, SPOT), np.empty(count, np.int64), np.empty(count, np.int64)
    room = np.empty(len(group_first) - 1, np.int64)
    rows, most_slots = number_rows(
        group_first,
        first_spot,
        placement,
        slots,
        asking.force.placement_channel,
        spots,
        row_item,
        row_channel,
        room,
    )
    return Layout(
        items=ordered,
        index=index,
        group_first=group_first,
        first_spot=first_spot,
        placement=placement,
        slots=slots,
        spots=spots,
        row_item=row_item[:rows],
        row_channel=row_channel[:rows],
        now_us=np.array([item.now_us for item in ordered], np.int64),
        room=room,
        most_slots=most_slots,
    )


class Zones(Struct, frozen=True):
    """The batch's moments: one table per distinct zone and minute."""

    tables: Tables
    of_item: npt.NDArray[np.int64]
    """int64 [items]: index into the tables."""
    hour: npt.NDArray[np.int64]
    """int64 [items]: local hour, 0 to 23."""
    weekday: npt.NDArray[np.int64]


def zones(force: Force, codes: npt.NDArray[np.integer], now_us: npt.NDArray[np.int64]) -> Zones:
    """Moments for items with these zone codes (0 = unknown: the project's zone) at these times."""
    minutes = now_us // MINUTE_US
    keys = list(zip(codes.tolist(), minutes.tolist(), strict=True))
    place: dict[tuple[int, int], int] = {}
    of_item = np.array([place.setdefault(key, len(place)) for key in keys], np.int64)
    stacked = force.stacks.of(tuple(place))
    return Zones(stacked.tables, of_item, stacked.hour[of_item], stacked.weekday[of_item])


def asked(
    asking: Asking,
    layout: Layout,
    profiles: npt.NDArray[np.void],
    where: Zones,
    timings: npt.NDArray[np.bool_],
    totals: Totals,
    known_us: npt.NDArray[np.int64],
) -> Asked:
    """The batch as the selection kernel takes it. `profiles` is structured [items], the records as read.

    `known_us` int64 [groups]: contacts that lapsed before may be missing from the group's ledger.
    """
    requests = np.empty(len(layout.items), REQUEST)
    requests["seed"] = [item.seed for item in layout.items]
    requests["decision"] = np.frombuffer(b"".join([item.decision[:8] for item in layout.items]), "<u8")
    requests["now_us"] = layout.now_us
    requests["zone"] = where.of_item
    requests["address"] = profiles["address"]
    requests["locale"] = profiles["locale"]
    requests["known_us"] = known_us.repeat(np.diff(layout.group_first)) if np.count_nonzero(known_us) else 0
    requests["distinct"] = asking.distinct[layout.index]
    return Asked(layout.group_first, layout.first_spot, requests, timings, layout.spots, totals)


def origins(asking: Asking, layout: Layout) -> npt.NDArray[np.uint8]:
    """uint8 [items]: ledger code of the namespace each person was named in; 0 for a profile id."""
    if not asking.identities:
        return np.zeros(len(layout.items), np.uint8)
    named = [asking.identities.get(item.index) for item in layout.items]
    return np.array([code8(names[0].namespace) if names else 0 for names in named], np.uint8)
