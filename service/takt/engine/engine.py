"""The engine: identify, fetch, decide, commit, answer. The only place that knows the order of things."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from takt.catalog.legend import legend
from takt.clock import SECOND_US
from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, WIDTH
from takt.domain.reasons import Cause
from takt.engine import answers
from takt.engine.batch import Item
from takt.engine.compute import compute
from takt.engine.ledgers import entry_bytes, is_whole
from takt.engine.link import REDIRECTS, Merger, takes_part
from takt.engine.totals import Escrow, spends
from takt.engine.validation import check
from takt.errors import InvalidRequestError, RequestIdReusedError, StoreError, StoreMarkerError
from takt.features.reader import RecordReader
from takt.identity import anonymous_id
from takt.ports import Commit, Entry, Group, NullMeter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from takt.clock import Clock
    from takt.domain.decision import Decision
    from takt.domain.request import DecideRequest
    from takt.engine.compute import Computed
    from takt.engine.force import Force
    from takt.errors import TaktError
    from takt.ports import Meter, Outcome, RecordCodec, Remembered, Scorer, Store, Trace


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often."""

    attempts: int = 4
    """Lost races after which a request falls back."""
    max_age_us: int = 2 * SECOND_US
    """Oldest snapshot that may be committed on."""


@dataclass(frozen=True, slots=True)
class Member:
    """One decided request of a group that waits to be committed."""

    place: int
    """Position in the layout."""
    item: Item
    decision: Decision
    contacts: bytes
    trace: Trace


@dataclass(frozen=True, slots=True)
class Commitment:
    """What one person's group asks of the store, and whom it concerns."""

    group: Group
    members: list[Member]


@dataclass(slots=True)
class Batch:
    """The answers of a batch as they come in."""

    force: Force
    requests: Sequence[DecideRequest]
    answers: list[Decision | TaktError | None]
    twins: dict[int, list[int]]
    """Requests of the batch that repeat an earlier one of it: index of the first to the others."""
    outdated: list[int] = field(default_factory=list)
    """Requests that were decided under a catalog which is no longer in force."""


BEHIND: Final = "another catalog is in force, which this replica has not loaded"


class Engine:
    """Decides batches. `decide` is called by one thread; `fallback` and `redeploy` by any."""

    def __init__(
        self,
        force: Force,
        store: Store,
        codec: RecordCodec,
        *,
        prior: Scorer,
        clock: Clock,
        meter: Meter,
        service_version: str,
        limits: Limits | None = None,
    ) -> None:
        """Start with `force`; `prior` scores when a model fails. The store must bear its marker."""
        self._store = store
        self._codec = codec
        self._prior = prior
        self._clock = clock
        self._meter = meter
        self._version = service_version
        self._limits = limits or Limits()
        self._escrow = Escrow(store.totals, clock)
        self.prepare(force)
        self._in_force = self._next
        self._oldest = 0
        self.merger = Merger(store, clock=clock, spec=lambda: self.force.catalog.spec)
        """Merges people, and leads to those who were merged."""

    @property
    def force(self) -> Force:
        """The catalog and model in force."""
        return self._in_force[0]

    @property
    def prepared(self) -> int:
        """Number of the newest edition that is ready to be put in force."""
        return self._next[0].edition

    def rehearse(self, force: Force, request: DecideRequest) -> None:
        """Decide once by what is not in force, so that nobody waits for what is slow at first. Leaves no trace."""
        reader = RecordReader(force.catalog.spec, {})
        now_us = self._clock.now_us()
        item = Item(0, request, request.digest(), profile_id=request.profile_id, record=None, now_us=now_us)
        answers.decisions(compute(force, reader, self._prior, [item], NullMeter()), self._version)

    def prepare(self, force: Force) -> None:
        """Make a catalog or model ready: it is put in force by `turn`, or when the store says that it is."""
        # before the first record that is written under it
        self._store.decision_log.register_legend(force.catalog.version, legend(force.catalog))
        self._next = (force, RecordReader(force.catalog.spec, self._store.layouts()))

    def turn(self) -> None:
        """Put what was prepared in force: batches that are under way finish on what they began with."""
        self._in_force = self._next

    def redeploy(self, force: Force) -> None:
        """Prepare and put in force at once."""
        self.prepare(force)
        self.turn()

    def fallback(self, request: DecideRequest, cause: Cause, message: str) -> Decision:
        """Neutral content for every placement, flagged as degraded. Nothing is read or written."""
        decision = answers.fallback(
            self.force,
            request,
            cause=cause,
            message=message,
            now_us=self._clock.now_us(),
            service_version=self._version,
        )
        self._meter.decided(decision)
        return decision

    def decide(self, requests: Sequence[DecideRequest]) -> list[Decision | TaktError]:
        """Answer every request, in order. A wrong request gets its error in its place; the others are untouched.

        Two round trips to the store for the batch, one more if people were named by identity, one for each round of
        lost races, and two for each merge that somebody named by an old name went through. What met the moment in which
        another catalog came into force is decided anew, from the start.
        """
        self._meter.batch(len(requests))
        final = self._answers(requests, *self._in_force)
        for answer in final:
            if isinstance(answer, Exception):
                self._meter.refused(type(answer).__name__)
            else:
                self._meter.decided(answer)
        return final

    def _answers(
        self, requests: Sequence[DecideRequest], force: Force, reader: RecordReader
    ) -> list[Decision | TaktError]:
        """Answer every request under `force`, or under what came after it."""
        batch = Batch(force, requests, [None] * len(requests), {})
        valid = self._valid(batch)
        if force.edition < self._oldest:
            batch.outdated.extend(valid)
        elif valid:
            try:
                pending = self._fetch(batch, self._identify(batch, valid))
                while pending:
                    pending = self._round(batch, reader, pending)
            except StoreError as error:
                self._give_up(batch, Cause.STORE, f"the store could not be used: {error}")
        if batch.outdated:
            self._decide_anew(batch)
        for first, others in batch.twins.items():
            for other in others:
                batch.answers[other] = batch.answers[first]
        return [answer for answer in batch.answers if answer is not None]

    def _decide_anew(self, batch: Batch) -> None:
        """Answer what was decided under a catalog that is out of force, under the one that is, if that is at hand."""
        if self._in_force[0].edition <= batch.force.edition < self.prepared:
            self.turn()
        force, reader = self._in_force
        if force.edition <= batch.force.edition:
            # until there is another: deciding under this one would only bring totals in line with it
            self._oldest = force.edition + 1
            for i in batch.outdated:
                batch.answers[i] = self._fallback(batch, i, Cause.CATALOG, BEHIND)
            return
        found = self._answers([batch.requests[i] for i in batch.outdated], force, reader)
        for i, answer in zip(batch.outdated, found, strict=True):
            batch.answers[i] = answer

    def _valid(self, batch: Batch) -> list[int]:
        """Indices of the requests that are valid and in time; the others are answered."""
        force = batch.force
        pending: list[int] = []
        now = self._clock.monotonic_us()
        for i, request in enumerate(batch.requests):
            try:
                check(request, force.catalog, force.placement_index, force.timing_index)
            except InvalidRequestError as error:
                batch.answers[i] = error
                continue
            if 0 < request.deadline_us <= now:
                batch.answers[i] = self._fallback(
                    batch, i, Cause.DEADLINE, "the budget was spent before it could be decided"
                )
            else:
                pending.append(i)
        return pending

    def _identify(self, batch: Batch, pending: list[int]) -> list[Item]:
        """Name the person of every request: one look-up for the batch, and only if identities were given."""
        wanted = [identity for i in pending for identity in batch.requests[i].identities]
        found = iter(self._store.resolve(wanted)) if wanted else iter(())
        items = []
        for i in pending:
            request = batch.requests[i]
            profile_id = request.profile_id
            if not profile_id:
                known = [p for p in [next(found) for _ in request.identities] if p is not None]
                first = request.identities[0]
                profile_id = known[0] if known else anonymous_id(first.namespace, first.value)
            items.append(Item(index=i, request=request, digest=request.digest(), profile_id=profile_id, record=None))
        return self._distinct(batch, items)

    def _distinct(self, batch: Batch, items: list[Item]) -> list[Item]:
        """The first item of each request id and person; a repeat within the batch shares its answer."""
        firsts: dict[tuple[str, str, bool], Item] = {}
        for item in items:
            first = firsts.setdefault((item.profile_id, item.request.request_id, item.request.dry_run), item)
            if first is item:
                continue
            if first.digest == item.digest:
                batch.twins.setdefault(first.index, []).extend([item.index, *batch.twins.pop(item.index, [])])
            else:
                batch.answers[item.index] = RequestIdReusedError(item.request.request_id)
        return list(firsts.values())

    def _fetch(self, batch: Batch, items: list[Item], redirects: int = 0) -> list[Item]:
        """Read time, records and ledgers in one round trip. A ledger that is not whole fails closed."""
        ids = list(dict.fromkeys(item.profile_id for item in items))
        totals = len(batch.force.total_caps) > 0
        fetched = self._store.fetch(ids, totals=totals)
        place = {profile_id: n for n, profile_id in enumerate(ids)}
        ready = []
        for item in items:
            n = place[item.profile_id]
            read = replace(item, record=fetched.records[n], ledger=fetched.ledgers[n] or EMPTY, now_us=fetched.now_us)
            ready.append(replace(read, partition=fetched.partitions[n], pools=fetched.pools[n]) if totals else read)
        return self._whole(batch, ready, redirects)

    def _whole(self, batch: Batch, items: list[Item], redirects: int = 0) -> list[Item]:
        """The items whose ledger can be read, after merges that they take part in; the others fall back."""
        whole = []
        for item in items:
            if is_whole(item.ledger):
                whole.append(item)
            else:
                batch.answers[item.index] = self._fallback(
                    batch, item.index, Cause.STORE, "the contact ledger could not be read; nobody is contacted", item
                )
        merging = [item for item in whole if takes_part(item.ledger)]
        return self._led(batch, whole, merging, redirects) if merging else whole

    def _led(self, batch: Batch, items: list[Item], merging: list[Item], redirects: int) -> list[Item]:
        """The items, those of people in merges under the name and on the ledger that count now."""
        leads = self.merger.follow([person_address(item.profile_id) for item in merging])
        led: dict[int, Item] = {}
        for item, lead in zip(merging, leads, strict=True):
            if lead.settled and redirects < REDIRECTS:
                led[item.index] = replace(item, profile_id=lead.profile_id)
            else:
                message = "profiles of this person are being merged"
                batch.answers[item.index] = self._fallback(batch, item.index, Cause.CONTENTION, message, item)
        named = {item.index for item in merging}
        others = [item for item in items if item.index not in named]
        distinct = self._distinct(batch, [*others, *led.values()])
        again = [item for item in distinct if item.index in led]
        settled = [item for item in distinct if item.index not in led]
        return [*settled, *self._fetch(batch, again, redirects + 1)] if again else settled

    def _round(self, batch: Batch, reader: RecordReader, items: list[Item]) -> list[Item]:
        """Decide and commit; return what has to be decided again, on what came back."""
        computed = compute(batch.force, reader, self._prior, items, self._meter)
        books = self._escrow.pull(computed.tally.short)
        if books is not None:
            items = [replace(item, pools=books[item.partition].pools) for item in items]
            computed = compute(batch.force, reader, self._prior, items, self._meter)
        layout = computed.layout
        decided = answers.decisions(computed, self._version)
        contacts = packed_contacts(computed, [found for _, found in decided])
        now = self._clock.monotonic_us()
        again: list[Item] = []
        commits: list[Commitment] = []
        for g in range(len(layout.group_first) - 1):
            span = range(layout.group_first[g], layout.group_first[g + 1])
            expired = [i for i in span if 0 < layout.items[i].request.deadline_us <= now]
            if expired:
                # Nobody waits for these any more, so they make no contact; the rest of the chain was decided with them.
                for i in expired:
                    item = layout.items[i]
                    message = "the budget was spent before it could be committed"
                    batch.answers[item.index] = self._fallback(batch, item.index, Cause.DEADLINE, message, item)
                again.extend(layout.items[i] for i in span if i not in expired)
                continue
            members = []
            earlier = b""
            for i in span:
                item, (decision, _) = layout.items[i], decided[i]
                if item.request.dry_run or (decision.degraded and not contacts[i]):
                    batch.answers[item.index] = decision
                else:
                    members.append(Member(i, item, decision, contacts[i], answers.trace(computed, i, g, earlier)))
                earlier += contacts[i]
            if members:
                commits.append(self._commitment(computed, g, members))
        return again + self._commit(batch, commits)

    def _commitment(self, computed: Computed, g: int, members: list[Member]) -> Commitment:
        """What group `g` asks of the store."""
        catalog = computed.force.catalog
        layout, picked = computed.layout, computed.picked
        first = layout.group_first[g]
        group = Group(
            profile_id=members[0].item.profile_id,
            compare=bool(picked.live[first : layout.group_first[g + 1]].any()),
            gate=int(computed.ledgers.gate[g]),
            appends=int(computed.ledgers.appends[g]),
            slack=int(picked.slack[g]),
            snapshot_us=int(layout.now_us[first]),
            max_age_us=self._limits.max_age_us,
            max_entries=catalog.max_entries,
            trim_before_us=int(layout.now_us[first]) - catalog.keep_us,
            entries=tuple(
                Entry(
                    m.item.request.request_id,
                    m.item.digest,
                    m.contacts,
                    self._codec.encode(m.item.request, m.decision, m.trace),
                )
                for m in members
            ),
            spends=spends(computed, g, [(m.place, m.contacts) for m in members]),
            edition=computed.force.edition,
        )
        return Commitment(group, members)

    def _commit(self, batch: Batch, commits: list[Commitment]) -> list[Item]:
        """Commit all groups in one round trip; answer what was done, return what lost its race."""
        if not commits:
            return []
        started = self._clock.monotonic_us()
        outcomes = self._store.commit([c.group for c in commits])
        self._meter.stage("commit", (self._clock.monotonic_us() - started) / SECOND_US)
        self._meter.races(outcomes)
        again: list[Item] = []
        for commitment, outcome in zip(commits, outcomes, strict=True):
            if outcome.commit is Commit.DONE:
                for member in commitment.members:
                    batch.answers[member.item.index] = member.decision
                continue
            for member in commitment.members:
                remembered = outcome.known.get(member.item.request.request_id)
                if remembered is not None:
                    batch.answers[member.item.index] = self._repeat(batch, member.item, remembered)
                else:
                    again.extend(self._lost(batch, member.item, outcome))
        return self._whole(batch, again)

    def _repeat(self, batch: Batch, item: Item, remembered: Remembered) -> Decision | TaktError:
        """The answer of a request id that is remembered: the one that was given, if the request is the same."""
        if remembered.request_digest != item.digest:
            return RequestIdReusedError(item.request.request_id)
        if remembered.record is None:
            return self._fallback(
                batch, item.index, Cause.STORE, "decided before, but the log no longer holds the answer", item
            )
        return self._codec.decode(remembered.record)

    def _lost(self, batch: Batch, item: Item, outcome: Outcome) -> list[Item]:
        """A request that was not committed: to be decided again on the fresh read, or fallen back."""
        match outcome.commit:
            case Commit.MARKER:
                raise StoreMarkerError("the store lost its marker")
            case Commit.CATALOG:
                batch.outdated.append(item.index)
                return []
            case Commit.LEDGER_FULL:
                cause, message = Cause.STORE, "the contact ledger has no room for the contacts"
            case Commit.CORRUPT:
                cause, message = Cause.STORE, "the contact ledger could not be read; nobody is contacted"
            case _ if item.attempt >= self._limits.attempts and outcome.commit is not Commit.KNOWN:
                cause, message = (
                    Cause.CONTENTION,
                    f"the contacts of this person changed at each of {item.attempt} attempts",
                )
            case _:
                attempt = item.attempt + (outcome.commit is not Commit.KNOWN)
                fresh = replace(
                    item, record=outcome.profile, ledger=outcome.ledger or EMPTY, now_us=outcome.now_us, attempt=attempt
                )
                if outcome.pools is not None:
                    fresh = replace(fresh, pools=outcome.pools)
                return [fresh]
        batch.answers[item.index] = self._fallback(batch, item.index, cause, message, item)
        return []

    def _give_up(self, batch: Batch, cause: Cause, message: str) -> None:
        """Fall back for everything that has no answer yet."""
        repeated = {i for others in batch.twins.values() for i in others}
        for i, answer in enumerate(batch.answers):
            if answer is None and i not in repeated:
                batch.answers[i] = self._fallback(batch, i, cause, message)

    def _fallback(self, batch: Batch, index: int, cause: Cause, message: str, item: Item | None = None) -> Decision:
        """Neutral content for one request of a batch."""
        return answers.fallback(
            batch.force,
            batch.requests[index],
            cause=cause,
            message=message,
            now_us=item.now_us if item and item.now_us else self._clock.now_us(),
            service_version=self._version,
            item=item,
        )


def packed_contacts(computed: Computed, contacts: list[npt.NDArray[np.int64]]) -> list[bytes]:
    """Ledger entries of every item, packed for the whole batch at once."""
    positions = np.concatenate(contacts)
    origins = np.repeat([item.origin for item in computed.layout.items], [len(c) for c in contacts])
    packed = entry_bytes(computed.force, computed.ledgers.contacts, positions, origins)
    ends = np.cumsum([len(c) * WIDTH for c in contacts])
    return [packed[end - len(c) * WIDTH : end] for c, end in zip(contacts, ends, strict=True)]
