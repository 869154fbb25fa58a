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

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from takt.clock import DAY_US
from takt.features.blocks import Blocks, blocks_of
from takt.features.section import MISSING_TIME, Block, FeatureType
from takt.kernel import entry

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
    `[n, P]`, C-contiguous. Ages are rounded to float32: to 2 minutes at 27 years.
    """
    rows = np.arange(len(array))
    moments = (
        np.full(len(array), now_us, np.int64) if np.ndim(now_us) == 0 else np.ascontiguousarray(now_us).reshape(-1)
    )
    return matrix_of(section, blocks_of(array), rows, moments)


def matrix_of(
    section: Section, blocks: Blocks, rows: npt.NDArray[np.int64], now_us: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """As `model_matrix`, for int64 `[n]` rows of a section's blocks at int64 `[n]` moments."""
    columns = _columns(section)
    matrix = np.empty((len(rows), len(columns)), np.float32)
    fill_matrix(blocks, rows, now_us, columns, matrix)
    return matrix


COLUMN: Final = np.dtype([("block", "<i8"), ("column", "<i8"), ("bit", "<i8")])
"""Where a column of the matrix comes from: index of the block in `COLUMN_ORDER`, column in it, and which flag."""
NUMBERS: Final = COLUMN_ORDER.index(Block.NUM)
TIMES: Final = COLUMN_ORDER.index(Block.TS)
CATEGORIES: Final = COLUMN_ORDER.index(Block.CAT)


@entry
def fill_matrix(
    blocks: Blocks,
    rows: npt.NDArray[np.int64],
    now_us: npt.NDArray[np.int64],
    columns: npt.NDArray[np.void],
    matrix: npt.NDArray[np.float32],
) -> None:
    """Write what the model sees of `rows` [n] to `matrix` float32 [n, P]; `columns` is `COLUMN` [P]."""
    for q in range(rows.shape[0]):
        row = rows[q]
        for p in range(columns.shape[0]):
            block, column = columns[p]["block"], columns[p]["column"]
            if block == NUMBERS:
                matrix[q, p] = blocks.num[row, column]
            elif block == TIMES:
                time_us = blocks.ts[row, column]
                matrix[q, p] = np.nan if time_us == MISSING_TIME else (now_us[q] - float(time_us)) / DAY_US
            elif block == CATEGORIES:
                code = blocks.cat[row, column]
                matrix[q, p] = np.nan if code == 0 else float(code) - 1.0
            else:
                flags = blocks.flags[row, column]
                matrix[q, p] = (flags >> np.uint64(columns[p]["bit"])) & np.uint64(1)


@lru_cache(maxsize=32)  # some sections of the specs in force; keyed by identity
def _columns(section: Section) -> npt.NDArray[np.void]:
    """`COLUMN` [P]: where the matrix of a section comes from, worked out once."""
    found = [
        (n, column, bit)
        for n, block in enumerate(COLUMN_ORDER)
        for column, feature in enumerate(section.blocks[block])
        if feature.model
        for bit in range(len(feature.values) if block is Block.FLAGS else 1)
    ]
    return np.array(found, COLUMN)


def _columns_of(feature: Feature) -> tuple[str, ...]:
    """Names of a feature's columns. A feature's name holds no dot, so they are unique."""
    if feature.type is FeatureType.FLAGS:
        return tuple(f"{feature.name}.{value}" for value in feature.values)
    return (feature.name,)
