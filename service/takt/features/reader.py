"""Packed profile records to one structured array for a batch, whatever layouts they were packed in.

Records of the current layout are joined and viewed. Those of an older, registered layout are converted together, by
feature name. What cannot be trusted becomes the default row, alone: it never spoils its neighbours.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.person import Address, RecordState
from takt.errors import RecordError
from takt.features.conversion import Conversion
from takt.features.layout import Layout, layout_fingerprint, parse_layout
from takt.features.section import TIME_BOUND, Block
from takt.kernel import entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.features.section import Section
    from takt.features.spec import FeatureSpec

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.void]


class RowStatus(IntEnum):
    """What a row was read from."""

    OK = 0
    UNKNOWN = 1
    """There is no record: the row holds defaults and no consent."""
    CORRUPT = 2
    """The record is damaged or of a layout that is not registered: the row holds defaults and no consent."""


class RecordReader:
    """Reads batches of records written under `spec` or any of the registered layouts. Immutable."""

    def __init__(self, spec: FeatureSpec, layouts: Mapping[int, str]) -> None:
        """`layouts` are registered layouts, fingerprint to JSON; the current one need not be among them."""
        self.spec = spec
        self.unreadable: dict[int, str] = {}
        """Registered layouts that are damaged, and why. Their records are corrupt."""
        default = spec.profile.default.copy()
        default["layout"] = spec.layout_fingerprint
        self._fingerprint = np.uint64(spec.layout_fingerprint)
        self._default = default
        self._filler = default.tobytes()
        self._check = _Check(Layout(spec.person, spec.profile))
        self._older: dict[int, tuple[Conversion, _Check]] = {}
        for fingerprint, text in layouts.items():
            if fingerprint == spec.layout_fingerprint:
                continue
            if layout_fingerprint(text) != fingerprint:
                self.unreadable[fingerprint] = "a registered layout stands under another's fingerprint"
                continue
            try:
                layout = parse_layout(text)
            except RecordError as error:
                self.unreadable[fingerprint] = str(error)
                continue
            self._older[fingerprint] = (Conversion(layout, spec.person, spec.profile), _Check(layout))

    def read(self, records: Sequence[bytes | None]) -> tuple[Rows, npt.NDArray[np.uint8]]:
        """Rows `[n]` of `spec.profile.dtype`, and a `RowStatus` per row as uint8 `[n]`.

        The rows may be read-only. `layout` is the current fingerprint in every row.
        """
        size, filler = len(self._filler), self._filler
        rows = np.frombuffer(
            b"".join([filler if r is None or len(r) != size else r for r in records]), self._default.dtype
        )
        status = np.zeros(len(records), np.uint8)
        odd = [i for i, r in enumerate(records) if r is None or len(r) != size]
        foreign = rows["layout"] != self._fingerprint
        corrupt = np.empty(len(records), np.bool_)
        if not self._check.find(rows, corrupt) and not odd and not np.count_nonzero(foreign):
            return rows, status
        doubtful = foreign | corrupt
        rows = rows.copy()
        rows[doubtful] = self._default
        status[doubtful] = RowStatus.CORRUPT
        if odd:
            status[odd] = [RowStatus.UNKNOWN if records[i] is None else RowStatus.CORRUPT for i in odd]
        if self._older:
            self._read_older(records, rows, status, [*odd, *np.flatnonzero(foreign).tolist()])
        return rows, status

    def _read_older(
        self, records: Sequence[bytes | None], rows: Rows, status: npt.NDArray[np.uint8], candidates: list[int]
    ) -> None:
        """Convert those of `candidates` that were packed in an older layout, all of a layout together."""
        of_layout: dict[int, list[int]] = {}
        for i in candidates:
            record = records[i]
            if record is None:
                continue
            fingerprint = int.from_bytes(record[:8], "little")
            older = self._older.get(fingerprint)
            if older is not None and len(record) == older[0].size:
                of_layout.setdefault(fingerprint, []).append(i)
        for fingerprint, found in of_layout.items():
            conversion, check = self._older[fingerprint]
            old = np.frombuffer(b"".join([records[i] or b"" for i in found]), conversion.dtype)
            good = ~check.corrupt(old)
            kept = np.array(found)[good]
            rows[kept] = conversion.convert(old[good], self._default)
            status[kept] = RowStatus.OK


class _Check:
    """Finds rows that no writer of a layout could have written.

    A row is seen as 16-bit words, each with a largest value. That holds for codes, which are words; for bitsets, whose
    lowest k bits are free: 2**k - 1 is the largest value of the whole and, word by word, of each part; and for address
    and state, which share a word with the state in the upper byte, 0 = open. All other words are free.
    """

    def __init__(self, layout: Layout) -> None:
        person, section = layout.person, layout.profile
        largest = np.frombuffer(b"\xff" * section.dtype.itemsize, section.dtype).copy()
        largest["consents"] = 2 ** len(person.consents) - 1
        largest["locale"] = len(person.locales)
        largest["zone"] = len(person.time_zones)
        largest["address"] = max(Address)
        largest["state"] = RecordState.OPEN
        if section.blocks[Block.CAT]:
            largest["cat"] = [len(f.values) for f in section.blocks[Block.CAT]]
        if section.blocks[Block.FLAGS]:
            largest["flags"] = [2 ** len(f.values) - 1 for f in section.blocks[Block.FLAGS]]
        self._largest = largest.view("<u2")
        self._places = np.array([_place(section, Block.TS, 8), _place(section, Block.NUM, 4)], np.int64)

    def find(self, rows: Rows, corrupt: Bools) -> int:
        """Write to `corrupt` bool `[n]` which rows are; how many there are."""
        raw = Raw(rows.view("<u2"), rows.view("<i8"), rows.view("<f4"))
        return find_corrupt(raw, self._largest, self._places, corrupt)

    def corrupt(self, rows: Rows) -> Bools:
        """Bool `[n]`: codes or bits outside their vocabulary, infinite numbers, absurd moments, an unknown state."""
        corrupt = np.empty(len(rows), np.bool_)
        self.find(rows, corrupt)
        return corrupt


def _place(section: Section, block: Block, width: int) -> tuple[int, int]:
    """Where a block begins in a row, in values `width` bytes wide, and how many there are."""
    if not section.blocks[block]:
        return 0, 0
    fields: Mapping[str, Any] = section.dtype.fields or {}
    return fields[block.value][1] // width, len(section.blocks[block])


class Raw(NamedTuple):
    """Records, one after the other."""

    words: npt.NDArray[np.uint16]
    times: npt.NDArray[np.int64]
    """The same bytes, and the same again as numbers."""
    numbers: npt.NDArray[np.float32]


@entry
def find_corrupt(
    raw: Raw, largest: npt.NDArray[np.uint16], places: npt.NDArray[np.int64], corrupt: npt.NDArray[np.bool_]
) -> int:
    """Write to `corrupt` [n] which records are, and return how many.

    `largest` has the largest value of each word of a record; `places` [2, 2] says where a record's times and its
    numbers begin, and how many there are.
    """
    size, found = largest.shape[0], 0
    for i in range(corrupt.shape[0]):
        bad = False
        for w in range(size):
            bad |= raw.words[i * size + w] > largest[w]
        first = i * (size // 4) + places[0, 0]
        for k in range(first, first + places[0, 1]):
            # the magnitude of MISSING_TIME is itself, negative
            bad |= abs(raw.times[k]) > TIME_BOUND
        first = i * (size // 2) + places[1, 0]
        for k in range(first, first + places[1, 1]):
            bad |= np.isinf(raw.numbers[k])
        corrupt[i] = bad
        found += bad
    return found
