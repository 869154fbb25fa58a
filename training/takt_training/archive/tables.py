"""Entries of the log as tables of Arrow: one row per decision, event or change, in the order of the log.

A decision's row holds its placements, and these their draws, as lists of structs: what was committed together stays
together, and the rows of a day are the decisions of that day, each once. The record itself is kept beside what was read
out of it, so that a decision can be computed again from the archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import Struct, field
from msgspec.structs import replace

from takt.catalog.legend import Legend, parse_legend
from takt.clock import DAY_US
from takt.decisionlog.reading import (
    FACTORS,
    DecisionColumns,
    DecisionTables,
    SlotColumns,
    read_changes,
    read_consents,
    read_decisions,
    read_feedback,
)
from takt.domain.log import LogEntry, LogKind
from takt.errors import RecordError
from takt.features.layout import Layout, layout_fingerprint, parse_layout
from takt_training.archive.features import TEXT, TEXTS, TIME, columns, person_columns, person_schema, schema

DECISIONS: Final = "decisions"
FEEDBACK: Final = "feedback"
CHANGES: Final = "changes"
CONSENTS: Final = "consents"
DAMAGED: Final = "damaged"
BLOCK_ROWS: Final = 4096
"""Placements whose candidates are unpacked together."""

_SLOT_TEXTS: Final = ("offer", "timing", "tonality", "form_of_address", "treatment", "counted_event")
_SLOT_NUMBERS: Final = ("offer_propensity", "arm_propensity", "offer_draw", "arm_draw")
_SLOT_TIMES: Final = ("not_before", "not_after", "hold_expires")
_TEXTS: Final = ("decision_id", "request_id", "profile_id", "catalog", "model", "features", "service", "stage")
_NUMBERS: Final = ("attempts", "slack", "chain_index", "chain_length")


class Placed(Struct, frozen=True):
    """An entry with the partition that it comes from."""

    partition: int
    entry: LogEntry


class DayTable(Struct, frozen=True):
    """Rows of one kind and day."""

    kind: str
    """`DECISIONS`, `FEEDBACK`, `CHANGES`, `CONSENTS` or `DAMAGED`."""
    day: str
    """`2026-11-26`, in UTC, of when it was decided, received or changed; of its position for what cannot be read."""
    table: pa.Table
    newest_us: int = 0
    """The newest moment in it; 0 for what cannot be read."""


class Keys(Struct):
    """What the packed parts of records mean: layouts by fingerprint, legends by version of the catalog.

    Those that are not registered, or damaged, are named with the reason, once each.
    """

    layouts: Mapping[int, Layout]
    legends: Mapping[str, Legend]
    unreadable: dict[str, str] = field(default_factory=dict)
    """`layout ...` or `catalog ...` and why."""

    @classmethod
    def read(cls, layouts: Mapping[int, str], legends: Mapping[str, str]) -> Keys:
        """Parse what is registered."""
        unreadable: dict[str, str] = {}
        read_layouts: dict[int, Layout] = {}
        for fingerprint, text in layouts.items():
            try:
                if layout_fingerprint(text) != fingerprint:
                    raise RecordError("a registered layout stands under another's fingerprint")  # noqa: TRY301
                read_layouts[fingerprint] = parse_layout(text)
            except RecordError as error:
                unreadable[f"layout {fingerprint:016x}"] = str(error)
        read_legends: dict[str, Legend] = {}
        for version, text in legends.items():
            try:
                read_legends[version] = parse_legend(text)
            except RecordError as error:
                unreadable[f"catalog {version}"] = str(error)
        return cls(read_layouts, read_legends, unreadable)

    def layout(self, fingerprint: int) -> Layout | None:
        """A layout; None, and noted, where it is not registered."""
        found = self.layouts.get(fingerprint)
        if found is None:
            self.unreadable.setdefault(f"layout {fingerprint:016x}", "is not registered in the store")
        return found

    def legend(self, catalog: str) -> Legend | None:
        """A legend; None, and noted, where it is not registered."""
        found = self.legends.get(catalog)
        if found is None:
            self.unreadable.setdefault(f"catalog {catalog}", "is not registered in the store")
        return found


def tables(entries: Sequence[Placed], keys: Keys) -> Iterator[DayTable]:
    """All entries as tables; each is in exactly one of them."""
    for kind, make in _MAKERS.items():
        placed = [p for p in entries if p.entry.kind is kind]
        if placed:
            yield from make(placed, keys)


def _decisions(placed: Sequence[Placed], keys: Keys) -> Iterator[DayTable]:
    read = read_decisions([p.entry.record for p in placed])
    yield from _damaged(placed, read.damaged)
    kept = _without(placed, read.damaged)
    whole = _positions(kept).append_column("record", pa.array([p.entry.record for p in kept], pa.binary()))
    for name, column in _decision_columns(read, keys).items():
        whole = whole.append_column(name, column)
    c = read.decisions
    groups: dict[tuple[str, int, str], list[int]] = {}
    for row, (at_us, record, in_force, catalog) in enumerate(
        zip(c.decided_at_us, c.profile_record, c.features, c.catalog, strict=True)
    ):
        fingerprint = int.from_bytes(record[:8], "little") if record else _fingerprint(in_force)
        groups.setdefault((_day(at_us), fingerprint, catalog), []).append(row)
    for (day, fingerprint, catalog), rows in groups.items():
        table = whole.take(pa.array(rows))
        for add_field, column in _feature_columns(c, rows, keys.layout(fingerprint), keys.legend(catalog)):
            table = table.append_column(add_field, column)
        named = table.replace_schema_metadata({"layout": f"{fingerprint:016x}", "catalog": catalog})
        yield DayTable(DECISIONS, day, named, max(c.decided_at_us[row] for row in rows))


def _decision_columns(read: DecisionTables, keys: Keys) -> dict[str, Any]:
    c = read.decisions
    return {
        **{name: pa.array(getattr(c, name), TEXT) for name in _TEXTS},
        "decided_at": _times(c.decided_at_us),
        "snapshot_at": _times(c.snapshot_at_us),
        "anonymous": pa.array(c.anonymous, pa.bool_()),
        "compared": pa.array(c.compared, pa.bool_()),
        **{name: pa.array(getattr(c, name), pa.int32()) for name in _NUMBERS},
        "exploration": pa.array(c.exploration, TEXT),
        "degradations": pa.array(c.degradations, TEXTS),
        "placements": _listed(c.placements, _placements(read, keys)),
    }


def _placements(read: DecisionTables, keys: Keys) -> Any:
    """Struct per placement."""
    p = read.placements
    catalogs = read.decisions.catalog
    of_placement = np.repeat(np.arange(len(catalogs)), read.decisions.placements)
    fields = {
        "placement": pa.array(p.placement, TEXT),
        "channel": pa.array(p.channel, TEXT),
        "status": pa.array(p.status, TEXT),
        "max_offers": pa.array(p.max_offers, pa.int32()),
        "silence_propensity": pa.array(p.silence_propensity, pa.float64()),
        "candidates": _candidates([catalogs[d] for d in of_placement], p.live_offers, keys),
        "reason_codes": pa.array(p.reason_codes, pa.binary()),
        "slots": _listed(p.slots, _slots(read.slots)),
    }
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


def _slots(s: SlotColumns) -> Any:
    """Struct per draw."""
    factors = np.array(s.score, np.float64).reshape(-1, len(FACTORS))
    score = pa.StructArray.from_arrays(
        [pa.array(factors[:, i], mask=np.isnan(factors[:, i])) for i in range(len(FACTORS))], list(FACTORS)
    )
    fields = {
        **{name: pa.array(getattr(s, name), TEXT) for name in _SLOT_TEXTS},
        **{name: pa.array(getattr(s, name), pa.float64()) for name in _SLOT_NUMBERS},
        **{name: _times(getattr(s, f"{name}_us")) for name in _SLOT_TIMES},
        "score": score,
    }
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


def _candidates(catalogs: Sequence[str], live: Sequence[bytes], keys: Keys) -> Any:
    """List of offers per placement; null where the catalog's order of offers is not known."""
    known = {version: keys.legend(version) for version in dict.fromkeys(catalogs)}
    offset: dict[str, int] = {}
    names: list[str] = []
    for version, legend in known.items():
        offset[version] = len(names)
        names += legend.offers if legend else ()
    absent = np.array([known[version] is None for version in catalogs], bool)
    rows, offers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(live), BLOCK_ROWS):
        block = live[start : start + BLOCK_ROWS]
        width = max(map(len, block))
        packed = np.frombuffer(b"".join([bits.ljust(width, b"\0") for bits in block]), np.uint8)
        row, offer = np.nonzero(np.unpackbits(packed.reshape(len(block), width), axis=1, bitorder="little"))
        rows.append(row + start)
        offers.append(offer)
    row, offer = np.concatenate(rows), np.concatenate(offers)
    seen = ~absent[row]
    row, offer = row[seen], offer[seen] + np.array([offset[version] for version in catalogs], np.int64)[row[seen]]
    first = np.searchsorted(row, np.arange(len(live) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(first), pa.array(names, TEXT).take(pa.array(offer)), mask=pa.array(absent) if len(absent) else None
    )


def _feature_columns(
    c: DecisionColumns, rows: Sequence[int], layout: Layout | None, legend: Legend | None
) -> Iterator[tuple[pa.Field, Any]]:
    """Columns of profile and context of some rows; those that cannot be read are left out, the record has them."""
    if layout is not None:
        dtype = layout.profile.dtype
        records = [c.profile_record[row] for row in rows]
        present = np.array([len(record) == dtype.itemsize for record in records])
        blank = bytes(dtype.itemsize)
        packed = np.frombuffer(b"".join([r if len(r) == len(blank) else blank for r in records]), dtype)
        yield from zip(person_schema(), person_columns(layout.person, packed, present), strict=True)
        yield from zip(schema(layout.profile, "profile"), columns(layout.profile, packed, present), strict=True)
    if legend is not None:
        dtype = legend.context.dtype
        contexts = [c.context_record[row] for row in rows]
        present = np.array([len(record) == dtype.itemsize for record in contexts])
        blank = bytes(dtype.itemsize)
        packed = np.frombuffer(b"".join([r if len(r) == len(blank) else blank for r in contexts]), dtype)
        yield from zip(schema(legend.context, "context"), columns(legend.context, packed, present), strict=True)


def _feedback(placed: Sequence[Placed], keys: Keys) -> Iterator[DayTable]:
    del keys  # nothing is packed
    read = read_feedback([p.entry.record for p in placed])
    yield from _damaged(placed, read.damaged)
    kept = _without(placed, read.damaged)
    table = _positions(kept)
    made = {
        name: pa.array(getattr(read, name), TEXT)
        for name in ("event_id", "type", "decision_id", "profile_id", "namespace", "offer", "placement", "channel")
    }
    made |= {
        "occurred_at": _times(read.occurred_at_us),
        "received_at": _times(read.received_at_us),
        "value": pa.array(read.value, pa.float64()),
        "attributes": pa.array(read.attributes, TEXT),
        "outcome": pa.array([p.entry.outcome for p in kept], TEXT),
    }
    for name, column in made.items():
        table = table.append_column(name, column)
    yield from _by_day(FEEDBACK, table, read.received_at_us)


def _changes(placed: Sequence[Placed], keys: Keys) -> Iterator[DayTable]:
    del keys
    read = read_changes([p.entry.record for p in placed])
    yield from _damaged(placed, read.damaged)
    table = _positions(_without(placed, read.damaged))
    made = {name: pa.array(getattr(read, name), TEXT) for name in ("profile_id", "change", "actor", "reason")}
    made |= {
        "changed_at": _times(read.changed_at_us),
        "removed": pa.array(read.removed, pa.binary()),
        "added": pa.array(read.added, pa.binary()),
    }
    for name, column in made.items():
        table = table.append_column(name, column)
    yield from _by_day(CHANGES, table, read.changed_at_us)


def _consents(placed: Sequence[Placed], keys: Keys) -> Iterator[DayTable]:
    del keys
    read = read_consents([p.entry.record for p in placed])
    yield from _damaged(placed, read.damaged)
    table = _positions(_without(placed, read.damaged))
    made = {
        "profile_id": pa.array(read.profile_id, TEXT),
        "purpose": pa.array(read.purpose, TEXT),
        "granted": pa.array(read.granted, pa.bool_()),
        "given_at": _times(read.given_at_us),
        "source": pa.array(read.source, TEXT),
        "merged_from": pa.array(read.merged_from, TEXT),
        "changed_at": _times(read.changed_at_us),
    }
    for name, column in made.items():
        table = table.append_column(name, column)
    yield from _by_day(CONSENTS, table, read.changed_at_us)


def _damaged(placed: Sequence[Placed], rows: Sequence[int]) -> Iterator[DayTable]:
    """Records that cannot be read, kept as they are."""
    lost = [placed[row] for row in rows]
    if not lost:
        return
    table = _positions(lost)
    table = table.append_column("kind", pa.array([p.entry.kind.value for p in lost], TEXT))
    table = table.append_column("record", pa.array([p.entry.record for p in lost], pa.binary()))
    for made in _by_day(DAMAGED, table, [p.entry.position.ms * 1_000 for p in lost]):
        yield replace(made, newest_us=0)


_MAKERS: Final[Mapping[LogKind, Callable[[Sequence[Placed], Keys], Iterator[DayTable]]]] = {
    LogKind.DECISION: _decisions,
    LogKind.FEEDBACK: _feedback,
    LogKind.CHANGE: _changes,
    LogKind.CONSENT: _consents,
}


def _positions(placed: Sequence[Placed]) -> pa.Table:
    """Where each entry stood."""
    return pa.table(
        {
            "partition": pa.array([p.partition for p in placed], pa.int16()),
            "entry_ms": pa.array([p.entry.position.ms for p in placed], pa.int64()),
            "entry_sequence": pa.array([p.entry.position.sequence for p in placed], pa.int64()),
        }
    )


def _fingerprint(text: str) -> int:
    """Of a layout, as versions tell it; 0, which none has, where it is something else."""
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _by_day(kind: str, table: pa.Table, times_us: Sequence[int]) -> Iterator[DayTable]:
    at_us = np.asarray(times_us, np.int64)
    days = at_us // DAY_US
    for day in np.unique(days).tolist():
        rows = days == day
        yield DayTable(kind, _day(day * DAY_US), table.filter(pa.array(rows)), int(at_us[rows].max()))


def _day(at_us: int) -> str:
    return str(np.datetime64(at_us // DAY_US, "D"))


def _without(placed: Sequence[Placed], rows: Sequence[int]) -> list[Placed]:
    lost = set(rows)
    return [p for row, p in enumerate(placed) if row not in lost]


def _listed(counts: Sequence[int], values: Any) -> Any:
    """Lists of so many consecutive values each."""
    first = np.concatenate(([0], np.cumsum(np.asarray(counts, np.int64)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(first), values)


def _times(at_us: Sequence[int]) -> Any:
    """Times; 0 is none."""
    stored = np.asarray(at_us, np.int64)
    return pa.array(stored, pa.int64(), mask=stored == 0).cast(TIME)
