"""Packed rows of features as columns of Arrow, and columns as packed rows again.

| type             | column                  | missing |
|------------------|-------------------------|---------|
| float, int, bool | float32, as it is stored | null   |
| timestamp        | timestamp, microseconds, UTC | null |
| category         | text                    | null    |
| flags            | list of texts           | empty   |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from takt.domain.person import Address
from takt.features.section import MISSING_TIME, Block, Person, Section
from takt.features.spec import FeatureSpec

Rows = npt.NDArray[np.void]

TIME: Final = pa.timestamp("us", tz="UTC")
TEXT: Final = pa.string()
TEXTS: Final = pa.list_(pa.string())
ADDRESSES: Final = tuple(address.name for address in sorted(Address))
_STORED: Final = {Block.NUM: pa.float32(), Block.TS: TIME, Block.CAT: TEXT, Block.FLAGS: TEXTS}


def schema(section: Section, prefix: str) -> list[pa.Field]:
    """Fields of a section's columns, in the order of storage."""
    return [
        pa.field(f"{prefix}.{feature.name}", _STORED[block]) for block in Block for feature in section.blocks[block]
    ]


def columns(section: Section, rows: Rows, present: npt.NDArray[np.bool_] | None = None) -> list[pa.Array]:
    """Columns of `schema` for rows `[n]` of the section; all null where a row is not `present`."""
    absent = None if present is None else ~present
    made = []
    for block in Block:
        for column, feature in enumerate(section.blocks[block]):
            made.append(_column(block, feature.values, rows[block.value][:, column], absent))
    return made


def _column(block: Block, values: tuple[str, ...], stored: npt.NDArray[Any], absent: npt.NDArray[Any] | None) -> Any:
    none = np.zeros(len(stored), bool) if absent is None else absent
    match block:
        case Block.NUM:
            return pa.array(stored, mask=np.isnan(stored) | none)
        case Block.TS:
            return pa.array(stored, pa.int64(), mask=(stored == MISSING_TIME) | none).cast(TIME)
        case Block.CAT:
            return texts(values, stored, none)
        case Block.FLAGS:
            return _sets(values, stored, none)


def texts(values: Sequence[str], stored: npt.NDArray[Any], absent: npt.NDArray[np.bool_]) -> Any:
    """Text per code, where 0 is missing and 1 is the first value."""
    codes = pa.array(stored.astype(np.int32) - 1, mask=(stored == 0) | absent)
    return pa.array(list(values), TEXT).take(codes)


def _sets(values: Sequence[str], stored: npt.NDArray[Any], absent: npt.NDArray[np.bool_]) -> Any:
    """List of texts per bitset."""
    bits = (stored[:, None] >> np.arange(len(values), dtype=np.uint64)) & np.uint64(1) != 0
    bits[absent] = False
    at, code = np.nonzero(bits)
    first = np.searchsorted(at, np.arange(len(stored) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(first), pa.array(list(values), TEXT).take(pa.array(code)), mask=pa.array(absent)
    )


def person_schema() -> list[pa.Field]:
    """Fields of a profile record's header."""
    return [
        pa.field("person.written", TIME),
        pa.field("person.consents", TEXTS),
        pa.field("person.locale", TEXT),
        pa.field("person.time_zone", TEXT),
        pa.field("person.address", TEXT),
    ]


def person_columns(person: Person, rows: Rows, present: npt.NDArray[np.bool_]) -> list[pa.Array]:
    """Columns of `person_schema` for rows that have a header."""
    absent = ~present
    return [
        pa.array(rows["written_us"], pa.int64(), mask=absent).cast(TIME),
        _sets(person.consents, rows["consents"], absent),
        texts(person.locales, rows["locale"], absent),
        texts(person.time_zones, rows["zone"], absent),
        texts(ADDRESSES, rows["address"].astype(np.int32) + 1, absent),
    ]


def packed(section: Section, table: Mapping[str, Any], prefix: str, n: int) -> Rows:
    """Rows `[n]` of a section out of columns by name. What has no column has its default; null is missing.

    What is not declared in the section any more is left out: names count, as they do for records of older layouts.
    """
    rows = np.repeat(section.default, n)
    for name, place in section.places.items():
        column = table.get(f"{prefix}.{name}")
        if column is not None and column.type == _STORED[place.block]:
            _pack(rows[place.field][:, place.column], place.block, place.feature.values, column)
    return rows


def packed_profiles(spec: FeatureSpec, table: Mapping[str, Any], n: int) -> Rows:
    """Rows `[n]` of `spec.profile.dtype` with their header; the default row where no record was read."""
    rows = packed(spec.profile, table, "profile", n)
    rows["layout"] = spec.layout_fingerprint
    written = table.get("person.written")
    if written is None:
        return rows
    person = spec.person
    rows["written_us"] = pc.fill_null(written.cast(pa.int64()), 0)
    _pack(rows["consents"], Block.FLAGS, person.consents, table["person.consents"])
    _pack(rows["locale"], Block.CAT, person.locales, table["person.locale"])
    _pack(rows["zone"], Block.CAT, person.time_zones, table["person.time_zone"])
    rows["address"] = np.maximum(_codes(ADDRESSES, table["person.address"]), 1) - 1
    unknown = np.asarray(pc.is_null(written))
    rows[unknown] = spec.profile.default
    rows["layout"] = spec.layout_fingerprint
    return rows


def _pack(out: npt.NDArray[Any], block: Block, values: tuple[str, ...], column: Any) -> None:
    """Write a column to where it is stored; a missing number, time or category is stored as missing."""
    match block:
        case Block.NUM:
            out[:] = pc.fill_null(column, np.nan)
        case Block.TS:
            out[:] = pc.fill_null(column.cast(pa.int64()), MISSING_TIME)
        case Block.CAT:
            out[:] = _codes(values, column)
        case Block.FLAGS:
            flat = column.flatten()
            at = pc.list_parent_indices(column).to_numpy()
            bit = np.append(np.uint64(1) << np.arange(len(values), dtype=np.uint64), np.uint64(0))
            out[:] = 0
            np.bitwise_or.at(out, at, bit[_codes(values, flat) - 1])


def _codes(values: Sequence[str], column: Any) -> npt.NDArray[np.int64]:
    """1 + index of each text in a vocabulary, 0 where it is null or not in it."""
    found = pc.index_in(column, value_set=pa.array(list(values), TEXT))
    return np.asarray(pc.fill_null(found, -1)).astype(np.int64) + 1
