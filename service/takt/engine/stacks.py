"""The moments of several zones, stacked for a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.clock import MINUTE_US
from takt.engine.arrays import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.policy.moments import MomentTables

KEPT: Final = 256
"""Stacks kept before the cache is emptied: most batches of a minute see the same few zones."""


class Stacked(Struct, frozen=True):
    """Moments of Z zones, each in one minute."""

    tables: Tables
    hour: npt.NDArray[np.int64]
    """int64 [Z]: local hour, 0 to 23."""
    weekday: npt.NDArray[np.int64]
    """int64 [Z]: Monday = 0."""


class Stacks:
    """Stacked moments by zones and minutes."""

    def __init__(self, moments: MomentTables, zones: Sequence[str]) -> None:
        """`zones` are the names of the zone codes from 1 on; code 0 is the project's zone."""
        self._moments = moments
        self._names = ("", *zones)
        self._kept: dict[tuple[tuple[int, int], ...], Stacked] = {}

    def of(self, keys: tuple[tuple[int, int], ...]) -> Stacked:
        """Moments of distinct (zone code, minute since the epoch) pairs, in their order."""
        found = self._kept.get(keys)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[keys] = self._stack(keys)
        return found

    def _stack(self, keys: tuple[tuple[int, int], ...]) -> Stacked:
        tables = [self._moments.at(self._names[code], minute * MINUTE_US) for code, minute in keys]
        return Stacked(
            Tables(
                not_before_us=np.stack([m.not_before_us for m in tables]),
                not_after_us=np.stack([m.not_after_us for m in tables]),
                open=np.stack([m.open for m in tables]),
                window_us=np.stack([m.window_us for m in tables]),
                quiet=np.stack([m.quiet for m in tables]),
            ),
            np.array([m.hour for m in tables], np.int64),
            np.array([m.weekday for m in tables], np.int64),
        )
