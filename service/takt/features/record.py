"""Profiles to packed records and back; sections of context and offers to arrays.

A record is `RECORD_HEADER` and the blocks of the profile section (`takt.features.section`), little endian, of one size
for all records of a layout. A batch of records is joined and viewed as one structured array; nothing is parsed per row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.domain.person import Address
from takt.errors import InvalidRequestError, RecordError
from takt.features.reader import RecordReader, RowStatus
from takt.features.section import MISSING_TIME, RECORD_HEADER, Block, FeatureType, Person, Place, Section, Source
from takt.features.validation import ProfileRow, validate, validate_profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.domain.request import Scalar
    from takt.features.spec import FeatureSpec

__all__ = [
    "ProfileRow",
    "RecordReader",
    "RowStatus",
    "pack_profiles",
    "pack_section",
    "put_column",
    "unpack_profile",
    "unpack_rows",
    "validate",
    "validate_profile",
    "written_us",
]


def pack_section(section: Section, rows: Sequence[Mapping[str, Scalar]]) -> npt.NDArray[np.void]:
    """Values of n rows as a structured array `[n]` of `section.dtype`; what is not given has its default.

    Raises `InvalidRequestError` naming every value that does not fit, as `[row].name`. Unlike `validate` it takes what
    the service fills. One array operation per block, whatever n.
    """
    array = np.repeat(section.default, len(rows))
    _fill(section, rows, array)
    return array


def put_column(section: Section, array: npt.NDArray[np.void], name: str, stored: npt.ArrayLike) -> None:
    """Write one column `[n]` of stored values (codes, bits, numbers) into rows `[n]`: for what the service fills.

    Does nothing where the section declares no such feature. Values are not checked.
    """
    place = section.places.get(name)
    if place is not None:
        array[place.field][:, place.column] = stored


def pack_profiles(spec: FeatureSpec, rows: Sequence[ProfileRow], written_us: int) -> list[bytes]:
    """Pack n records, each of `spec.profile.dtype.itemsize` bytes. Features that are not given have their default.

    Raises `InvalidRequestError` naming everything that does not fit, as `[row].features.name`.
    """
    array = np.repeat(spec.profile.default, len(rows))
    codes = _PersonCodes.of(spec.person)
    try:
        array["consents"] = [sum(codes.consents[name] for name in row.consents) for row in rows]
        array["locale"] = [codes.locales[row.locale] for row in rows]
        array["zone"] = [codes.zones[row.time_zone] for row in rows]
        array["address"] = [Address(row.address) for row in rows]
        _fill(spec.profile, [row.features for row in rows], array)
    except (KeyError, InvalidRequestError) as error:
        found = [v for i, row in enumerate(rows) for v in validate_profile(spec, row, f"[{i}].")]
        raise InvalidRequestError(tuple(found)) from error
    array["layout"] = spec.layout_fingerprint
    array["written_us"] = written_us
    joined, size = array.tobytes(), spec.profile.dtype.itemsize
    return [joined[at : at + size] for at in range(0, len(joined), size)]


def written_us(record: bytes) -> int:
    """When a record was packed, microseconds. Raises `RecordError` if it is shorter than its header."""
    if len(record) < RECORD_HEADER.itemsize:
        raise RecordError(f"a profile record of {len(record)} bytes has no header of {RECORD_HEADER.itemsize}")
    return int(np.frombuffer(record, RECORD_HEADER, 1)["written_us"][0])


def unpack_profile(reader: RecordReader, record: bytes) -> ProfileRow:
    """What one record of any registered layout says. Raises `RecordError` if it is corrupt."""
    array, status = reader.read([record])
    if status[0] != RowStatus.OK:
        raise RecordError("a profile record is damaged, or its layout is not registered")
    return unpack_rows(reader.spec, array)[0]


def unpack_rows(spec: FeatureSpec, array: npt.NDArray[np.void]) -> list[ProfileRow]:
    """Rows `[n]` of `spec.profile.dtype` as values, for people to look at; the inverse of packing.

    A float is the shortest decimal that packs to what is stored.
    """
    return [_unpack(spec, row) for row in array]


def _unpack(spec: FeatureSpec, row: np.void) -> ProfileRow:
    """One row as values."""
    person = spec.person
    features = {name: decode(place, row[place.block][place.column]) for name, place in spec.profile.places.items()}
    return ProfileRow(
        features={name: value for name, value in features.items() if value is not None},
        consents=frozenset(name for i, name in enumerate(person.consents) if int(row["consents"]) >> i & 1),
        time_zone=("", *person.time_zones)[int(row["zone"])],
        locale=("", *person.locales)[int(row["locale"])],
        address=Address(int(row["address"])),
    )


def decode(place: Place, stored: np.generic) -> Scalar | None:
    """A stored value as Python has it, None where missing."""
    values = place.feature.values
    match place.block:
        case Block.TS:
            return None if stored == MISSING_TIME else int(stored)
        case Block.FLAGS:
            return tuple(value for i, value in enumerate(values) if int(stored) >> i & 1)
        case Block.CAT:
            return values[int(stored) - 1] if stored else None
        case Block.NUM:
            pass
    number = float(str(stored))
    if math.isnan(number):
        return None
    match place.feature.type:
        case FeatureType.BOOL:
            return number != 0.0
        case FeatureType.INT:
            return int(number)
        case _:
            return number


class _PersonCodes(Struct, frozen=True):
    """What is stored in a header for the names of `Person`."""

    consents: Mapping[str, int]
    zones: Mapping[str, int]
    locales: Mapping[str, int]

    @classmethod
    def of(cls, person: Person) -> _PersonCodes:
        """Look-ups for `person`; the empty name is unknown, 0."""
        return cls(
            consents={name: 1 << i for i, name in enumerate(person.consents)},
            zones={name: i for i, name in enumerate(("", *person.time_zones))},
            locales={name: i for i, name in enumerate(("", *person.locales))},
        )


_STORED_AS: Final[Mapping[str, type[np.generic]]] = {
    Block.TS.value: np.int64,
    Block.FLAGS.value: np.uint64,
    Block.NUM.value: np.float32,
    Block.CAT.value: np.uint16,
}


def _fill(section: Section, rows: Sequence[Mapping[str, Scalar]], array: npt.NDArray[np.void]) -> None:
    """Write the values that are given into `array`. Raises `InvalidRequestError` with everything that does not fit."""
    places = section.places
    at: dict[str, tuple[list[int], list[int], list[float]]] = {block: ([], [], []) for block in _STORED_AS}
    for i, row in enumerate(rows):
        for name, value in row.items():
            place = places.get(name)
            stored = place.encode(value) if place is not None else None
            if place is None or stored is None:
                found = [
                    violation
                    for j, values in enumerate(rows)
                    for violation in validate(section, values, f"[{j}].", source=Source.SERVICE)
                ]
                raise InvalidRequestError(tuple(found))
            of_rows, columns, values = at[place.field]
            of_rows.append(i)
            columns.append(place.column)
            values.append(stored)
    for block, (of_rows, columns, values) in at.items():
        if of_rows:
            array[block][of_rows, columns] = np.array(values, _STORED_AS[block])
