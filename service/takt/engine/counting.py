"""How often what became of the requests of a batch, for the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from takt.domain.reasons import Reason
from takt.engine.arrays import Ints, Picked, Table
from takt.kernel import entry
from takt.ports import Counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.engine.compute import Computed

STATUSES: Final = 5
"""One more than the highest `takt.v1.PlacementStatus`."""
REASONS: Final = max(Reason) + 1
NONE: Final = int(Reason.NONE)  # enums are slow to index with


@entry
def count_spots(
    done: Ints,
    first_spot: Ints,
    spots: Table,
    status: Ints,
    placements: Table,
    picked: Picked,
    by_status: Ints,
    by_reason: Ints,
    by_channel: Ints,
) -> None:
    """Count the spots of the requests `done`: statuses [P, STATUSES], reasons [REASONS], offers by channel [H]."""
    for i in done:
        for s in range(first_spot[i], first_spot[i + 1]):
            p = spots[s]["placement"]
            by_status[p, status[s]] += 1
            for o in range(picked.cells.shape[1]):
                by_reason[picked.cells[s, o]["reason"]] += 1
            for k in range(picked.picks.shape[1]):
                if picked.picks[s, k]["offer"] < 0:
                    break
                by_channel[placements[p]["channel"]] += 1


def count(computed: Computed, status: Ints, done: Sequence[int]) -> Counted:
    """What became of the requests at places `done` of the layout; `status` int64 [S] is that of each spot."""
    asking, layout, force = computed.asking, computed.layout, computed.asking.force
    by_status = np.zeros((len(force.catalog.placements), STATUSES), np.int64)
    by_reason = np.zeros(REASONS, np.int64)
    by_channel = np.zeros(len(force.catalog.channels), np.int64)
    count_spots(
        np.array(done, np.int64),
        layout.first_spot,
        computed.asked.spots,
        status,
        force.shelf.placements,
        computed.picked,
        by_status,
        by_reason,
        by_channel,
    )
    by_reason[NONE] = 0
    decisions: dict[tuple[bool, bool], int] = {}
    attempts: dict[int, int] = {}
    dry_run, degraded = asking.dry_run[layout.index].tolist(), computed.degraded
    for i in done:
        dry = dry_run[i]
        key = (degraded[i], dry)
        decisions[key] = decisions.get(key, 0) + 1
        if not dry:
            attempt = layout.items[i].attempt
            attempts[attempt] = attempts.get(attempt, 0) + 1
    causes = computed.causes(done) if any(degraded) else ()
    return Counted(force.catalog, decisions, attempts, causes, by_status, by_reason, by_channel)
