"""Features of one section (profile, context or offer) and how a row of them is stored.

A row is stored in blocks, one per kind of storage, so that a batch of rows is a few contiguous pieces:

| block   | dtype | types                | missing        |
|---------|-------|----------------------|----------------|
| `ts`    | `<i8` | timestamp            | `MISSING_TIME` |
| `flags` | `<u8` | flags                | none: empty    |
| `num`   | `<f4` | float, int, bool     | NaN            |
| `cat`   | `<u2` | category             | 0              |

Within a block, features stand in the order of their declaration. A category is stored as 1 + the index of its value,
flags as a bitset whose bit i is value i.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.domain.request import Scalar

MISSING_TIME: Final = -(2**63)
"""A timestamp that is missing."""
INT_BOUND: Final = 2**24
"""Whole numbers up to this magnitude are exact in a float32."""
FLOAT_BOUND: Final = float(str(np.finfo(np.float32).max))
"""The largest float32 as a decimal; a little more than its value, and packed as it."""
TIME_BOUND: Final = 2**62
"""Microseconds; some 146,000 years either side, so that differences of two never overflow."""
MOST_FLAGS: Final = 64
MOST_VALUES: Final = 2**16 - 1

RECORD_HEADER: Final = np.dtype(
    [
        ("layout", "<u8"),  # fingerprint of the layout that the record is packed in
        ("written_us", "<i8"),  # when it was packed
        ("consents", "<u8"),  # bit i: person.consents[i] is given
        ("locale", "<u2"),  # 0 = unknown, else 1 + index in person.locales
        ("zone", "<u2"),  # 0 = unknown, else 1 + index in person.time_zones
        ("address", "u1"),  # takt.domain.person.Address
        ("state", "u1"),  # takt.domain.person.RecordState
        ("spare", "V2"),
    ]
)
"""32 bytes before the blocks of a profile record."""


class FeatureType(StrEnum):
    """What a feature's values are."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    CATEGORY = "category"
    FLAGS = "flags"
    TIMESTAMP = "timestamp"


class Sensitivity(StrEnum):
    """How carefully a feature must be handled."""

    NONE = "none"
    PERSONAL = "personal"
    SPECIAL = "special"
    """A special category in the sense of GDPR article 9."""


class Source(StrEnum):
    """Who fills a context feature."""

    CALLER = "caller"
    SERVICE = "service"


class Block(StrEnum):
    """Where a feature is stored."""

    TS = "ts"
    FLAGS = "flags"
    NUM = "num"
    CAT = "cat"


BLOCK_OF: Final[Mapping[FeatureType, Block]] = {
    FeatureType.FLOAT: Block.NUM,
    FeatureType.INT: Block.NUM,
    FeatureType.BOOL: Block.NUM,
    FeatureType.CATEGORY: Block.CAT,
    FeatureType.FLAGS: Block.FLAGS,
    FeatureType.TIMESTAMP: Block.TS,
}

_DTYPE_OF: Final[Mapping[Block, str]] = {Block.TS: "<i8", Block.FLAGS: "<u8", Block.NUM: "<f4", Block.CAT: "<u2"}

_ACCEPTED: Final[Mapping[FeatureType, tuple[type, ...]]] = {
    FeatureType.FLOAT: (float, int),
    FeatureType.INT: (int,),
    FeatureType.BOOL: (bool,),
    FeatureType.CATEGORY: (str,),
    FeatureType.FLAGS: (tuple,),
    FeatureType.TIMESTAMP: (int,),
}


class Feature(Struct, frozen=True):
    """One declared feature."""

    name: str
    type: FeatureType
    default: Scalar | None = None
    """Stored where no value is given; None = missing."""
    low: float | None = None
    """Least value accepted at the edge; microseconds for a timestamp."""
    high: float | None = None
    values: tuple[str, ...] = ()
    """Vocabulary of a category or of flags; order is what is stored."""
    sensitivity: Sensitivity = Sensitivity.NONE
    model: bool = True
    """False: for rules only, no model sees it."""
    source: Source = Source.CALLER
    description: str = ""


class Place(Struct, frozen=True, eq=False):
    """Where a feature's values are stored and which values are accepted."""

    feature: Feature
    block: Block
    field: str
    """The block's name in a dtype; plain text, since hashing an enum is slow."""
    column: int
    """Position within the block."""
    accepts: tuple[type, ...]
    """Exact Python types of a value: a bool is not an int here."""
    low: float
    high: float
    """Bounds of a number or timestamp, declared or those of its storage."""
    codes: Mapping[str, int]
    """What is stored for a category's value, or the bit of a flag's value."""

    def encode(self, value: Scalar) -> float | None:
        """What is stored for `value`: a number for `num`, an int else. None where the value is not accepted.

        A NaN is accepted for a float and is missing.
        """
        if type(value) not in self.accepts:
            return None
        if isinstance(value, str):
            return self.codes.get(value)
        if isinstance(value, tuple):
            bits = 0
            for name in value:
                bit = self.codes.get(name)
                if bit is None:
                    return None
                bits |= bit
            return bits
        return value if self.low <= value <= self.high or value != value else None  # noqa: PLR0124 - NaN


class Section:
    """The features of a section with their storage. Two sections are equal only if they are the same object."""

    __slots__ = ("blocks", "default", "dtype", "features", "header", "name", "places")

    def __init__(self, name: str, features: tuple[Feature, ...], *, header: bool = False) -> None:
        self.name: Final = name
        """`profile`, `context` or `offer`."""
        self.features: Final = features
        self.header: Final = header
        """Whether rows begin with `RECORD_HEADER`."""
        self.blocks: Final[Mapping[Block, tuple[Feature, ...]]] = {
            block: tuple(f for f in features if BLOCK_OF[f.type] is block) for block in Block
        }
        """All four blocks with their features in column order; empty ones too."""
        self.places: Final[Mapping[str, Place]] = {
            f.name: _place(f, block, i) for block, of_block in self.blocks.items() for i, f in enumerate(of_block)
        }
        """By feature name."""
        self.dtype: Final = _dtype(self.blocks, header=header)
        """Structured dtype of a row; blocks that have no features are left out. Its size is a multiple of 8."""
        self.default: Final = _default_row(self)
        """Structured [1], read-only: every default, nothing else. A header's `layout` is 0."""

    def __getitem__(self, name: str) -> Feature:
        """The feature called `name`. Raises `KeyError`."""
        return self.places[name].feature

    def __contains__(self, name: object) -> bool:
        return name in self.places


class Person(Struct, frozen=True):
    """Vocabularies of what every profile record says beside features. Positions are what is stored."""

    time_zones: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()


def _place(feature: Feature, block: Block, column: int) -> Place:
    """Where and how `feature` is stored."""
    match feature.type:
        case FeatureType.FLOAT:
            low, high = -FLOAT_BOUND, FLOAT_BOUND
        case FeatureType.TIMESTAMP:
            low, high = -TIME_BOUND, TIME_BOUND
        case _:
            low, high = -INT_BOUND, INT_BOUND
    codes: dict[str, int] = {}
    if feature.type is FeatureType.CATEGORY:
        codes = {value: 1 + i for i, value in enumerate(feature.values)}
    if feature.type is FeatureType.FLAGS:
        codes = {value: 1 << i for i, value in enumerate(feature.values)}
    return Place(
        feature=feature,
        block=block,
        field=block.value,
        column=column,
        accepts=_ACCEPTED[feature.type],
        low=low if feature.low is None else max(low, feature.low),
        high=high if feature.high is None else min(high, feature.high),
        codes=codes,
    )


def _dtype(blocks: Mapping[Block, tuple[Feature, ...]], *, header: bool) -> np.dtype[np.void]:
    """Header, blocks, and bytes that fill up to a multiple of 8, so that joined rows stay aligned."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    if header:
        fields.extend((name, RECORD_HEADER[name].str) for name in RECORD_HEADER.names or ())
    fields.extend((block.value, _DTYPE_OF[block], (len(blocks[block]),)) for block in Block if blocks[block])
    size = np.dtype(fields).itemsize
    filling = 8 if size == 0 else -size % 8
    return np.dtype([*fields, ("fill", f"V{filling}")] if filling else fields)


def _default_row(section: Section) -> npt.NDArray[np.void]:
    """Structured [1] of defaults; what has no default is missing."""
    row = np.zeros(1, section.dtype)
    for block, missing in ((Block.NUM, math.nan), (Block.TS, MISSING_TIME)):
        if section.blocks[block]:
            row[block.value] = missing
    for place in section.places.values():
        if place.feature.default is not None:
            row[place.block.value][0, place.column] = place.encode(place.feature.default)
    row.flags.writeable = False
    return row
