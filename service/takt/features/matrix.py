"""What a model sees of a section: one float32 column per number, timestamp and category, one per value of flags.

Columns stand in the order numbers (float, int, bool), timestamps, categories, flags; within each, in the order of
declaration. Features with `model: false` are left out. Missing is NaN, imputed inside the model's graph.

| type             | column             | value                                                         |
|------------------|--------------------|---------------------------------------------------------------|
| float, int, bool | `NAME`             | the number; 1 and 0 for true and false                        |
| timestamp        | `NAME`             | age in days: now minus the timestamp, negative in the future  |
| category         | `NAME`             | index of the value in the vocabulary, from 0                  |
| flags            | `NAME.VALUE`, each | 1 where the value is in the set, else 0                       |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from takt.clock import DAY_US
from takt.features.section import MISSING_TIME, Block, FeatureType

if TYPE_CHECKING:
    from takt.features.section import Feature, Section

COLUMN_ORDER: Final = (Block.NUM, Block.TS, Block.CAT, Block.FLAGS)


def model_features(section: Section) -> tuple[Feature, ...]:
    """The features that a model sees, in the order of their columns."""
    return tuple(feature for block in COLUMN_ORDER for feature in section.blocks[block] if feature.model)


def model_columns(section: Section) -> tuple[str, ...]:
    """Names of the columns of `model_matrix`, P of them."""
    return tuple(name for feature in model_features(section) for name in _columns_of(feature))


def model_matrix(
    section: Section, array: npt.NDArray[np.void], now_us: int | npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The columns of `model_columns` for rows of a section.

    `array` is structured `[n]` of `section.dtype`; `now_us` is one moment, or int64 `[n, 1]`; the result is float32
    `[n, P]`, C-contiguous. The number of array operations does not depend on n or P. Ages are rounded to float32: to
    2 minutes at 27 years.
    """
    picked = _pick(section)
    matrix = np.empty((len(array), picked.width), np.float32)
    if picked.numbers is not None:
        matrix[:, : picked.ages_at] = array["num"][:, picked.numbers]
    if picked.times is not None:
        times = array["ts"][:, picked.times]
        ages = (now_us - times.astype(np.float64)) / DAY_US
        ages[times == MISSING_TIME] = np.nan
        matrix[:, picked.ages_at : picked.categories_at] = ages
    if picked.categories is not None:
        codes = array["cat"][:, picked.categories]
        indices = codes.astype(np.float32)
        indices -= 1.0
        indices[codes == 0] = np.nan
        matrix[:, picked.categories_at : picked.flags_at] = indices
    if picked.flags is not None:
        matrix[:, picked.flags_at :] = (array["flags"][:, picked.flags] & picked.bits) != 0
    return matrix


@dataclass(frozen=True, slots=True, eq=False)
class _Picked:
    """Which columns of each block go into the matrix, and where. None: none of that block."""

    numbers: slice | npt.NDArray[np.int64] | None
    times: slice | npt.NDArray[np.int64] | None
    categories: slice | npt.NDArray[np.int64] | None
    flags: npt.NDArray[np.int64] | None
    """Column in the flags block per matrix column."""
    bits: npt.NDArray[np.uint64]
    """Bit per matrix column."""
    ages_at: int
    categories_at: int
    flags_at: int
    width: int


@lru_cache(maxsize=32)  # some sections of the specs in force; keyed by identity
def _pick(section: Section) -> _Picked:
    """Work out once what `model_matrix` copies."""
    numbers, times, categories = (_selection(section.blocks[block]) for block in COLUMN_ORDER[:3])
    columns = [
        (column, 1 << bit)
        for column, feature in enumerate(section.blocks[Block.FLAGS])
        if feature.model
        for bit in range(len(feature.values))
    ]
    ages_at = _count(section, Block.NUM)
    categories_at = ages_at + _count(section, Block.TS)
    flags_at = categories_at + _count(section, Block.CAT)
    return _Picked(
        numbers=numbers,
        times=times,
        categories=categories,
        flags=np.array([column for column, _ in columns], np.int64) if columns else None,
        bits=np.array([bit for _, bit in columns], np.uint64),
        ages_at=ages_at,
        categories_at=categories_at,
        flags_at=flags_at,
        width=flags_at + len(columns),
    )


def _count(section: Section, block: Block) -> int:
    """Features of a block that a model sees."""
    return sum(feature.model for feature in section.blocks[block])


def _selection(features: tuple[Feature, ...]) -> slice | npt.NDArray[np.int64] | None:
    """Columns of a block that a model sees: a slice where they are adjacent, which copies faster."""
    columns = [column for column, feature in enumerate(features) if feature.model]
    if not columns:
        return None
    if columns[-1] - columns[0] + 1 == len(columns):
        return slice(columns[0], columns[-1] + 1)
    return np.array(columns, np.int64)


def _columns_of(feature: Feature) -> tuple[str, ...]:
    """Names of a feature's columns. A feature's name holds no dot, so they are unique."""
    if feature.type is FeatureType.FLAGS:
        return tuple(f"{feature.name}.{value}" for value in feature.values)
    return (feature.name,)
