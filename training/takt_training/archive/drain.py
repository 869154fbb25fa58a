"""Drain the decision log: read each partition behind what the archive has, write, record, and only then trim.

Memory is bounded by a segment: so many bytes of records are held before they are written. A drain reads up to where the
log ended when it began, so it ends under load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from takt.domain.log import START, LogExtent
from takt.errors import PreconditionError
from takt.ports import Store
from takt_training.archive.directory import Archive
from takt_training.archive.positions import Positions
from takt_training.archive.tables import DAMAGED, DayTable, Keys, Placed, tables

PAGE: Final = 500
"""Entries of one read."""
SEGMENT_ENTRIES: Final = 20_000
SEGMENT_BYTES: Final = 32 * 1024 * 1024
"""Of records; what is held to write them is some ten times as much."""

Progress = Callable[[int, int], None]
"""Told how many entries are written, of how many."""


class Drained(Struct):
    """What one drain did."""

    entries: dict[str, int] = field(default_factory=dict)
    """Written, by kind of table."""
    segments: int = 0
    oldest_ms: int = 0
    """When the oldest of them was written; 0 if there was none."""
    trimmed: int = 0
    left: int = 0
    """Entries that were in the log when it began and still are: ids lead to them, or nobody asked to trim."""
    warnings: list[str] = field(default_factory=list)


class Drain:
    """One drain of a log into an archive."""

    def __init__(
        self, store: Store, archive: Archive, *, trim: bool = True, segment_entries: int = SEGMENT_ENTRIES
    ) -> None:
        """Look at log and archive. Raises `PreconditionError` if the archive is another store's."""
        self._segment_entries = segment_entries
        self._log = store.decision_log
        self._archive = archive
        self._trim = trim
        self.extents = self._log.extents()
        # after the extents: what records within them mean was registered before they were written
        layouts, legends = store.layouts(), self._log.legends()
        self.keys = Keys.read(layouts, legends)
        self.done = Drained()
        self._positions = self._checked(archive.positions)
        for fingerprint, text in layouts.items():
            archive.keep("layouts", f"{fingerprint:016x}", text)
        for version, text in legends.items():
            archive.keep("legends", version, text)

    @property
    def waiting(self) -> int:
        """How many entries are behind what the archive has."""
        return sum(
            max(0, extent.written - passed - entries)
            for extent, passed, entries in zip(
                self.extents, self._positions.passed, self._positions.entries, strict=True
            )
        )

    def run(self, progress: Progress | None = None) -> Drained:
        """Write all that was in the log when this began. May be killed at any moment, and run again."""
        tell = progress or _to_nobody
        total = self.waiting
        held: list[Placed] = []
        size = 0
        positions = self._positions
        for partition, extent in enumerate(self.extents):
            while positions.reached[partition] < extent.last:
                page = self._log.read(partition, positions.reached[partition], min(PAGE, self._segment_entries))
                page = [entry for entry in page if entry.position <= extent.last]
                if not page:
                    break  # the last one that was written is gone already
                if not self.done.oldest_ms or page[0].position.ms < self.done.oldest_ms:
                    self.done.oldest_ms = page[0].position.ms
                held += [Placed(partition, entry) for entry in page]
                size += sum(len(entry.record) for entry in page)
                positions = positions.advanced(partition, page[-1].position, len(page))
                if len(held) >= self._segment_entries or size >= SEGMENT_BYTES:
                    positions = self._write(positions, held)
                    held, size = [], 0
                    tell(sum(self.done.entries.values()), total)
        if held:
            positions = self._write(positions, held)
            tell(sum(self.done.entries.values()), total)
        if positions.through_us != positions.newest_us:
            self._archive.record(replace(positions, through_us=positions.newest_us))
        self._trimmed()
        self.done.left = sum(extent.entries for extent in self.extents) - self.done.trimmed
        self.done.warnings += [f"{what} {why}" for what, why in sorted(self.keys.unreadable.items())]
        return self.done

    def _write(self, positions: Positions, held: list[Placed]) -> Positions:
        """One segment: durable first, trimmed after."""
        made = list(tables(held, self.keys))
        newest_us = max([positions.newest_us, *(table.newest_us for table in made)])
        written = self._archive.add(replace(positions, newest_us=newest_us), made)
        for table in made:
            self.done.entries[table.kind] = self.done.entries.get(table.kind, 0) + table.table.num_rows
            if table.kind == DAMAGED:
                self._tell_damaged(table)
        self.done.segments += 1
        self._trimmed()
        return written

    def _trimmed(self) -> None:
        if self._trim and self._archive.positions is not None:
            self.done.trimmed += self._log.trim(self._archive.positions.reached)

    def _tell_damaged(self, table: DayTable) -> None:
        first = table.table.slice(0, 1).to_pylist()[0]
        self.done.warnings.append(
            f"{table.table.num_rows} records cannot be read, the first is {first['entry_ms']}-{first['entry_sequence']}"
            f" of partition {first['partition']}; they are kept in {DAMAGED}/day={table.day}"
        )

    def _checked(self, positions: Positions | None) -> Positions:
        """Where to go on. Says what somebody else has taken away."""
        if positions is None:
            return Positions.start(self._log.store_id, [extent.trimmed for extent in self.extents])
        if positions.store_id != self._log.store_id:
            raise PreconditionError(
                f"{self._archive.directory}: is the archive of store {positions.store_id}, not of "
                f"{self._log.store_id}; export to another directory"
            )
        if len(positions.reached) != len(self.extents):
            raise PreconditionError(
                f"{self._archive.directory}: knows {len(positions.reached)} partitions, and the store has "
                f"{len(self.extents)}"
            )
        for partition, extent in enumerate(self.extents):
            self._check_extent(partition, extent, positions)
        return positions

    def _check_extent(self, partition: int, extent: LogExtent, positions: Positions) -> None:
        lost = extent.trimmed - positions.passed[partition] - positions.entries[partition]
        if lost > 0:
            self.done.warnings.append(
                f"{lost} entries of partition {partition} were trimmed and never came here: another export trims this "
                "store, or somebody did by hand"
            )
        if START != positions.reached[partition] > extent.last:
            self.done.warnings.append(
                f"partition {partition} ends at {extent.last}, before {positions.reached[partition]}, which is in the "
                "archive: the store forgot entries, as after a fail-over"
            )


def _to_nobody(done: int, total: int) -> None:
    """Tell nobody how far it is."""
