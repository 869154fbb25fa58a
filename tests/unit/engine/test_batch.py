"""A batch is laid out for kernels as a plain loop would lay it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from takt.clock import SECOND_US
from takt.domain.ledger import EMPTY, ENTRY, HEADER
from takt.engine.arrays import SPOT
from takt.engine.batch import number_rows
from takt.engine.force import force
from takt.engine.ledgers import join
from takt.model.prior import ConstantScorer

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog

CHANNELS = np.array([0, 1, 0, 2])
"""Of placements 0 to 3."""
ASKS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=4)
"""Placements and slots of a request."""


@given(st.lists(st.lists(ASKS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_rows_are_requests_and_channels(groups: list[list[list[tuple[int, int]]]]) -> None:
    """Every channel of a request has one row, in the order in which it is first asked for."""
    requests = [asks for group in groups for asks in group]
    asked = [(i, p, k) for i, asks in enumerate(requests) for p, k in asks]
    rows = list(dict.fromkeys((i, int(CHANNELS[p])) for i, p, _ in asked))
    expected = [(p, rows.index((i, int(CHANNELS[p]))), k) for i, p, k in asked]
    group_first = np.cumsum([0, *map(len, groups)])
    first_spot = np.cumsum([0, *map(len, requests)])
    placement, slots = np.array([p for _, p, _ in asked]), np.array([k for _, _, k in asked])
    for number in (number_rows, number_rows.py_func):  # type: ignore[attr-defined]
        spots, room = np.empty(len(asked), SPOT), np.empty(len(groups), np.int64)
        item, channel = np.empty(len(asked), np.int64), np.empty(len(asked), np.int64)

        found = number(group_first, first_spot, placement, slots, CHANNELS, spots, item, channel, room)

        assert (len(rows), slots.max()) == found
        assert expected == spots.tolist()
        assert rows == list(zip(item[: len(rows)].tolist(), channel[: len(rows)].tolist(), strict=True))
        assert [sum(k for asks in group for _, k in asks) for group in groups] == room.tolist()


def test_ledgers_are_joined_with_room_behind_each(minimal: Catalog) -> None:
    """Each is read as it would be alone; what the catalog does not know is -1."""
    forced = force(minimal, ConstantScorer())
    header = np.frombuffer(EMPTY, HEADER).copy()
    header["gate"], header["appends"], header["lapsed_before_s"] = 3, 9, 7
    entries = np.zeros(2, ENTRY)
    entries["time_us"], entries["expiry_s"] = [5, 6], [0, 8]
    entries["offer"] = [minimal.offer_codes[-1], 1]
    ledgers = [EMPTY, header.tobytes() + entries.tobytes(), EMPTY]

    joined = join(forced, ledgers, np.array([1, 2, 0]))

    assert ([0, 1, 5], [0, 3, 5], 4) == (joined.first.tolist(), joined.end.tolist(), joined.longest)
    assert ([0, 3, 0], [0, 9, 0], [0, 7 * SECOND_US, 0]) == (joined.gate, joined.appends, joined.known_us.tolist())
    assert 5 == len(joined.contacts)
    own = joined.contacts[1:3]
    assert [len(minimal.offers) - 1, -1] == own["offer"].tolist()
    assert ([5, 6], [5, 6 + 8 * SECOND_US]) == (own["time_us"].tolist(), own["ends_us"].tolist())
