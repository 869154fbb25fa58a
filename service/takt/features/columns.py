"""A section's array, column by column, as rules read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from takt.features.section import MISSING_TIME, Block

if TYPE_CHECKING:
    from takt.features.section import Section

Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]


class Columns:
    """Columns of n rows of a section. Each is made when it is first asked for, and kept."""

    def __init__(self, section: Section, array: npt.NDArray[np.void]) -> None:
        """`array` is structured `[n]` of `section.dtype`."""
        self.section = section
        self.array = array
        self._made: dict[str, tuple[Values, Bools | None]] = {}

    def __len__(self) -> int:
        return len(self.array)

    def column(self, name: str) -> tuple[Values, Bools | None]:
        """Values `[n]` of a feature and where they are missing, bool `[n]`, or None where they cannot be.

        | type             | values                                                                   |
        |------------------|--------------------------------------------------------------------------|
        | float, int, bool | float64, NaN where missing; 1.0 and 0.0 for true and false               |
        | timestamp        | int64 microseconds, `MISSING_TIME` where missing                         |
        | category         | uint16, 1 + index in the vocabulary (`Place.codes`), 0 where missing     |
        | flags            | uint64 bitset (`Place.codes` are the bits); never missing                |

        Raises `KeyError` for a name that is not declared.
        """
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def _make(self, name: str) -> tuple[Values, Bools | None]:
        """One column out of its block."""
        place = self.section.places[name]
        stored = self.array[place.field][:, place.column]
        match place.block:
            case Block.NUM:
                numbers = stored.astype(np.float64)
                return numbers, np.isnan(numbers)
            case Block.TS:
                return stored, stored == MISSING_TIME
            case Block.CAT:
                return stored, stored == 0
            case Block.FLAGS:
                return stored, None
