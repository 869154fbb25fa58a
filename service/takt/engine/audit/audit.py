"""Audits: people after people, what the log tells of them beside their ledgers. It reads only, in small steps.

People who were never merged have all their deeds in one partition and are compared partition by partition; what the log
tells of merged ones is kept until every partition has been read. Memory stays bounded: a long partition is read several
times, each time for some of its people.

Others go on writing. So a difference is told only if it is still there when the ledger is read, then the rest of the
log, and then the ledger again, unchanged.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from takt.clock import DAY_US, SECOND_US
from takt.domain.audit import AuditSummary, Finding, FindingKind, Unreadable
from takt.domain.decision import person_address
from takt.domain.ledger import HEADER, WIDTH
from takt.domain.log import START
from takt.engine.audit.comparison import Bounds, compare, told
from takt.engine.audit.expected import expected
from takt.engine.audit.totals import TotalsAudit
from takt.engine.feedback import mark_kind
from takt.engine.ledgers import is_whole
from takt.engine.standing import Names, counted_at_once, known_contact
from takt.errors import InvalidRequestError, NotFoundError, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from takt.domain.audit import Deed
    from takt.domain.contact import KnownContact, Person
    from takt.domain.log import LogExtent, LogPosition
    from takt.domain.merge import Merges
    from takt.engine.audit.comparison import Compared, Difference
    from takt.engine.contacts import Contacts
    from takt.engine.engine import Engine
    from takt.engine.force import Force
    from takt.ports import DeedReader, Fetched, MarkKind, Store

MS_US: Final = 1_000
PAGE: Final = 500
"""Entries of the log that are read at once."""
CHUNK: Final = 200
"""People whose ledgers are read at once."""
AT_ONCE: Final = 100_000
"""Entries of a partition whose people are kept in memory at once, about."""
ATTEMPTS: Final = 4
"""How often somebody is looked at again who goes on changing."""
ROUNDS: Final = 4
"""How often those are gathered again who were merged, or went on changing, meanwhile."""
MOST_MERGES: Final = 16
"""Merges in a row that are followed."""


Place = tuple[int, bytes]
"""A partition, and somebody's address."""


class _Someone(Struct):
    """The deeds under one address in one partition's log, as far as they were read."""

    partition: int
    address: bytes
    """Events that name somebody who was merged stand where the contacts are by then: in other partitions too."""
    profile_id: str = ""
    """Empty while no deed has told it."""
    read_to: LogPosition = START
    anew: bool = False
    """Whether it was read once already, when its partition was read for everybody."""
    deeds: list[Deed] = field(default_factory=list)

    @property
    def key(self) -> Place:
        """What tells it from others."""
        return self.partition, self.address

    def add(self, deed: Deed) -> None:
        """Take in what was not read before."""
        if deed.position > self.read_to:
            self.deeds.append(deed)
            self.profile_id = self.profile_id or deed.profile_id


class _Whole(Struct, frozen=True):
    """One person under all their names."""

    profile_id: str
    names: dict[Place, _Someone]

    def stands(self, card: Merges) -> bool:
        """Whether these are all their names, and no merge is under way."""
        there = {person_address(name) for name in (self.profile_id, *card.absorbed)}
        return not card.leads_to and not card.pending and there == {address for _, address in self.names}


class _Reading(Struct):
    """One partition's log that is being read."""

    partition: int
    position: LogPosition
    last: LogPosition
    people: dict[bytes, _Someone]
    part: int = 0
    parts: int = 1
    """Of those who are new only every `parts`-th address is taken in; 0: nobody is."""

    def take(self, deed: Deed) -> None:
        """Take in a deed of somebody who belongs here."""
        someone = self.people.get(deed.person)
        if someone is None and self.parts and int.from_bytes(deed.person[4:8], "little") % self.parts == self.part:
            someone = self.people[deed.person] = _Someone(self.partition, deed.person)
        if someone is not None:
            someone.add(deed)


class _Result(Struct):
    """What came of comparing some people."""

    findings: list[Finding] = field(default_factory=list)
    again: list[_Whole] = field(default_factory=list)
    """Those who have other names by now, or go on changing."""
    profiles: int = 0
    contacts: int = 0


class Auditor:
    """Begins audits. Safe to use from any thread that may use the store."""

    def __init__(self, engine: Engine, store: Store, contacts: Contacts, reader: DeedReader) -> None:
        """Names and events mean what the catalog in force in `engine` says."""
        self._engine = engine
        self._store = store
        self._contacts = contacts
        self._reader = reader

    def begin(
        self,
        person: Person | None = None,
        *,
        partitions: Sequence[int] = (),
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Audit:
        """An audit of one person, or of everybody whom the logs of some partitions name (none given: of all).

        Totals are compared where nothing is left out: they are what everybody has taken together.

        Raises `InvalidRequestError` for a partition that there is not.
        """
        count = self._store.decision_log.partitions
        if wrong := [n for n in partitions if not 0 <= n < count]:
            violation = Violation("partitions", f"{wrong[0]} is none of this store's, which has 0 to {count - 1}")
            raise InvalidRequestError((violation,))
        force, bounds = self._engine.force, Bounds(since_us=since_us, until_us=until_us)
        everything = person is None and not partitions and since_us is None and until_us is None
        totals = TotalsAudit(self._store, force) if everything and len(force.total_caps) else None
        audit = Audit(self._store, self._reader, force, bounds, totals)
        if person is None:
            audit.include(sorted(set(partitions)) or range(count))
        else:
            audit.include_one(*self._contacts.profile_ids([person]))
        return audit


class Audit:
    """One audit under way, for one caller at a time. A step that raises can be taken again."""

    def __init__(
        self, store: Store, reader: DeedReader, force: Force, bounds: Bounds, totals: TotalsAudit | None = None
    ) -> None:
        """Nobody is included yet. `totals` has to have begun before."""
        self._store = store
        self._totals = totals
        self._totals_compared = 0
        self._whole_log = True
        """Nothing was met that cannot be read."""
        self._reader = reader
        self._force = force
        self._bounds = replace(bounds, deferred_us=_longest_deferral_us(force))
        self._names, self._at_once = Names.of(force.catalog), counted_at_once(force.catalog)
        self._kinds: Mapping[str, MarkKind] = {name: mark_kind(event) for name, event in force.catalog.events.items()}
        self._extents = store.decision_log.extents()
        self._readings: deque[_Reading] = deque()
        self._wholes: deque[_Whole] = deque()
        """Merged people whose logs are read."""
        self._merged: dict[Place, _Someone] = {}
        """Names of merged people who are still to be put together."""
        self._passed: dict[int, LogPosition] = {}
        """How far partitions were read for everybody."""
        self._rounds = 0
        self._sought = ""
        self._partitions: set[int] = set()
        self._profiles = self._contacts = self._findings = self._late = 0

    def include(self, partitions: Iterable[int]) -> None:
        """Compare everybody whom these partitions' logs name."""
        for partition in partitions:
            extent = self._extents[partition]
            parts = -(-extent.entries // AT_ONCE)
            self._readings += [_Reading(partition, START, extent.last, {}, part, parts) for part in range(parts)]
            self._partitions.add(partition)

    def include_one(self, profile_id: str) -> None:
        """Compare one person; `step` raises `NotFoundError` if neither profile nor ledger nor log knows them."""
        address = person_address(profile_id)
        someone = _Someone(self._partition(address), address, profile_id)
        self._merged[someone.key] = someone
        self._sought = profile_id

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return not (self._readings or self._wholes or self._merged or self._totals)

    def step(self) -> list[Finding]:
        """Do a little: what it found."""
        if self._readings:
            found = self._read_on(self._readings[0])
        elif self._wholes:
            some = list(islice(self._wholes, CHUNK))
            result = self._compare(some)
            for _ in some:
                self._wholes.popleft()
            found = self._take(result)
        elif self._merged:
            found = []
            self._put_together()
        else:
            found = self._conclude_totals()
        self._findings += sum(one.kind is not FindingKind.LATE for one in found)
        self._late += sum(one.kind is FindingKind.LATE for one in found)
        return found

    def summary(self) -> AuditSummary:
        """What was compared until now."""
        begins = [self._extents[p].first for p in self._partitions if self._extents[p].entries]
        trimmed = max((_begin_us(self._extents[p]) for p in self._partitions), default=0)
        return AuditSummary(
            profiles=self._profiles,
            contacts=self._contacts,
            totals=self._totals_compared,
            findings=self._findings,
            late=self._late,
            log_since_us=trimmed or min((begin.ms * MS_US for begin in begins), default=0),
        )

    def _read_on(self, reading: _Reading) -> list[Finding]:
        """A page of a partition's log, or, behind its last, some of the people that it told of."""
        if reading.position < reading.last:
            deeds, reached = self._page(reading.partition, reading.position)
            for deed in deeds:
                if not isinstance(deed, Unreadable):
                    reading.take(deed)
            reading.position = reached or reading.last
            # told once, although a partition may be read several times
            lost = [one for one in deeds if isinstance(one, Unreadable)] if reading.parts and not reading.part else []
            self._whole_log &= not lost
            return [_unreadable(reading.partition, one) for one in lost]
        for someone in reading.people.values():
            someone.read_to = max(someone.read_to, reading.position)
        if reading.parts:
            self._passed.setdefault(reading.partition, reading.position)
        if not reading.parts or not reading.people:
            self._readings.popleft()
            return []
        some = [_Whole(one.profile_id, {one.key: one}) for one in islice(reading.people.values(), CHUNK)]
        nameless = [one for one in some if not one.profile_id]  # they may still have been merged into somebody
        result = self._compare([one for one in some if one.profile_id])
        result.again += nameless
        for whole in some:
            for _, address in whole.names:
                del reading.people[address]
        return self._take(result)

    def _page(self, partition: int, after: LogPosition) -> tuple[Sequence[Deed | Unreadable], LogPosition | None]:
        """What a page of the log tells, and how far it reaches; None where the log ends."""
        entries = self._store.decision_log.read(partition, after, PAGE)
        return self._reader.deeds(entries), entries[-1].position if entries else None

    def _take(self, result: _Result) -> list[Finding]:
        """Count what came of some people; those who are to be looked at again join the merged ones."""
        self._profiles += result.profiles
        self._contacts += result.contacts
        for whole in result.again:
            self._merged |= whole.names
        return result.findings

    def _put_together(self) -> None:
        """Make whole people of names, and have read what is not known of them."""
        self._rounds += 1
        if self._rounds > ROUNDS:
            self._merged = {}
            self._totals = None  # what those have taken who never stood still is not known
            return
        roots = sorted({profile_id for profile_id in self._lead().values() if profile_id})
        cards = self._cards([person_address(profile_id) for profile_id in roots])
        wholes = [self._whole(root, card) for root, card in zip(roots, cards, strict=True)]
        readings: dict[int, _Reading] = {}
        extents = self._store.decision_log.extents()
        for whole in wholes:
            for (partition, address), someone in whole.names.items():
                new = _Reading(partition, someone.read_to, extents[partition].last, {}, parts=0)
                reading = readings.setdefault(partition, new)
                reading.position = min(reading.position, someone.read_to)
                reading.people[address] = someone
        self._partitions |= readings.keys()
        self._readings += readings.values()
        self._wholes += wholes
        self._merged = {}

    def _whole(self, profile_id: str, card: Merges) -> _Whole:
        """One person under all their names, each in each partition that one of them lives in."""
        names = {person_address(name): name for name in (profile_id, *card.absorbed)}
        people: dict[Place, _Someone] = {}
        for partition in {self._partition(address) for address in names}:
            for address, name in names.items():
                known = self._merged.get((partition, address))
                # who does not live there and was not met there has nothing there
                begin = START if partition == self._partition(address) else self._passed.get(partition, START)
                anew = known is None and partition in self._passed
                people[partition, address] = known or _Someone(partition, address, name, begin, anew)
        return _Whole(profile_id, people)

    def _lead(self) -> dict[bytes, str]:
        """By address of those who are to be put together: profile id of whom merges lead to; empty for nobody."""
        leads: dict[bytes, str] = {}
        for someone in self._merged.values():
            leads[someone.address] = leads.get(someone.address) or someone.profile_id
        pending = {address: address for address in leads}
        for _ in range(MOST_MERGES):
            cards = self._cards(list(pending.values()))
            moved = {}
            for address, card in zip(pending, cards, strict=True):
                leads[address] = card.leads_to or card.profile_id or leads[address]
                if card.leads_to:
                    moved[address] = person_address(card.leads_to)
            pending = moved
            if not pending:
                break
        return leads

    def _cards(self, addresses: Sequence[bytes]) -> list[Merges]:
        """What is known of merges, asked for in pages."""
        read = self._store.merging.read
        return [card for at in range(0, len(addresses), PAGE) for card in read(addresses[at : at + PAGE])]

    def _compare(self, wholes: Sequence[_Whole]) -> _Result:
        """Compare people; those with differences again until nothing changes while it is done."""
        result = _Result()
        if not wholes:
            return result
        pending = list(wholes)
        for attempt in range(ATTEMPTS):
            before, cards = self._fetch(pending), self._cards([person_address(one.profile_id) for one in pending])
            after = before
            if attempt:
                self._catch_up(pending)
                self._extents = self._store.decision_log.extents()
                after = self._fetch(pending)
            left = []
            for n, (whole, card) in enumerate(zip(pending, cards, strict=True)):
                ledger = before.ledgers[n]
                if not whole.stands(card):
                    result.again.append(whole)
                    continue
                if self._sought and before.records[n] is None and len(ledger) == WIDTH and not _deeds(whole):
                    raise NotFoundError("there is no such profile")
                compared = self._compared(whole, ledger, before.now_us)
                certain = attempt > 0 and after.ledgers[n] == ledger
                if certain or (compared is not None and compared.equal):
                    self._conclude(result, whole, compared, before.now_us)
                else:
                    left.append(whole)
            pending = left
            if not pending:
                break
        result.again += pending
        return result

    def _was_counted(self, someone: _Someone) -> bool:
        """Whether deeds of somebody were taken in before, when their partition was read for everybody."""
        return someone.anew and any(deed.position <= self._passed[someone.partition] for deed in someone.deeds)

    def _conclude_totals(self) -> list[Finding]:
        """Totals, once all people are counted."""
        found: list[Finding] = []
        if self._totals is not None and self._whole_log:
            extents = self._store.decision_log.extents()  # it may have been trimmed while it was read
            since_us = max((_begin_us(extents[partition]) for partition in self._partitions), default=0)
            deferred_us = self._bounds.deferred_us if since_us else 0
            self._totals_compared, found = self._totals.conclude(since_us + deferred_us)
        self._totals = None
        return found

    def _conclude(self, result: _Result, whole: _Whole, compared: Compared | None, now_us: int) -> None:
        """Add one person to the result."""
        result.profiles += 1
        if any(self._was_counted(someone) for someone in whole.names.values()):
            self._totals = None  # merged since it was counted on its own
        if self._totals is not None:
            deeds = _deeds(whole)
            self._totals.count(deeds, expected(deeds, self._kinds))
        if compared is None:
            message = "the ledger cannot be read; nobody is contacted on it"
            result.findings.append(Finding(FindingKind.DIFFERENT, message, whole.profile_id))
            return
        result.contacts += compared.contacts
        result.findings += [self._finding(whole.profile_id, one, now_us) for one in compared.differences]

    def _compared(self, whole: _Whole, ledger: bytes, now_us: int) -> Compared | None:
        """Ledger and log of one person; None where the ledger cannot be read."""
        if not is_whole(ledger):
            return None
        (header,) = np.frombuffer(ledger[:WIDTH], HEADER)
        log_since_us = max(_begin_us(self._extents[partition]) for partition, _ in whole.names)
        bounds = replace(
            self._bounds,
            ledger_since_us=max(int(header["trimmed_before_us"]), now_us - self._force.catalog.keep_us),
            lapsed_since_us=int(header["lapsed_before_s"]) * SECOND_US,
            log_since_us=log_since_us,
        )
        deeds = [deed for deed in _deeds(whole) if deed.position.ms * MS_US >= log_since_us]
        return compare(ledger[WIDTH:], expected(deeds, self._kinds), bounds)

    def _catch_up(self, wholes: Sequence[_Whole]) -> None:
        """Read the rest of the log for people."""
        by_partition: dict[int, dict[bytes, _Someone]] = {}
        for whole in wholes:
            for (partition, address), someone in whole.names.items():
                by_partition.setdefault(partition, {})[address] = someone
        for partition, people in by_partition.items():
            position: LogPosition | None = min(someone.read_to for someone in people.values())
            while position is not None:
                deeds, position = self._page(partition, position)
                for deed in deeds:
                    if not isinstance(deed, Unreadable) and deed.person in people:
                        people[deed.person].add(deed)
                for someone in people.values():
                    someone.read_to = max(someone.read_to, position or START)

    def _fetch(self, wholes: Sequence[_Whole]) -> Fetched:
        return self._store.fetch([whole.profile_id for whole in wholes])

    def _partition(self, address: bytes) -> int:
        return int.from_bytes(address[:4], "little") % len(self._extents)

    def _finding(self, profile_id: str, difference: Difference, now_us: int) -> Finding:
        """A difference, with names."""
        contact = self._known(profile_id, difference, now_us)
        subject = " ".join(
            filter(
                None,
                [
                    f"{contact.offer or 'a contact'} on {contact.placement or contact.channel}",
                    f"at {told(contact.counted_us)}",
                    f"(decision {contact.decision_id})" if contact.decision_id else "(from outside)",
                ],
            )
        )
        match difference.kind:
            case FindingKind.MISSING_IN_LEDGER:
                message = f"{subject} is in the log and not in the ledger: it is not counted"
            case FindingKind.MISSING_IN_LOG:
                message = f"{subject} is in the ledger and not in the log: it is counted, and nobody knows why"
            case FindingKind.LATE:
                message = f"{subject} was confirmed after its hold had expired or been given back"
            case _:
                message = f"{subject} differs: {'; '.join(difference.fields)}"
        return Finding(difference.kind, message, profile_id, contact)

    def _known(self, profile_id: str, difference: Difference, now_us: int) -> KnownContact:
        """The contact of a difference: as the ledger has it, with what only the log knows."""
        logged = difference.expected
        contact = known_contact(self._names, self._at_once, profile_id, difference.entry, now_us)
        if logged is None or not logged.decision_id:
            return contact
        contact = replace(contact, decision_id=logged.decision_id)
        if logged.named is not None:
            contact = replace(contact, offer=logged.named.offer, placement=logged.named.placement)
        return contact


def _deeds(whole: _Whole) -> list[Deed]:
    """What one person did under all names, in order."""
    deeds = [deed for someone in whole.names.values() for deed in someone.deeds]
    return sorted(deeds, key=lambda deed: deed.position)


def _begin_us(extent: LogExtent) -> int:
    """Since when a partition's log has everything; 0 for a log that was never trimmed."""
    if not extent.trimmed:
        return 0
    return (extent.first if extent.entries else extent.last).ms * MS_US


def _unreadable(partition: int, lost: Unreadable) -> Finding:
    message = f"entry {lost.position} of the log of partition {partition} cannot be read"
    return Finding(FindingKind.DIFFERENT, message)


def _longest_deferral_us(force: Force) -> int:
    """How long before its moment a contact may be decided by any timing of the catalog."""
    days = [timing.day_offset + (7 if timing.weekdays else 0) + 2 for timing in force.catalog.timings]
    return max(days, default=2) * DAY_US
