"""Packed profile records to one structured array for a batch, whatever layouts they were packed in.

Records of the current layout are joined and viewed. Those of an older, registered layout are converted together, by
feature name. What cannot be trusted becomes the default row, alone: it never spoils its neighbours.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from takt.domain.person import Address, RecordState
from takt.errors import RecordError
from takt.features.conversion import Conversion
from takt.features.layout import Layout, layout_fingerprint, parse_layout
from takt.features.section import TIME_BOUND, Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        if not odd and not foreign.any() and not self._check.any_corrupt(rows):
            return rows, status
        doubtful = foreign | self._check.corrupt(rows)
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
        self._has_numbers = bool(section.blocks[Block.NUM])
        self._has_times = bool(section.blocks[Block.TS])

    def any_corrupt(self, rows: Rows) -> bool:
        """Whether `corrupt` holds for any row; cheaper than asking which."""
        return any(found.any() for found in self._findings(rows))

    def corrupt(self, rows: Rows) -> Bools:
        """Bool `[n]`: codes or bits outside their vocabulary, infinite numbers, absurd moments, an unknown state."""
        bad: Bools = np.zeros(len(rows), np.bool_)
        for found in self._findings(rows):
            bad |= found.any(axis=1)
        return bad

    def _findings(self, rows: Rows) -> Iterator[Bools]:
        """Per kind of thing that can be wrong, bool `[n, things]`."""
        yield rows.view("<u2").reshape(len(rows), self._largest.size) > self._largest
        if self._has_times:
            yield np.abs(rows["ts"]) > TIME_BOUND  # the magnitude of MISSING_TIME is itself, negative
        if self._has_numbers:
            yield np.isinf(rows["num"])
