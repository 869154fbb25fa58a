"""`takt.ports.Store` on Redis or Valkey: a fixed number of commands per batch, whatever its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from takt.clock import MINUTE_US, Clock, SystemClock
from takt.domain.ledger import EMPTY
from takt.domain.request import Identity
from takt.errors import StoreError
from takt.ports import (
    Begun,
    Fetched,
    Group,
    Mark,
    MarkOutcome,
    Outcome,
    ProfileOutcome,
    ProfileWrite,
    Rewrite,
    RewriteOutcome,
)
from takt.redis import frames, keys
from takt.redis.calls import Calls, Unit
from takt.redis.editions import RedisEditions
from takt.redis.functions import Functions, Mode
from takt.redis.journal import Journal
from takt.redis.log import RedisLog
from takt.redis.marker import Marker, check_marker, read_marker
from takt.redis.merging import RedisMerging
from takt.redis.server import Server, inspect
from takt.redis.totals import RedisTotals
from takt.redis.trips import RoundTrips
from takt.redis.wire import Address, Wire

PUT_BACK_AT_ONCE: Final = 128
"""Commits or events of one call: it has to end within the time-out of a request's."""
PATIENT_S: Final = 10.0
"""Time-out of calls that nobody waits for with a page in hand."""

log = structlog.get_logger(__name__)


class _Claim(Struct, frozen=True):
    """A profile's claim on one of its identities."""

    profile_id: str
    keys: keys.IdentityKeys

    @property
    def anonymous(self) -> bool:
        """Whether the profile is the one that stands for this identity anyway."""
        return self.profile_id == self.keys.anonymous

    def made(self) -> Unit:
        """Unit that makes the claim."""
        return self._unit(frames.claim(self.profile_id, anonymous=self.anonymous))

    def settled(self, *, keep: bool) -> Unit:
        """Unit that ends the claim."""
        return self._unit(frames.settle(self.profile_id, keep=keep, anonymous=self.anonymous))

    def _unit(self, frame: bytes) -> Unit:
        named = self.keys
        touched = (named.marker, named.identity, named.anonymous_ledger, named.anonymous_merges)
        return Unit(named.partition, touched, frame)


class RedisStore:
    """The store of one Redis or Valkey server. Safe to use from many threads; every call may raise `StoreError`.

    On a plain server every batch is one command per call (`fetch`: two in one pipeline). On a server in cluster mode it
    is one per partition touched, all in one round trip.
    """

    def __init__(
        self,
        wire: Wire,
        marker: Marker,
        server: Server,
        *,
        functions: Functions,
        clock: Clock | None = None,
        patient: Wire | None = None,
    ) -> None:
        self.marker = marker
        self.server = server
        self._wire = wire
        self._clock = clock
        self._calls = Calls(wire, functions, marker, per_slot=server.cluster, clock=clock)
        self.totals = RedisTotals(self._calls)
        self._merging = RedisMerging(self._calls)
        self._journal = Journal(clock or SystemClock(), within_us=min(MINUTE_US, marker.retention_us // 2))
        wire.on_change = self._put_back
        self._log = RedisLog(wire, marker)
        # what is moved here may be megabytes, and no request waits for it
        self._patient = wire if patient is None else patient
        if self._patient is not wire:
            # asked each half second, also where nobody calls: so an idle service notices another server as well
            self._patient.on_change = self._notice
        self._editions = RedisEditions(replace(self._calls, wire=self._patient))

    @classmethod
    def open(
        cls,
        address: Address | str,
        *,
        store_id: str | None = None,
        clock: Clock | None = None,
        trips: RoundTrips | None = None,
        mode: Mode = "auto",
        wire: Wire | None = None,
    ) -> RedisStore:
        """Connect, and refuse a server that is not a Takt store, has lost data or would.

        `store_id` is the one expected, None for any. `clock` stands in for the server's time in simulations and tests;
        it must not run slower than real time, after which ids are forgotten. Raises `StoreError`, `StoreMarkerError`.
        """
        address = Address(address) if isinstance(address, str) else address
        wire = wire or Wire(address, trips=trips)
        patient = Wire(replace(address, timeout_s=max(address.timeout_s, PATIENT_S)), trips=wire.trips)
        try:
            server = inspect(wire)
            for warning in server.check():
                log.warning("store", message=warning)
            marker = read_marker(wire, store_id)
            functions = Functions(wire, mode)
            functions.load()
        except BaseException:
            wire.close()
            raise
        return cls(wire, marker, server, functions=functions, clock=clock, patient=patient)

    @property
    def merging(self) -> RedisMerging:
        """See `takt.ports.Store`."""
        return self._merging

    @property
    def decision_log(self) -> RedisLog:
        """See `takt.ports.Store`."""
        return self._log

    @property
    def editions(self) -> RedisEditions:
        """See `takt.ports.Store`."""
        return self._editions

    @property
    def trips(self) -> RoundTrips:
        """Round trips so far, by name."""
        return self._wire.trips

    @property
    def uses_scripts(self) -> bool:
        """Whether scripts stand in for functions on this server."""
        return self._calls.functions.uses_scripts

    def keys_of(self, profile_id: str) -> keys.PersonKeys:
        """Keys of a person, for tools that look into the store."""
        return keys.person(profile_id, self.marker.partitions)

    @property
    def wire(self) -> Wire:
        """The connections, with their breaker."""
        return self._wire

    def check_marker(self) -> None:
        """See `takt.ports.Store`."""
        check_marker(self._wire, self.marker)

    def resolve(self, identities: Sequence[Identity]) -> list[str | None]:
        """See `takt.ports.Store`. A claim that is not settled yet names nobody."""
        return self.begin_resolve(identities)()

    def begin_resolve(self, identities: Sequence[Identity]) -> Begun[list[str | None]]:
        """See `takt.ports.Store`."""
        named = [keys.identity(i.namespace, i.value, self.marker.partitions) for i in identities]
        begun = self._calls.begin_read("resolve", [(key.partition, key.identity) for key in named])

        def resolved() -> list[str | None]:
            values, _ = begun()
            return [value[1:].decode() if value is not None and value[:1] == b"=" else None for value in values]

        return resolved

    def fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Fetched:
        """See `takt.ports.Store`. The time is read first, so that a snapshot is never taken for younger than it is."""
        return self.begin_fetch(profile_ids, totals=totals)()

    def begin_fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Begun[Fetched]:
        """See `takt.ports.Store`."""
        people = [self.keys_of(profile_id) for profile_id in profile_ids]
        wanted = [(p.partition, key) for p in people for key in (p.profile, p.ledger)]
        touched = {p.partition: p.pools for p in people} if totals else {}
        begun = self._calls.begin_read("fetch", wanted, ("TIME",), *(("HGETALL", key) for key in touched.values()))
        given_us = self._clock.now_us() if self._clock else 0

        def fetched() -> Fetched:
            values, (time, *flat) = begun()
            closed = self.totals.closed
            pools = {p: {} if closed else frames.pools(found) for p, found in zip(touched, flat, strict=True)}
            return Fetched(
                now_us=given_us if self._clock else int(time[0]) * 1_000_000 + int(time[1]),
                records=values[::2],
                ledgers=[EMPTY if ledger is None else ledger for ledger in values[1::2]],
                partitions=[p.partition for p in people] if totals else [],
                pools=[pools[p.partition] for p in people] if totals else [],
            )

        return fetched

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """See `takt.ports.Store`."""
        return self.begin_commit(groups)()

    def begin_commit(self, groups: Sequence[Group]) -> Begun[list[Outcome]]:
        """See `takt.ports.Store`."""
        units = []
        for group in groups:
            person = self.keys_of(group.profile_id)
            touched = (
                *(person.marker, person.log, person.profile, person.ledger, person.ids),
                *(person.pools, person.holds),
            )
            units.append(Unit(person.partition, touched, frames.group(group)))
        if self.totals.closed and any(group.spends for group in groups):
            raise StoreError(f"{self._wire.shown}: is another server than before; totals wait until all is put back")
        begun = self._calls.begin_run("commit", "takt_commit_v2", units)

        def outcomes() -> list[Outcome]:
            answers = begun()
            self._journal.committed(
                (unit, group.spends)
                for unit, group, (code, _) in zip(units, groups, answers, strict=True)
                if code == frames.DONE
            )
            return [frames.outcome(group, *answer) for group, answer in zip(groups, answers, strict=True)]

        return outcomes

    def mark(self, marks: Sequence[Mark]) -> list[MarkOutcome]:
        """See `takt.ports.Store`. On `StoreMarkerError` other partitions' events were applied; repeating is safe."""
        units = []
        for mark in marks:
            person = keys.person_at(mark.person, self.marker.partitions)
            touched = (
                *(person.marker, person.log, person.ledger, person.ids),
                *(person.pools, person.holds, person.returned),
            )
            units.append(Unit(person.partition, touched, frames.mark(mark)))
        codes = self._calls.codes("mark", "takt_mark_v1", units)
        self._journal.marked(unit for unit, code in zip(units, codes, strict=True) if code in frames.APPLIED)
        return [frames.mark_outcome(code) for code in codes]

    def consents(self, profile_ids: Sequence[str]) -> list[bytes | None]:
        """See `takt.ports.Store`."""
        people = [self.keys_of(profile_id) for profile_id in profile_ids]
        values, _ = self._calls.read("consents", [(person.partition, person.consents) for person in people])
        return values

    def put(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """See `takt.ports.Store`. Three round trips: claim the identities, write the profiles, settle the claims.

        A crash in between leaves claims that lapse after ten seconds and name nobody until then; a profile whose
        identities lapsed is complete once it is put again.
        """
        claims = [
            (at, _Claim(write.profile_id, keys.identity(identity.namespace, identity.value, self.marker.partitions)))
            for at, write in enumerate(writes)
            for identity in write.identities
        ]
        answers = self._calls.codes("put", "takt_claim_v1", [claim.made() for _, claim in claims])
        by_write: list[list[int]] = [[] for _ in writes]
        for (at, _), answer in zip(claims, answers, strict=True):
            by_write[at].append(answer)
        outcomes = [frames.refusals(codes) for codes in by_write]

        units = []
        free = [at for at, outcome in enumerate(outcomes) if outcome is ProfileOutcome.WRITTEN]
        for at in free:
            person = self.keys_of(writes[at].profile_id)
            touched = (person.marker, person.profile, person.ledger, person.log, person.consents)
            units.append(Unit(person.partition, touched, frames.put(writes[at])))
        for at, answer in zip(free, self._calls.codes("put", "takt_put_v2", units), strict=True):
            outcomes[at] = frames.put_outcome(answer)

        made = [(at, claim) for (at, claim), answer in zip(claims, answers, strict=True) if answer == frames.CLAIMED]
        # what is kept comes first: giving back must not undo what an earlier write of the same profile was given
        made.sort(key=lambda item: outcomes[item[0]] is not ProfileOutcome.WRITTEN)
        settled = self._calls.codes(
            "put",
            "takt_settle_v1",
            [claim.settled(keep=outcomes[at] is ProfileOutcome.WRITTEN) for at, claim in made],
        )
        for (at, _), answer in zip(made, settled, strict=True):
            if outcomes[at] is ProfileOutcome.WRITTEN:
                outcomes[at] = frames.refusals([answer])
        return outcomes

    def rewrite(self, rewrites: Sequence[Rewrite]) -> list[RewriteOutcome]:
        """See `takt.ports.Store`."""
        units = []
        for rewrite in rewrites:
            person = self.keys_of(rewrite.profile_id)
            touched = (person.marker, person.log, person.ledger, person.pools, person.holds, person.returned)
            units.append(Unit(person.partition, touched, frames.rewrite(rewrite)))
        return [frames.rewrite_outcome(code) for code in self._calls.codes("rewrite", "takt_rewrite_v2", units)]

    def _notice(self) -> None:
        """Ask the server anything: where it is another one than before, that is seen to first."""
        self._wire.call("restore", [("TIME",)])

    def _put_back(self) -> None:
        """Put back what the server before acknowledged, and this one has forgotten: commits first, then events.

        Whatever it remembers is left as it is, so that this may be done by every replica, and again.
        """
        commits, marks = self._journal.recent()
        self.totals.close()
        ends = self.totals.reopened([spend for noted in commits for spend in noted.spends])
        units = [
            noted.unit._replace(frame=frames.restored(noted.unit.frame, [ends.get(s.field, -1) for s in noted.spends]))
            for noted in commits
        ]
        codes: Counter[int] = Counter()
        for at in range(0, len(units), PUT_BACK_AT_ONCE):
            codes.update(self._calls.codes("restore", "takt_restore_v1", units[at : at + PUT_BACK_AT_ONCE]))
        for at in range(0, len(marks), PUT_BACK_AT_ONCE):
            events = [noted.unit for noted in marks[at : at + PUT_BACK_AT_ONCE]]
            self._calls.codes("restore", "takt_mark_v1", events)
        if ends:
            self.totals.settle_debts()
        restored, known = codes[frames.DONE] + codes[frames.PARTLY], codes[frames.KNOWN]
        log.warning(
            "store_changed",
            store=self._wire.shown,
            known=known,
            restored=restored,
            uncounted=codes[frames.PARTLY],
            lost=codes.total() - known - restored,
        )

    def layouts(self) -> dict[int, str]:
        """See `takt.ports.Store`."""
        (flat,) = self._wire.call("layouts", [("HGETALL", keys.LAYOUTS)])
        return {int(name): text.decode() for name, text in zip(flat[::2], flat[1::2], strict=True)}

    def register_layout(self, fingerprint: int, layout: str) -> None:
        """See `takt.ports.Store`. The first text stands."""
        self._wire.call("layouts", [("HSETNX", keys.LAYOUTS, str(fingerprint), layout)])

    def close(self) -> None:
        """See `takt.ports.Store`."""
        self._wire.close()
        self._patient.close()
