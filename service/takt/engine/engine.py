"""The engine: identify, fetch, decide, commit, answer. The only place that knows the order of things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct, field

from takt.catalog.legend import legend
from takt.clock import SECOND_US
from takt.domain.decision import decision_id, person_address
from takt.domain.ledger import EMPTY, WIDTH
from takt.domain.reasons import Cause
from takt.engine import fallbacks
from takt.engine.batch import Item, item, origins
from takt.engine.compute import compute
from takt.engine.counting import count
from takt.engine.ledgers import contacts_made, is_whole
from takt.engine.link import REDIRECTS, Merger, takes_part
from takt.engine.steps import Pause, finished
from takt.engine.totals import Escrow, spends
from takt.errors import RequestIdReusedError, StoreError, StoreMarkerError, TaktError
from takt.features.reader import RecordReader
from takt.identity import anonymous_id
from takt.ports import Commit, Entry, Group, NullMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from takt.clock import Clock
    from takt.domain.decision import Decision
    from takt.domain.request import DecideRequest
    from takt.engine.asking import Asking
    from takt.engine.codec import Codec, Letters
    from takt.engine.compute import Computed
    from takt.engine.force import Force
    from takt.engine.ledgers import Made
    from takt.engine.steps import Steps
    from takt.ports import Begun, Meter, Outcome, Remembered, Scorer, Store

Result = TypeVar("Result")


class Limits(Struct, frozen=True):
    """How long and how often."""

    attempts: int = 4
    """Lost races after which a request falls back."""
    max_age_us: int = 2 * SECOND_US
    """Oldest snapshot that may be committed on."""


class Member(Struct):
    """One decided request of a group that waits to be committed."""

    place: int
    """Position in the layout."""
    item: Item
    answer: bytes


class Commitment(Struct):
    """What one person's group asks of the store, and whom it concerns."""

    group: Group
    members: list[Member]


class Batch(Struct):
    """The answers of a batch as they come in."""

    asking: Asking
    answers: list[bytes | TaktError | None]
    twins: dict[int, list[int]]
    """Requests of the batch that repeat an earlier one of it: index of the first to the others."""
    outdated: list[int] = field(default_factory=list)
    """Requests that were decided under a catalog which is no longer in force."""


BEHIND: Final = "another catalog is in force, which this replica has not loaded"


class Engine:
    """Decides batches. `fallbacks` and `redeploy` are called by any thread, all else by one at a time.

    A batch pauses while the store is at work (`answering`). Others may be decided then: what two of them want of one
    person is settled by the store, as between replicas.
    """

    def __init__(
        self,
        force: Force,
        store: Store,
        codec: Codec,
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
        self.merger = Merger(store, codec=codec, clock=clock, spec=lambda: self.force.catalog.spec)
        """Merges people, and leads to those who were merged."""

    @property
    def codec(self) -> Codec:
        """How answers and log records are encoded."""
        return self._codec

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
        asking = self._codec.read(force, [request])
        one = item(asking, 0, request.profile_id)
        one.now_us = self._clock.now_us()
        self._written(compute(asking, RecordReader(force.catalog.spec, {}), self._prior, [one], NullMeter()))

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

    def fallbacks(self, asking: Asking, cause: Cause, message: str) -> list[bytes | TaktError]:
        """Neutral content for every placement of every request, in order, flagged as degraded.

        Nothing is read or written. A wrong request gets its error in its place.
        """
        batch = Batch(asking, [asking.errors.get(i) for i in range(len(asking))], {})
        for error in asking.errors.values():
            self._meter.refused(type(error).__name__)
        self._fall_back_all(batch, [i for i, answer in enumerate(batch.answers) if answer is None], cause, message)
        return [answer for answer in batch.answers if answer is not None]

    def decide(self, requests: Sequence[DecideRequest]) -> list[Decision | TaktError]:
        """`answer` for whoever has requests as values and wants decisions as values."""
        answers = self.answer(self._codec.read(self.force, requests))
        return [a if isinstance(a, TaktError) else self._codec.decode(a) for a in answers]

    def answer(self, asking: Asking) -> list[bytes | TaktError]:
        """Answer every request, in order. A wrong request gets its error in its place; the others are untouched."""
        return finished(self.answering(asking))

    def answering(self, asking: Asking) -> Steps[list[bytes | TaktError]]:
        """`answer` in steps, between which others may be taken on the same thread.

        Two round trips to the store for the batch, one more if people were named by identity, one for each round of
        lost races, and two for each merge that somebody named by an old name went through. What met the moment in which
        another catalog came into force is decided anew, from the start.
        """
        self._meter.batch(len(asking))
        final = yield from self._answers(asking)
        for answer in final:
            if isinstance(answer, TaktError):
                self._meter.refused(type(answer).__name__)
        return final

    def _answers(self, asking: Asking) -> Steps[list[bytes | TaktError]]:
        """Answer every request under the catalog that it was read against, or under what came after it."""
        batch = Batch(asking, [None] * len(asking), {})
        valid = self._valid(batch)
        if asking.force.edition < self._oldest:
            batch.outdated.extend(valid)
        elif valid:
            try:
                reader = self._reader(asking.force)
                pending = yield from self._fetch(batch, (yield from self._identify(batch, valid)))
                while pending:
                    pending = yield from self._round(batch, reader, pending)
            except StoreError as error:
                self._give_up(batch, Cause.STORE, f"the store could not be used: {error}")
        if batch.outdated:
            yield from self._decide_anew(batch)
        for first, others in batch.twins.items():
            for other in others:
                batch.answers[other] = batch.answers[first]
        return [answer for answer in batch.answers if answer is not None]

    def _decide_anew(self, batch: Batch) -> Steps[None]:
        """Answer what was decided under a catalog that is out of force, under the one that is, if that is at hand."""
        edition = batch.asking.force.edition
        if self.force.edition <= edition < self.prepared:
            self.turn()
        force = self.force
        if force.edition <= edition:
            # until there is another: deciding under this one would only bring totals in line with it
            self._oldest = edition + 1
            for i in batch.outdated:
                self._fall_back(batch, i, Cause.CATALOG, BEHIND)
            return
        found = yield from self._answers(self._codec.reread(force, batch.asking, batch.outdated))
        for i, answer in zip(batch.outdated, found, strict=True):
            batch.answers[i] = answer

    def _reader(self, force: Force) -> RecordReader:
        """What reads records for the catalog in force, or for one that was when a batch was read."""
        for known, reader in (self._in_force, self._next):
            if known is force:
                return reader
        return RecordReader(force.catalog.spec, self._store.layouts())

    def _valid(self, batch: Batch) -> list[int]:
        """Indices of the requests that are valid and in time; the others are answered."""
        asking = batch.asking
        now = self._clock.monotonic_us()
        pending: list[int] = []
        late: list[int] = []
        for i, deadline_us in enumerate(asking.deadlines_us):
            if i in asking.errors:
                batch.answers[i] = asking.errors[i]
            elif 0 < deadline_us <= now:
                late.append(i)
            else:
                pending.append(i)
        if late:
            self._fall_back_all(batch, late, Cause.DEADLINE, "the budget was spent before it could be decided")
        return pending

    def _identify(self, batch: Batch, pending: list[int]) -> Steps[list[Item]]:
        """Name the person of every request: one look-up for the batch, and only if identities were given."""
        asking = batch.asking
        named = {i: asking.identities[i] for i in pending if i in asking.identities} if asking.identities else {}
        wanted = [identity for identities in named.values() for identity in identities]
        found: Iterator[str | None] = iter(())
        if wanted:
            resolving = self._store.begin_resolve(wanted)
            yield Pause.READ
            found = iter(resolving())
        people: dict[int, str] = {}
        for i, identities in named.items():
            known = [p for p in [next(found) for _ in identities] if p is not None]
            first = identities[0]
            people[i] = known[0] if known else anonymous_id(first.namespace, first.value)
        profile_ids = asking.profile_ids
        return self._distinct(batch, [item(asking, i, people.get(i) or profile_ids[i]) for i in pending])

    def _distinct(self, batch: Batch, items: list[Item]) -> list[Item]:
        """The first item of each request id and person; a repeat within the batch shares its answer."""
        firsts: dict[tuple[bytes, bool], Item] = {}
        asking = batch.asking
        for one in items:
            first = firsts.setdefault((one.decision, bool(asking.dry_run[one.index])), one)
            if first is one:
                continue
            if asking.digests[first.index] == asking.digests[one.index]:
                batch.twins.setdefault(first.index, []).extend([one.index, *batch.twins.pop(one.index, [])])
            else:
                batch.answers[one.index] = RequestIdReusedError(one.request_id)
        return items if len(firsts) == len(items) else list(firsts.values())

    def _fetch(self, batch: Batch, items: list[Item], redirects: int = 0) -> Steps[list[Item]]:
        """Read time, records and ledgers in one round trip. A ledger that is not whole fails closed."""
        ids = list(dict.fromkeys([one.profile_id for one in items]))
        totals = len(batch.asking.force.total_caps) > 0
        fetched = yield from self._asked("fetch", Pause.READ, lambda: self._store.begin_fetch(ids, totals=totals))
        place = {profile_id: n for n, profile_id in enumerate(ids)}
        for one in items:
            n = place[one.profile_id]
            one.record = fetched.records[n]
            one.ledger = fetched.ledgers[n] or EMPTY
            one.now_us = fetched.now_us
            if totals:
                one.partition, one.pools = fetched.partitions[n], fetched.pools[n]
        return (yield from self._whole(batch, items, redirects))

    def _asked(self, stage: str, pause: Pause, begin: Callable[[], Begun[Result]]) -> Steps[Result]:
        """What the store answers to what is begun; the time of it that no other work was done in counts as `stage`."""
        started = self._clock.monotonic_us()
        begun = begin()
        paused = self._clock.monotonic_us()
        yield pause
        resumed = self._clock.monotonic_us()
        answer = begun()
        self._meter.stage(stage, (self._clock.monotonic_us() - resumed + paused - started) / SECOND_US)
        return answer

    def _whole(self, batch: Batch, items: list[Item], redirects: int = 0) -> Steps[list[Item]]:
        """The items whose ledger can be read, after merges that they take part in; the others fall back."""
        whole = []
        for one in items:
            if is_whole(one.ledger):
                whole.append(one)
            else:
                message = "the contact ledger could not be read; nobody is contacted"
                self._fall_back(batch, one.index, Cause.STORE, message, one)
        merging = [one for one in whole if takes_part(one.ledger)]
        return (yield from self._led(batch, whole, merging, redirects)) if merging else whole

    def _led(self, batch: Batch, items: list[Item], merging: list[Item], redirects: int) -> Steps[list[Item]]:
        """The items, those of people in merges under the name and on the ledger that count now."""
        leads = self.merger.follow([person_address(one.profile_id) for one in merging])
        led: dict[int, Item] = {}
        for one, lead in zip(merging, leads, strict=True):
            if lead.settled and redirects < REDIRECTS:
                one.name(lead.profile_id)
                led[one.index] = one
            else:
                message = "profiles of this person are being merged"
                self._fall_back(batch, one.index, Cause.CONTENTION, message, one)
        named = {one.index for one in merging}
        others = [one for one in items if one.index not in named]
        distinct = self._distinct(batch, [*others, *led.values()])
        again = [one for one in distinct if one.index in led]
        settled = [one for one in distinct if one.index not in led]
        return [*settled, *(yield from self._fetch(batch, again, redirects + 1))] if again else settled

    def _round(self, batch: Batch, reader: RecordReader, items: list[Item]) -> Steps[list[Item]]:
        """Decide and commit; return what has to be decided again, on what came back."""
        asking = batch.asking
        computed = compute(asking, reader, self._prior, items, self._meter)
        books = self._escrow.pull(computed.tally.short)
        if books is not None:
            for one in items:
                one.pools = books[one.partition].pools
            computed = compute(asking, reader, self._prior, items, self._meter)
        started = self._clock.monotonic_us()
        made, letters = self._written(computed)
        answers, records = letters.all()
        again, commits, dry = self._commitments(batch, computed, made, answers, records)
        self._meter.stage("write", (self._clock.monotonic_us() - started) / SECOND_US)
        lost, done = yield from self._commit(batch, commits)
        self._meter.settled(count(computed, letters.status, [*dry, *done]))
        return again + lost

    def _written(self, computed: Computed) -> tuple[Made, Letters]:
        """The contacts that a computed batch makes, and its answers and records."""
        force = computed.asking.force
        made = contacts_made(computed, origins(computed.asking, computed.layout))
        return made, self._codec.write(computed, made, fallbacks.versions(force, computed.model, self._version))

    def _commitments(
        self, batch: Batch, computed: Computed, made: Made, answers: list[bytes], records: list[memoryview]
    ) -> tuple[list[Item], list[Commitment], list[int]]:
        """What is to be committed; before it, what must be decided again, and after it, who is answered without."""
        asking, layout = batch.asking, computed.layout
        degraded, dry_run, compare, slack = computed.degraded, asking.dry_run, computed.compare, computed.slack
        now = self._clock.monotonic_us()
        ends = (made.first_contact * WIDTH).tolist()
        first = layout.group_first.tolist()
        again: list[Item] = []
        commits: list[Commitment] = []
        answered: list[int] = []
        for g in range(len(first) - 1):
            span = range(first[g], first[g + 1])
            if any(0 < asking.deadlines_us[layout.items[i].index] <= now for i in span):
                again += self._expired(batch, [layout.items[i] for i in span], now)
                continue
            members, entries = [], []
            for i in span:
                one = layout.items[i]
                contacts = made.entries[ends[i] : ends[i + 1]]
                if dry_run[one.index] or (degraded[i] and not contacts):
                    batch.answers[one.index] = answers[i]
                    answered.append(i)
                else:
                    members.append(Member(i, one, answers[i]))
                    entries.append(Entry(one.request_id, asking.digests[one.index], contacts, records[i]))
            if members:
                commits.append(self._commitment(computed, g, members, entries, compare=compare[g], slack=slack[g]))
        return again, commits, answered

    def _expired(self, batch: Batch, items: list[Item], now: int) -> list[Item]:
        """Let those of a chain fall back for whom nobody waits; the rest, decided with them, is decided again."""
        again = []
        for one in items:
            if 0 < batch.asking.deadlines_us[one.index] <= now:
                message = "the budget was spent before it could be committed"
                self._fall_back(batch, one.index, Cause.DEADLINE, message, one)
            else:
                again.append(one)
        return again

    def _commitment(
        self, computed: Computed, g: int, members: list[Member], entries: list[Entry], *, compare: bool, slack: int
    ) -> Commitment:
        """What group `g` asks of the store."""
        catalog = computed.asking.force.catalog
        one = members[0].item
        group = Group(
            profile_id=one.profile_id,
            compare=compare,
            gate=computed.ledgers.gate[g],
            appends=computed.ledgers.appends[g],
            slack=slack,
            snapshot_us=one.now_us,
            max_age_us=self._limits.max_age_us,
            max_entries=catalog.max_entries,
            trim_before_us=one.now_us - catalog.keep_us,
            entries=tuple(entries),
            spends=spends(computed, g, [(m.place, e.contacts) for m, e in zip(members, entries, strict=True)])
            if computed.tally.windows
            else (),
            edition=computed.asking.force.edition,
            lapsed_before_us=one.now_us - computed.asking.force.terms.lapsed_us,
        )
        return Commitment(group, members)

    def _commit(self, batch: Batch, commits: list[Commitment]) -> Steps[tuple[list[Item], list[int]]]:
        """Commit all groups in one round trip. What lost its race, and the places of what was done."""
        if not commits:
            return [], []
        outcomes = yield from self._asked(
            "commit", Pause.COMMIT, lambda: self._store.begin_commit([c.group for c in commits])
        )
        self._meter.races(outcomes)
        again: list[Item] = []
        done: list[int] = []
        for commitment, outcome in zip(commits, outcomes, strict=True):
            if outcome.commit is Commit.DONE:
                for member in commitment.members:
                    batch.answers[member.item.index] = member.answer
                    done.append(member.place)
                continue
            for member in commitment.members:
                remembered = outcome.known.get(member.item.request_id)
                if remembered is not None:
                    self._repeat(batch, member.item, remembered)
                else:
                    again.extend(self._lost(batch, member.item, outcome))
        return (yield from self._whole(batch, again)), done

    def _repeat(self, batch: Batch, one: Item, remembered: Remembered) -> None:
        """The answer of a request id that is remembered: the one that was given, if the request is the same."""
        if remembered.request_digest != batch.asking.digests[one.index]:
            batch.answers[one.index] = RequestIdReusedError(one.request_id)
        elif remembered.record is None:
            message = "decided before, but the log no longer holds the answer"
            self._fall_back(batch, one.index, Cause.STORE, message, one)
        else:
            batch.answers[one.index] = self._codec.answer_in(remembered.record)
            self._meter.repeated()

    def _lost(self, batch: Batch, one: Item, outcome: Outcome) -> list[Item]:
        """A request that was not committed: to be decided again on the fresh read, or fallen back."""
        match outcome.commit:
            case Commit.MARKER:
                raise StoreMarkerError("the store lost its marker")
            case Commit.CATALOG:
                batch.outdated.append(one.index)
                return []
            case Commit.LEDGER_FULL:
                cause, message = Cause.STORE, "the contact ledger has no room for the contacts"
            case Commit.CORRUPT:
                cause, message = Cause.STORE, "the contact ledger could not be read; nobody is contacted"
            case _ if one.attempt >= self._limits.attempts and outcome.commit is not Commit.KNOWN:
                cause, message = (
                    Cause.CONTENTION,
                    f"the contacts of this person changed at each of {one.attempt} attempts",
                )
            case _:
                one.attempt += outcome.commit is not Commit.KNOWN
                one.record, one.ledger, one.now_us = outcome.profile, outcome.ledger or EMPTY, outcome.now_us
                if outcome.pools is not None:
                    one.pools = outcome.pools
                return [one]
        self._fall_back(batch, one.index, cause, message, one)
        return []

    def _give_up(self, batch: Batch, cause: Cause, message: str) -> None:
        """Fall back for everything that has no answer yet."""
        repeated = {i for others in batch.twins.values() for i in others}
        lost = [i for i, answer in enumerate(batch.answers) if answer is None and i not in repeated]
        self._fall_back_all(batch, lost, cause, message)

    def _fall_back_all(self, batch: Batch, indices: Sequence[int], cause: Cause, message: str) -> None:
        """Answer requests of a batch with neutral content: one answer under many names where they ask for the same."""
        asking = batch.asking
        alike: dict[tuple[bytes, bool], list[int]] = {}
        for i in indices:
            asked = asking.placement[asking.first_ask[i] : asking.first_ask[i + 1]].tobytes()
            alike.setdefault((asked, bool(asking.dry_run[i])), []).append(i)
        now_us = self._clock.now_us()
        for same in alike.values():
            decision = fallbacks.nameless(
                asking, same[0], cause=cause, message=message, now_us=now_us, service_version=self._version
            )
            people = [(asking.profile_ids[i], asking.request_ids[i]) for i in same]
            names = [(decision_id(profile, request), request, profile) for profile, request in people]
            for i, answer in zip(same, self._codec.encode_alike(decision, names), strict=True):
                batch.answers[i] = answer
            self._meter.decided(decision, len(same))

    def _fall_back(self, batch: Batch, index: int, cause: Cause, message: str, one: Item | None = None) -> None:
        """Answer one request of a batch with neutral content."""
        decision = fallbacks.of_asking(
            batch.asking,
            index,
            cause=cause,
            message=message,
            now_us=one.now_us if one and one.now_us else self._clock.now_us(),
            service_version=self._version,
            item=one,
        )
        batch.answers[index] = self._codec.encode(decision)
        self._meter.decided(decision)
