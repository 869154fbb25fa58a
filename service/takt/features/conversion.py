"""Rows of an older layout as rows of the current one, by name: of features, values, consents, zones and locales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from takt.features.section import MISSING_TIME, Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.features.layout import Layout
    from takt.features.section import Person, Section

Rows = npt.NDArray[np.void]


class Conversion:
    """How rows of one older layout become rows of the current one. Worked out once; the work per batch is per feature.

    - A feature of the same name and type is copied; values of a vocabulary are matched by name.
    - A value, consent, zone or locale that is no longer declared is missing, or not given.
    - A feature whose type changed is missing; one that is new has its default; one that is gone is dropped.
    """

    def __init__(self, old: Layout, person: Person, profile: Section) -> None:
        """`person` and `profile` are those of the current spec."""
        self.dtype = old.profile.dtype
        """Of the older rows."""
        self.size = self.dtype.itemsize
        self._zones = _codes(old.person.time_zones, person.time_zones)
        self._locales = _codes(old.person.locales, person.locales)
        self._consents = _bits(old.person.consents, person.consents)
        copied: dict[Block, list[tuple[int, int]]] = {Block.NUM: [], Block.TS: []}
        self._changed: list[tuple[Block, int]] = []
        self._categories: list[tuple[int, int, npt.NDArray[np.uint16]]] = []
        self._flags: list[tuple[int, int, list[tuple[int, int]]]] = []
        for name, place in profile.places.items():
            before = old.profile.places.get(name)
            if before is None:
                continue
            if before.feature.type is not place.feature.type:
                self._changed.append((place.block, place.column))
            elif place.block is Block.CAT:
                codes = _codes(before.feature.values, place.feature.values)
                self._categories.append((before.column, place.column, codes))
            elif place.block is Block.FLAGS:
                bits = _bits(before.feature.values, place.feature.values)
                self._flags.append((before.column, place.column, bits))
            else:
                copied[place.block].append((before.column, place.column))
        self._copies = [(block, *np.array(pairs, np.int64).reshape(-1, 2).T) for block, pairs in copied.items()]

    def convert(self, old: Rows, default: Rows) -> Rows:
        """`[n]` rows of the current layout from `[n]` of the older one, whose codes must be within their vocabulary.

        `default` is the current default row `[1]`; its `layout` is taken over.
        """
        new = np.repeat(default, len(old))
        for header in ("written_us", "address", "state"):
            new[header] = old[header]
        new["zone"] = self._zones[old["zone"]]
        new["locale"] = self._locales[old["locale"]]
        new["consents"] = _moved(old["consents"], self._consents)
        for block, column in self._changed:
            new[block.value][:, column] = _MISSING[block]
        for block, sources, targets in self._copies:
            if sources.size:
                new[block.value][:, targets] = old[block.value][:, sources]
        for source, target, codes in self._categories:
            new["cat"][:, target] = codes[old["cat"][:, source]]
        for source, target, bits in self._flags:
            new["flags"][:, target] = _moved(old["flags"][:, source], bits)
        return new


_MISSING = {Block.NUM: np.nan, Block.TS: MISSING_TIME, Block.CAT: 0, Block.FLAGS: 0}


def _codes(old: Sequence[str], new: Sequence[str]) -> npt.NDArray[np.uint16]:
    """uint16 `[1 + old]`: the current code of each older code (0 = missing, else 1 + index), 0 where it is gone."""
    now = {name: 1 + i for i, name in enumerate(new)}
    return np.array([0, *(now.get(name, 0) for name in old)], np.uint16)


def _bits(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Older and current bit of each name that is still declared."""
    now = {name: 1 << i for i, name in enumerate(new)}
    return [(1 << i, now[name]) for i, name in enumerate(old) if name in now]


def _moved(sets: npt.NDArray[np.uint64], bits: list[tuple[int, int]]) -> npt.NDArray[np.uint64]:
    """Bitsets `[n]` with every bit moved to its current place."""
    unmoved = sum(before for before, after in bits if before == after)
    moved = sets & np.uint64(unmoved)
    for before, after in bits:
        if before != after:
            moved |= np.where(sets & np.uint64(before), np.uint64(after), np.uint64(0))
    return moved
