"""The archive's decisions as arrays, file by file, with one code per name over all files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct, field

from takt.decisionlog.reading import FACTORS
from takt.features.spec import FeatureSpec
from takt_training.archive.features import TIME, packed, packed_profiles
from takt_training.logged.dataset import NONE, SCORE, Candidates, Coded, Codes, Ints, Rows
from takt_training.logged.vocabulary import Vocabulary

SKIPPED: Final = ("record", "request_id", "service", "features", "degradations")
"""Columns of the archive that nothing is learned from."""
DECISION_NAMES: Final = ("profile_id", "catalog", "model", "stage", "exploration")
SLOT_NAMES: Final = ("timing", "tonality", "form_of_address", "treatment", "counted_event")
SLOT_TIMES: Final = ("not_before", "hold_expires")


class Found(Struct):
    """Everything that the files say, before outcomes. Decisions d, slots n."""

    file: Ints
    """int64 `[d]`: which file each decision stands in."""
    partition: Ints
    entry_ms: Ints
    entry_sequence: Ints
    id: npt.NDArray[np.bytes_]
    time_us: Ints
    attempts: npt.NDArray[np.int16]
    known: npt.NDArray[np.bool_]
    readable: npt.NDArray[np.bool_]
    """bool `[d]`: profile and context could be read, or there was none."""
    written_us: Ints
    """int64 `[d]`: when the profile record was written; 0 where there was none."""
    profile: Rows
    context: Rows
    names: dict[str, Coded]
    """Per decision, by `DECISION_NAMES`."""
    slot_decision: Ints
    slot: npt.NDArray[np.int16]
    slot_names: dict[str, Coded]
    """Per slot: `placement`, `channel`, `offer` and `SLOT_NAMES`."""
    slot_times: dict[str, Ints]
    """Per slot, microseconds, 0 where there is none."""
    offer_propensity: npt.NDArray[np.float64]
    arm_propensity: npt.NDArray[np.float64]
    score: Rows
    candidates: Candidates
    without_draw: int
    """Placements where nothing could be drawn."""


class _Parts(Struct):
    """Columns of the files so far."""

    parts: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, **columns: Any) -> None:
        """The columns of one more file."""
        for name, column in columns.items():
            self.parts.setdefault(name, []).append(column)

    def take(self, name: str) -> Any:
        """One column of all files, each of which is forgotten once it is copied: two of everything would not fit."""
        parts = self.parts.pop(name)
        whole = np.empty(sum(map(len, parts)), np.result_type(*parts))
        end = len(whole)
        while parts:
            part = parts.pop()
            whole[end - len(part) : end] = part
            end -= len(part)
        return whole


def read(
    paths: Sequence[Path],
    spec: FeatureSpec,
    tell: Callable[[int], None],
    *,
    since_us: int = 0,
    candidates: bool = True,
) -> Found | None:
    """The decisions of some files from a moment on; None if there is none. `tell` gets how many were read so far.

    Without `candidates` every draw is said to have been among none: they are most of what a log takes.
    """
    reader = _Reader(spec, candidates=candidates)
    done = 0
    for number, path in enumerate(paths):
        names = [name for name in pq.read_schema(path).names if name not in SKIPPED]
        table = pq.read_table(path, columns=names, partitioning=None)
        if since_us:
            table = table.filter(pc.field("decided_at") >= pa.scalar(since_us, TIME))
        if not table.num_rows:
            continue
        reader.add(number, table.combine_chunks())
        done += table.num_rows
        tell(done)
    return reader.found() if done else None


class _Reader:
    """Turns tables into columns and keeps what they share."""

    def __init__(self, spec: FeatureSpec, *, candidates: bool) -> None:
        self._spec = spec
        self._candidates = candidates
        self._parts = _Parts()
        self._vocabularies = {
            name: Vocabulary() for name in (*DECISION_NAMES, *SLOT_NAMES, "placement", "channel", "offer")
        }
        self._decisions = 0
        self._without_draw = 0

    def add(self, number: int, table: pa.Table) -> None:
        """One file's decisions with their placements and draws."""
        columns = {name: _chunk(table[name]) for name in table.column_names}
        n = table.num_rows
        blank = pa.nulls(n, pa.timestamp("us", tz="UTC"))
        written = _times(columns.get("person.written", blank))
        has_profile = any(name.startswith("profile.") for name in columns) or "person.written" in columns
        has_context = any(name.startswith("context.") for name in columns) or not self._spec.context.features
        self._parts.add(
            file=np.full(n, number),
            partition=np.asarray(columns["partition"]).astype(np.int64),
            entry_ms=np.asarray(columns["entry_ms"]),
            entry_sequence=np.asarray(columns["entry_sequence"]),
            id=np.array(columns["decision_id"].to_pylist(), "S48"),
            time_us=_times(columns["decided_at"]),
            attempts=np.asarray(columns["attempts"]).astype(np.int16),
            known=written > 0,
            readable=np.full(n, has_profile and has_context),
            written_us=written,
            profile=packed_profiles(self._spec, columns, n),
            context=packed(self._spec.context, columns, "context", n),
            **{name: self._vocabularies[name].encode(columns[name]) for name in DECISION_NAMES},
        )
        self._add_placements(columns["placements"])
        self._decisions += n

    def _add_placements(self, placements: Any) -> None:
        decision = np.asarray(placements.value_parent_indices()) + self._decisions
        each = _fields(placements.flatten())
        draws = each["slots"]
        count = np.asarray(draws.value_lengths())
        self._without_draw += int((count == 0).sum())
        slots = _fields(draws.flatten())
        of_placement = np.repeat(np.arange(len(count)), count)
        within = np.arange(len(of_placement)) - np.repeat(np.cumsum(count) - count, count)
        placed = {name: self._vocabularies[name].encode(each[name])[of_placement] for name in ("placement", "channel")}
        offer = self._vocabularies["offer"].encode(slots["offer"])
        factors = _fields(slots["score"])
        score = np.empty(len(offer), SCORE)
        for name in FACTORS:
            score[name] = np.asarray(factors[name].fill_null(np.nan))
        self._parts.add(
            slot_decision=decision[of_placement],
            slot=within.astype(np.int16),
            slot_offer=offer,
            offer_propensity=np.asarray(slots["offer_propensity"]),
            arm_propensity=np.asarray(slots["arm_propensity"]),
            score=score,
            **{f"slot_{name}": codes for name, codes in placed.items()},
            **{f"slot_{name}": self._vocabularies[name].encode(slots[name]) for name in SLOT_NAMES},
            **{f"slot_{name}": _times(slots[name]) for name in SLOT_TIMES},
        )
        if not self._candidates:
            self._parts.add(candidate_count=np.zeros(len(offer), np.int32), candidate=np.empty(0, np.int16))
            return
        live = each["candidates"]
        sizes = np.asarray(live.value_lengths().fill_null(0))
        first = np.concatenate(([0], np.cumsum(sizes)))
        of_all = Candidates(first, self._vocabularies["offer"].encode(live.flatten()))
        left = without_earlier(of_all.take(of_placement), of_placement, within, offer)
        self._parts.add(candidate_count=np.diff(left.first).astype(np.int32), candidate=left.offer.astype(self._code()))

    def _code(self) -> type[np.signedinteger[Any]]:
        """What holds every code so far."""
        few = len(self._vocabularies["offer"].names) <= np.iinfo(np.int16).max
        return np.int16 if few else np.int32

    def found(self) -> Found:
        """All files together."""
        parts = self._parts

        def named(column: str, name: str) -> Coded:
            return self._vocabularies[name].coded(parts.parts.pop(column))

        return Found(
            **{
                name: parts.take(name)
                for name in (
                    *("file", "partition", "entry_ms", "entry_sequence", "id", "time_us", "attempts", "known"),
                    *("readable", "written_us", "profile", "context", "slot_decision", "slot"),
                    *("offer_propensity", "arm_propensity", "score"),
                )
            },
            names={name: named(name, name) for name in DECISION_NAMES},
            slot_names={name: named(f"slot_{name}", name) for name in ("placement", "channel", "offer", *SLOT_NAMES)},
            slot_times={name: parts.take(f"slot_{name}") for name in SLOT_TIMES},
            candidates=Candidates(
                np.concatenate(([0], np.cumsum(parts.take("candidate_count"), dtype=np.int64))), parts.take("candidate")
            ),
            without_draw=self._without_draw,
        )


def without_earlier(
    all_of: Candidates, placement: Ints, slot: npt.NDArray[np.integer[Any]], offer: Codes
) -> Candidates:
    """Candidates per slot without what earlier slots of the same placement drew.

    `placement` `[n]` numbers the placement of each slot, `slot` its place in it, `offer` what it drew.
    """
    counts = np.diff(all_of.first)
    row = np.repeat(np.arange(len(counts)), counts)
    width = int(max(all_of.offer.max(initial=NONE), offer.max(initial=NONE))) + 1
    drawn = np.flatnonzero(offer != NONE)
    keys = placement[drawn] * width + offer[drawn]
    order = np.argsort(keys, kind="stable")
    keys, at_slot = keys[order], np.asarray(slot)[drawn][order]
    wanted = placement[row] * width + all_of.offer
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    gone = np.zeros(len(row), bool)
    if len(keys):
        gone = (keys[at] == wanted) & (at_slot[at] < np.asarray(slot)[row])
    left = np.bincount(row[~gone], minlength=len(counts))
    return Candidates(np.concatenate(([0], np.cumsum(left))), all_of.offer[~gone])


def _chunk(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _fields(structs: Any) -> dict[str, Any]:
    """Columns of an array of structs."""
    return dict(zip(structs.type.names, structs.flatten(), strict=True))


def _times(column: Any) -> Ints:
    """Microseconds, 0 where there is none."""
    return np.asarray(column.cast(pa.int64()).fill_null(0))
