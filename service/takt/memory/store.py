"""The reference store: `takt.ports.Store` on plain dictionaries, one lock around every call."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from takt.clock import MINUTE_US, Clock
from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, WIDTH, LedgerState
from takt.domain.log import LogKind
from takt.domain.request import Identity
from takt.errors import StoreMarkerError
from takt.identity import anonymous_id
from takt.memory.editions import MemoryEditions
from takt.memory.ledger import CorruptLedgerError, Ledger, parse_entries
from takt.memory.log import MemoryLog
from takt.memory.merging import MemoryMerging
from takt.memory.totals import PARTITIONS, MemoryTotals
from takt.ports import (
    SNAPSHOT_LIMIT_US,
    Begun,
    Commit,
    Fetched,
    Group,
    Mark,
    MarkKind,
    MarkOutcome,
    Outcome,
    ProfileOutcome,
    ProfileWrite,
    Remembered,
    Rewrite,
    RewriteOutcome,
)

RETENTION_US: Final = 15 * MINUTE_US
_AT: Final = struct.Struct("<q")


class _Id(Struct, frozen=True):
    """What is remembered of a request or event id."""

    digest: bytes
    at: int
    """Index of its log record."""


class _Ids(Struct):
    """A person's ids in two generations, so that forgetting is dropping one dictionary."""

    generation: int = 0
    current: dict[str, _Id] = field(default_factory=dict)
    previous: dict[str, _Id] = field(default_factory=dict)

    def turn(self, generation: int) -> None:
        """Move on to a generation."""
        if generation != self.generation:
            self.previous = self.current if generation == self.generation + 1 else {}
            self.current = {}
            self.generation = generation

    def get(self, name: str) -> _Id | None:
        """Look an id up."""
        return self.current.get(name) or self.previous.get(name)


class MemoryStore:
    """Everything that a store does, for one process and until it ends. Safe to use from many threads.

    `retention_us` is how long request and event ids are remembered at least; at most twice that.
    """

    def __init__(self, clock: Clock, *, retention_us: int = RETENTION_US, partitions: int = PARTITIONS) -> None:
        self.marked = True
        """Whether the store bears its marker; a test may take it away."""
        self.edition = 0
        """Of the catalog, as the marker has it."""
        self.log: list[tuple[str, bytes]] = []
        """What was logged, oldest first: by `takt.domain.log.LogKind`, and the record."""
        self.records: dict[str, bytes] = {}
        self.consents_kept: dict[str, bytes] = {}
        self.ledgers: dict[bytes, bytes] = {}
        """By address of the person."""
        self.identities: dict[Identity, str] = {}
        self._clock = clock
        self._retention_us = retention_us
        self._ids: dict[bytes, _Ids] = {}
        self._layouts: dict[int, str] = {}
        self._lock = threading.Lock()
        self.decision_log = MemoryLog(clock, retention_us, partitions)
        self.totals = MemoryTotals(clock, self._lock, self.check_marker, partitions)
        self._merging = MemoryMerging(self)
        self._editions = MemoryEditions(self, clock, self._lock, self.check_marker)

    @property
    def merging(self) -> MemoryMerging:
        """See `takt.ports.Store`."""
        return self._merging

    @property
    def editions(self) -> MemoryEditions:
        """See `takt.ports.Store`."""
        return self._editions

    def check_marker(self) -> None:
        """See `takt.ports.Store`."""
        if not self.marked:
            raise StoreMarkerError("the store in memory bears no marker; it was taken away")

    def resolve(self, identities: Sequence[Identity]) -> list[str | None]:
        """See `takt.ports.Store`."""
        with self._lock:
            return [self.identities.get(identity) for identity in identities]

    def begin_resolve(self, identities: Sequence[Identity]) -> Begun[list[str | None]]:
        """See `takt.ports.Store`. What is in memory is not waited for: all is done when this returns."""
        found = self.resolve(identities)
        return lambda: found

    def fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Fetched:
        """See `takt.ports.Store`."""
        with self._lock:
            partitions = [self.totals.partition_of(profile_id) for profile_id in profile_ids] if totals else []
            pools = {partition: dict(self.totals.parts[partition].book.pools) for partition in partitions}
            return Fetched(
                now_us=self._clock.now_us(),
                records=[self.records.get(profile_id) for profile_id in profile_ids],
                ledgers=[self.ledgers.get(person_address(profile_id), EMPTY) for profile_id in profile_ids],
                partitions=partitions,
                pools=[pools[partition] for partition in partitions],
            )

    def begin_fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Begun[Fetched]:
        """See `takt.ports.Store`."""
        fetched = self.fetch(profile_ids, totals=totals)
        return lambda: fetched

    def begin_commit(self, groups: Sequence[Group]) -> Begun[list[Outcome]]:
        """See `takt.ports.Store`."""
        outcomes = self.commit(groups)
        return lambda: outcomes

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """See `takt.ports.Store`."""
        with self._lock:
            now_us = self._clock.now_us()
            return [self._commit(group, now_us) for group in groups]

    def mark(self, marks: Sequence[Mark]) -> list[MarkOutcome]:
        """See `takt.ports.Store`."""
        with self._lock:
            now_us = self._clock.now_us()
            return [self._mark(mark, now_us) for mark in marks]

    def consents(self, profile_ids: Sequence[str]) -> list[bytes | None]:
        """See `takt.ports.Store`."""
        with self._lock:
            return [self.consents_kept.get(profile_id) for profile_id in profile_ids]

    def keep_consents(self, profile_id: str, consents: bytes | None, changes: Sequence[bytes]) -> None:
        """See `takt.memory.merging.Shelves`."""
        for change in changes:
            self._write(person_address(profile_id), LogKind.CONSENT, change)
        if consents is not None:
            self.consents_kept[profile_id] = consents

    def put(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """See `takt.ports.Store`."""
        with self._lock:
            now_us = self._clock.now_us()
            return [self._put(write, now_us) for write in writes]

    def rewrite(self, rewrites: Sequence[Rewrite]) -> list[RewriteOutcome]:
        """See `takt.ports.Store`."""
        with self._lock:
            now_us = self._clock.now_us()
            return [self._rewrite(rewrite, now_us) for rewrite in rewrites]

    def layouts(self) -> dict[int, str]:
        """See `takt.ports.Store`."""
        with self._lock:
            return dict(self._layouts)

    def register_layout(self, fingerprint: int, layout: str) -> None:
        """See `takt.ports.Store`."""
        with self._lock:
            self._layouts.setdefault(fingerprint, layout)

    def close(self) -> None:
        """See `takt.ports.Store`. There is nothing to give back."""

    def _commit(self, group: Group, now_us: int) -> Outcome:
        contacts = parse_entries(b"".join(entry.contacts for entry in group.entries))
        ids = self._remembered(person_address(group.profile_id), now_us)

        known = {
            entry.request_id: Remembered(found.digest, self.log[found.at][1])
            for entry in group.entries
            if (found := ids.get(f"r{entry.request_id}"))
        }
        if known:
            return self._fresh(Commit.KNOWN, group, now_us, known)
        if not self.marked:
            return Outcome(Commit.MARKER, now_us, {})
        if self.edition > group.edition:
            return Outcome(Commit.CATALOG, now_us, {})
        if now_us > group.snapshot_us + min(group.max_age_us, SNAPSHOT_LIMIT_US):
            return self._fresh(Commit.STALE, group, now_us)
        part = self.totals.parts[self.totals.partition_of(group.profile_id)]
        if group.compare or contacts:
            try:
                ledger = Ledger.parse(self.ledgers.get(person_address(group.profile_id), EMPTY))
            except CorruptLedgerError:
                return Outcome(Commit.CORRUPT, now_us, {})
            if ledger.state != LedgerState.OPEN:
                return self._fresh(Commit.CONFLICT, group, now_us)
            appended = ledger.appends - group.appends
            if group.compare and (ledger.gate != group.gate or not 0 <= appended <= group.slack):
                return self._fresh(Commit.CONFLICT, group, now_us)
            if contacts:
                ledger = ledger.with_room_for(
                    len(contacts), group.max_entries, group.trim_before_us, group.lapsed_before_us
                )
                if len(ledger.entries) + len(contacts) > group.max_entries:
                    return Outcome(Commit.LEDGER_FULL, now_us, {})
            if not part.can(group.spends):
                return self._fresh(Commit.CONFLICT, group, now_us)
            if contacts:
                self.ledgers[person_address(group.profile_id)] = ledger.appended(contacts).pack()
        elif self._state(person_address(group.profile_id)) == LedgerState.MOVED:
            # the id has to be remembered where it will be looked for
            return self._fresh(Commit.CONFLICT, group, now_us)
        elif not part.can(group.spends):
            return self._fresh(Commit.CONFLICT, group, now_us)
        part.spend(group.spends)
        self.edition = group.edition
        for entry in group.entries:
            ids.current[f"r{entry.request_id}"] = _Id(entry.request_digest, len(self.log))
            self._write(person_address(group.profile_id), LogKind.DECISION, bytes(entry.record))
        return Outcome(Commit.DONE, now_us, {})

    def _mark(self, mark: Mark, now_us: int) -> MarkOutcome:
        suppression = parse_entries(mark.suppression)
        ids = self._remembered(mark.person, now_us)
        if ids.get(f"e{mark.event_id}"):
            return MarkOutcome.DUPLICATE
        self.check_marker()
        if self._state(mark.person) in (LedgerState.PENDING, LedgerState.MOVED):
            return MarkOutcome.MERGING
        ids.current[f"e{mark.event_id}"] = _Id(b"", len(self.log))
        try:
            before = Ledger.parse(self.ledgers.get(mark.person, EMPTY))
        except CorruptLedgerError:
            self._write(mark.person, LogKind.FEEDBACK, mark.record, MarkOutcome.ORPHAN)
            return MarkOutcome.ORPHAN
        after = before
        if mark.decision:
            after, outcome = before.marked(mark.decision, mark.offer, mark.kind, now_us)
            changed = [
                (new.decision, new.offer, new.placement)
                for old, new in zip(before.entries, after.entries, strict=True)
                if old.state != new.state
            ]
            self.totals.settle(mark.person, changed, mark.kind, now_us)
        else:
            outcome = MarkOutcome.APPLIED if mark.kind is MarkKind.NONE else MarkOutcome.ORPHAN
        self._write(mark.person, LogKind.FEEDBACK, mark.record, outcome)
        tightens = outcome is MarkOutcome.LATE
        for entry in suppression:
            marked, after = after, after.suppressed(entry)
            tightens = tightens or after is not marked
        if tightens:
            after = after.tightened(now_us)
        if after != before:
            self.ledgers[mark.person] = after.pack()
        return outcome

    def _put(self, write: ProfileWrite, now_us: int) -> ProfileOutcome:
        self.check_marker()
        claimed = []
        for identity in write.identities:
            owner = self.identities.get(identity)
            anonymous = anonymous_id(identity.namespace, identity.value)
            ledger = self.ledgers.get(person_address(anonymous), EMPTY)
            if owner not in (None, write.profile_id):
                return ProfileOutcome.IDENTITY_TAKEN
            if owner is None and anonymous != write.profile_id:
                if len(ledger) != WIDTH:
                    return ProfileOutcome.IDENTITY_HAS_CONTACTS
                if person_address(anonymous) in self._merging.cards:
                    merged = self._state(person_address(anonymous)) == LedgerState.MOVED
                    return ProfileOutcome.IDENTITY_TAKEN if merged else ProfileOutcome.IDENTITY_HAS_CONTACTS
                claimed.append(anonymous)
        if self._state(person_address(write.profile_id)) == LedgerState.MOVED:
            return ProfileOutcome.MERGED
        if write.expected is not None and self.records.get(write.profile_id, b"") != write.expected:
            return ProfileOutcome.CHANGED
        for identity in write.identities:
            self.identities[identity] = write.profile_id
        for anonymous in claimed:
            # whoever read this ledger while the identity was nobody's must not write to it any more
            address = person_address(anonymous)
            ledger_before = Ledger.parse(self.ledgers.get(address, EMPTY))
            self.ledgers[address] = replace(ledger_before, state=LedgerState.SEALED).pack()
        self.records[write.profile_id] = write.record
        self.keep_consents(write.profile_id, write.consents, write.changes)
        if write.tightens:
            self._tighten(person_address(write.profile_id), now_us)
        return ProfileOutcome.WRITTEN

    def _rewrite(self, rewrite: Rewrite, now_us: int) -> RewriteOutcome:
        address = person_address(rewrite.profile_id)
        entries, dropped = parse_entries(rewrite.entries), parse_entries(rewrite.dropped)
        self.check_marker()
        stands = self.ledgers.get(address, EMPTY)
        try:
            ledger = Ledger.parse(stands)
        except CorruptLedgerError:
            return RewriteOutcome.CORRUPT
        if ledger.state != LedgerState.OPEN:
            return RewriteOutcome.CLOSED
        if stands != rewrite.ledger:
            return RewriteOutcome.CHANGED
        self._write(address, LogKind.CHANGE, rewrite.record)
        self.ledgers[address] = ledger.rewritten(entries, rewrite.appended, rewrite.lapsed_before_s, now_us).pack()
        spent = [(entry.decision, entry.offer, entry.placement) for entry in dropped]
        self.totals.settle(address, spent, MarkKind.CLICKED, now_us)
        return RewriteOutcome.DONE

    @contextmanager
    def entered(self) -> Iterator[int]:
        """See `takt.memory.merging.Shelves`."""
        with self._lock:
            self.check_marker()
            yield self._clock.now_us()

    def recall(self, person: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """See `takt.memory.merging.Shelves`."""
        ids = self._remembered(person, self._clock.now_us())
        known = ids.previous | ids.current
        return tuple((name.encode(), _AT.pack(found.at) + found.digest) for name, found in known.items())

    def spend_holds(self, person: bytes, contacts: Sequence[tuple[int, int, int]]) -> None:
        """See `takt.memory.merging.Shelves`."""
        self.totals.spend_holds(person, contacts)

    def remember(self, person: bytes, ids: Sequence[tuple[bytes, bytes]]) -> None:
        """See `takt.memory.merging.Shelves`."""
        known = self._remembered(person, self._clock.now_us())
        for name, remembered in ids:
            if known.get(name.decode()) is None:
                (at,) = _AT.unpack_from(remembered)
                known.current[name.decode()] = _Id(remembered[_AT.size :], at)

    def forget(self, person: bytes) -> None:
        """See `takt.memory.merging.Shelves`."""
        self._ids.pop(person, None)

    def _write(self, person: bytes, kind: LogKind, record: bytes, outcome: str = "") -> None:
        """Append to the log, once everything else is sure to happen."""
        self.log.append((kind.value, record))
        self.decision_log.append(self.totals.partition_at(person), kind, record, outcome)

    def _state(self, person: bytes) -> int | None:
        """State of a ledger; None if it is corrupt."""
        try:
            return Ledger.parse(self.ledgers.get(person, EMPTY)).state
        except CorruptLedgerError:
            return None

    def _tighten(self, person: bytes, now_us: int) -> None:
        try:
            ledger = Ledger.parse(self.ledgers.get(person, EMPTY))
        except CorruptLedgerError:
            return  # nothing is committed on it anyway
        self.ledgers[person] = ledger.tightened(now_us).pack()

    def _fresh(self, commit: Commit, group: Group, now_us: int, known: dict[str, Remembered] | None = None) -> Outcome:
        ledger = self.ledgers.get(person_address(group.profile_id), EMPTY)
        part = self.totals.parts[self.totals.partition_of(group.profile_id)]
        pools = dict(part.book.pools) if group.spends else None
        return Outcome(commit, now_us, known or {}, self.records.get(group.profile_id), ledger, pools)

    def _remembered(self, person: bytes, now_us: int) -> _Ids:
        ids = self._ids.setdefault(person, _Ids())
        ids.turn(now_us // self._retention_us)
        return ids
