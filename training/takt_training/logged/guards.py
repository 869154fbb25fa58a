"""What makes an archive unfit to learn from: refused with what, where, and what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from takt.clock import MINUTE_US
from takt.errors import PreconditionError
from takt.ports import SNAPSHOT_LIMIT_US
from takt_training.logged.dataset import Bools, Ints
from takt_training.logged.reading import Found

SKEW_US: Final = 5 * MINUTE_US
"""By how much clocks may differ: as for feedback."""


def check(found: Found, paths: Sequence[Path]) -> None:
    """Raise `PreconditionError` unless every decision stands once, in the order of time, after what it was made on."""
    check_once(found, paths)
    order = np.lexsort((found.entry_sequence, found.entry_ms, found.partition))
    check_entries(found, order, paths)
    check_times(found, order, paths)
    check_features(found, paths)


def check_once(found: Found, paths: Sequence[Path]) -> None:
    """No decision stands twice: a file that was copied counts every outcome twice."""
    order = np.lexsort((found.time_us, found.id))
    ids, times = found.id[order], found.time_us[order]
    again = np.flatnonzero((ids[1:] == ids[:-1]) & (times[1:] == times[:-1]))
    if again.size:
        first, second = order[again[0]], order[again[0] + 1]
        raise PreconditionError(
            f"{len(again):,} decisions stand twice, the first is {found.id[first].decode()}, in "
            f"{_named(paths, found, first)} and in {_named(paths, found, second)}: files were copied, or archives "
            "put together; keep what `takt log export` wrote, once"
        )


def used_again(found: Found) -> Bools:
    """Bool `[d]`: decisions whose id another one has.

    A caller may use a request id anew once the store has forgotten it, and a decision's id follows from it. Events that
    name such a decision could belong to either.
    """
    _, of, counts = np.unique(found.id, return_inverse=True, return_counts=True)
    return np.asarray(counts[of] > 1)


def check_entries(found: Found, order: Ints, paths: Sequence[Path]) -> None:
    """No place of the log is held by two decisions."""
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in (found.partition, found.entry_ms, found.entry_sequence):
        same &= column[order][1:] == column[order][:-1]
    at = np.flatnonzero(same)
    if at.size:
        first, second = order[at[0]], order[at[0] + 1]
        raise PreconditionError(
            f"entry {found.entry_ms[first]}-{found.entry_sequence[first]} of partition {found.partition[first]} is "
            f"held by two decisions, in {_named(paths, found, first)} and in {_named(paths, found, second)}: one of "
            "the files is not what `takt log export` wrote"
        )


def check_times(found: Found, order: Ints, paths: Sequence[Path]) -> None:
    """Decisions of a partition stand in the order in which they were committed.

    A decision is told at the moment of its snapshot, which may be as old as a store allows and no older.
    """
    times = found.time_us[order]
    partitions = found.partition[order]
    starts = np.flatnonzero(np.concatenate(([True], partitions[1:] != partitions[:-1])))
    latest = times.copy()
    for start, end in zip(starts, [*starts[1:], len(times)], strict=True):
        latest[start:end] = np.maximum.accumulate(times[start:end])
    back = np.flatnonzero(latest - times > SNAPSHOT_LIMIT_US)
    if back.size:
        late = order[back[0]]
        minutes = (latest[back[0]] - times[back[0]]) / MINUTE_US
        raise PreconditionError(
            f"times run backwards for {len(back):,} of {len(times):,} decisions: {found.id[late].decode()} in "
            f"{_named(paths, found, late)} is entry {found.entry_ms[late]}-{found.entry_sequence[late]} of partition "
            f"{found.partition[late]}, decided {_time(found.time_us[late])}, and stands behind one decided "
            f"{minutes:,.1f} minutes later; a log allows {SNAPSHOT_LIMIT_US // 1_000_000} s. The column decided_at was "
            "changed or shuffled"
        )


def check_features(found: Found, paths: Sequence[Path]) -> None:
    """No decision was made on a profile that was written after it."""
    future = np.flatnonzero(found.written_us > found.time_us + SKEW_US)
    if future.size:
        first = future[0]
        raise PreconditionError(
            f"{len(future):,} decisions were made on a profile that was written later: {found.id[first].decode()} in "
            f"{_named(paths, found, first)} was decided {_time(found.time_us[first])}, its profile was written "
            f"{_time(found.written_us[first])}. What was not known cannot be learned from"
        )


def _named(paths: Sequence[Path], found: Found, row: np.intp) -> str:
    path = paths[found.file[row]]
    return f"{path.parent.name}/{path.name}"


def _time(at_us: np.int64) -> str:
    return f"{np.datetime64(int(at_us), 'us')}Z"
