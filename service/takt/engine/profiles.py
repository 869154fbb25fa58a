"""Profiles: write what is known about people, read it back. Consent is never lost to a race."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from takt.domain.consent import changes, holding, pack_origins, parse_origins, written
from takt.domain.decision import person_address
from takt.domain.person import Address
from takt.domain.profile import KnownProfile, PutOutcome, PutResult
from takt.engine.link import REDIRECTS, has_moved
from takt.engine.validation import LONGEST_ID, MOST_IDENTITIES
from takt.errors import NotFoundError, PreconditionError, RecordError, Violation
from takt.features.reader import RecordReader, RowStatus
from takt.features.record import pack_profiles, unpack_rows
from takt.features.section import RECORD_HEADER
from takt.features.validation import ProfileRow, validate_profile
from takt.identity import anonymous_id, is_anonymous
from takt.ports import ProfileOutcome, ProfileWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from takt.clock import Clock
    from takt.domain.merge import Linked
    from takt.domain.profile import ProfilePut
    from takt.domain.request import Identity, Scalar
    from takt.engine.engine import Engine
    from takt.features.spec import FeatureSpec
    from takt.ports import Store

ATTEMPTS = 4
"""How often a write is made anew on what others wrote meanwhile."""

TAKEN = {
    ProfileOutcome.IDENTITY_TAKEN: "an identity leads to another profile; Link merges the two",
    ProfileOutcome.IDENTITY_HAS_CONTACTS: (
        "an identity was contacted before it had a profile, and its contacts must not be forgotten; "
        "write the profile without it, then Link them"
    ),
}


class _Person(Struct):
    """All writes of a batch to one profile."""

    profile_id: str
    writes: list[int]
    """Positions in the batch, in order."""


class Profiles:
    """Writes and reads profiles. Safe to use from any thread that may use the store."""

    def __init__(self, engine: Engine, store: Store, *, clock: Clock, make_id: Callable[[], str]) -> None:
        """Features mean what the spec of the catalog in force in `engine` says; `make_id` names new profiles."""
        self._engine = engine
        self._store = store
        self._clock = clock
        self._make_id = make_id

    def put(self, puts: Sequence[ProfilePut]) -> list[PutResult]:
        """Write each valid profile; the others are rejected with what is wrong, fields relative to the write.

        Writes of one profile are done in their order. A write is made on the record that was read, and made anew if
        that changed meanwhile. Raises `StoreError` when the store cannot be used; the batch can then be sent again.
        """
        results: list[PutResult | None] = [None] * len(puts)
        for i, put in enumerate(puts):
            found = _violations(put, self._spec)
            if found:
                results[i] = PutResult(put.profile_id, PutOutcome.REJECTED, tuple(found))
        pending = self._people(puts, [i for i in range(len(puts)) if results[i] is None])
        for _ in range(ATTEMPTS):
            if not pending:
                break
            pending = self._write(puts, pending, results)
        for person in pending:
            for i in person.writes:
                results[i] = PutResult(person.profile_id, PutOutcome.BUSY)
        return [result for result in results if result is not None]

    def get(self, *, profile_id: str = "", identity: Identity | None = None) -> KnownProfile:
        """What is kept about one person. Raises `NotFoundError` or `RecordError`."""
        if identity is not None:
            profile_id = self._store.resolve([identity])[0] or anonymous_id(identity.namespace, identity.value)
        ((person,), (record,)) = self._found([_Person(profile_id, [])])
        profile_id = person.profile_id
        if record is None:
            raise NotFoundError("there is no such profile")
        array, status = self._reader().read([record])
        if status[0] != RowStatus.OK:
            raise RecordError("the profile's record cannot be read; write it anew")
        row = unpack_rows(self._spec, array)[0]
        header = np.frombuffer(record, RECORD_HEADER, 1)[0]
        consents = self._consents(row)
        return KnownProfile(
            profile_id=profile_id,
            anonymous=is_anonymous(profile_id),
            features=row.features,
            consents=consents,
            origins=holding(parse_origins(self._store.consents([profile_id])[0]), consents),
            time_zone=row.time_zone,
            locale=row.locale,
            address=row.address,
            written_us=int(header["written_us"]),
            layout=f"{int(header['layout']):016x}",
            absorbed=self._store.merging.read([person_address(profile_id)])[0].absorbed,
        )

    def link(self, profile_id: str, identities: Sequence[Identity]) -> Linked:
        """State that names are one person's, and merge what they led to. See `takt.engine.link.Merger.link`."""
        return self._engine.merger.link(profile_id, identities)

    @property
    def _spec(self) -> FeatureSpec:
        return self._engine.force.catalog.spec

    def _reader(self) -> RecordReader:
        return RecordReader(self._spec, self._store.layouts())

    def _people(self, puts: Sequence[ProfilePut], valid: list[int]) -> list[_Person]:
        """The profiles that are written: as named, else as a known identity says, else new ones."""
        unnamed = [i for i in valid if not puts[i].profile_id]
        wanted = [identity for i in unnamed for identity in puts[i].identities]
        found = iter(self._store.resolve(wanted) if wanted else [])
        ids = {i: puts[i].profile_id for i in valid}
        fresh: dict[Identity, str] = {}
        for i in unnamed:
            known = [profile for profile in [next(found) for _ in puts[i].identities] if profile]
            made = next((fresh[identity] for identity in puts[i].identities if identity in fresh), None)
            ids[i] = known[0] if known else made or self._make_id()
            fresh.update(dict.fromkeys(puts[i].identities, ids[i]))
        people: dict[str, _Person] = {}
        for i in valid:
            people.setdefault(ids[i], _Person(ids[i], [])).writes.append(i)
        return list(people.values())

    def _found(self, people: list[_Person]) -> tuple[list[_Person], list[bytes | None]]:
        """The people under the ids that they go by after merges, and their records."""
        for _ in range(REDIRECTS):
            fetched = self._store.fetch([person.profile_id for person in people])
            moved = [person for person, ledger in zip(people, fetched.ledgers, strict=True) if has_moved(ledger)]
            if not moved:
                return people, fetched.records
            leads = self._engine.merger.follow([person_address(person.profile_id) for person in moved])
            for person, lead in zip(moved, leads, strict=True):
                person.profile_id = lead.profile_id
            joined: dict[str, _Person] = {}
            for person in people:
                known = joined.setdefault(person.profile_id, person)
                if known is not person:
                    known.writes = sorted([*known.writes, *person.writes])
            people = list(joined.values())
        raise PreconditionError("profiles of these people are being merged; try again")

    def _write(
        self, puts: Sequence[ProfilePut], people: list[_Person], results: list[PutResult | None]
    ) -> list[_Person]:
        """Read, change, and write if nothing changed meanwhile; return whom that failed for."""
        people, records = self._found(people)
        array, status = self._reader().read(records)
        before = unpack_rows(self._spec, array)
        after = []
        for person, row in zip(people, before, strict=True):
            changed = row
            for i in person.writes:
                changed = _changed(changed, puts[i])
            after.append(changed)
        now_us = self._clock.now_us()
        packed = pack_profiles(self._spec, after, now_us)
        origins = self._origins(puts, people, before, now_us)
        writes = [
            ProfileWrite(
                profile_id=person.profile_id,
                record=record,
                expected=expected or b"",  # a person nobody had written: still nobody, or write anew
                identities=tuple(dict.fromkeys(identity for i in person.writes for identity in puts[i].identities)),
                tightens=bool(readable != RowStatus.OK) or _tightens(old, new),
                consents=origins[person.profile_id][0] if person.profile_id in origins else None,
                changes=origins[person.profile_id][1] if person.profile_id in origins else (),
            )
            for person, record, expected, readable, old, new in zip(
                people, packed, records, status, before, after, strict=True
            )
        ]
        again = []
        for person, write, outcome in zip(people, writes, self._store.put(writes), strict=True):
            if outcome in (ProfileOutcome.CHANGED, ProfileOutcome.MERGED):
                again.append(person)
                continue
            taken = outcome is ProfileOutcome.IDENTITY_TAKEN
            if taken and self._engine.merger.rename(person.profile_id, write.identities):
                again.append(person)
                continue
            for i in person.writes:
                if outcome is ProfileOutcome.WRITTEN:
                    created = not write.expected and i == person.writes[0]
                    done = PutOutcome.CREATED if created else PutOutcome.UPDATED
                    results[i] = PutResult(person.profile_id, done)
                else:
                    violation = Violation("identities", TAKEN[outcome])
                    results[i] = PutResult(person.profile_id, PutOutcome.REJECTED, (violation,))
        return again

    def _origins(
        self, puts: Sequence[ProfilePut], people: Sequence[_Person], rows: Sequence[ProfileRow], now_us: int
    ) -> dict[str, tuple[bytes, tuple[bytes, ...]]]:
        """Of whom consents are written: their origins to keep, and log records of what changed. One round trip."""
        wanted = [
            (person, row)
            for person, row in zip(people, rows, strict=True)
            if any(puts[i].consents for i in person.writes)
        ]
        if not wanted:
            return {}
        made = {}
        kept = self._store.consents([person.profile_id for person, _ in wanted])
        for (person, row), data in zip(wanted, kept, strict=True):
            try:
                before = holding(parse_origins(data), self._consents(row))
            except RecordError:
                before = {}  # what is damaged says nothing, and is written anew
            after = before
            for i in person.writes:
                after = written(after, puts[i].consents, puts[i].given, now_us)
            encode = self._engine.codec.encode_consent
            logged = tuple(encode(one) for one in changes(person.profile_id, before, after, now_us=now_us))
            made[person.profile_id] = (pack_origins(after), logged)
        return made

    def _consents(self, row: ProfileRow) -> dict[str, bool]:
        """Every declared consent, and whether the row has it."""
        return {name: name in row.consents for name in self._spec.person.consents}


def _changed(row: ProfileRow, put: ProfilePut) -> ProfileRow:
    """What a person's row says after one write."""
    kept: dict[str, Scalar] = {} if put.replace else dict(row.features)
    for name, value in put.features.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
    given = {name for name, granted in put.consents.items() if granted}
    base = ProfileRow(consents=row.consents) if put.replace else row
    return replace(
        base,
        features=kept,
        consents=(row.consents - put.consents.keys()) | given,
        time_zone=put.time_zone or base.time_zone,
        locale=put.locale or base.locale,
        address=base.address if put.address is None else put.address,
    )


def _tightens(old: ProfileRow, new: ProfileRow) -> bool:
    """Whether a decision on the old row could break what the new one asks: it must not commit any more."""
    return bool(old.consents - new.consents) or old.time_zone != new.time_zone or old.address != new.address


def _violations(put: ProfilePut, spec: FeatureSpec) -> list[Violation]:
    """All that is wrong with one write, by field."""
    found: list[Violation] = []
    if not put.profile_id and not put.identities:
        found.append(Violation("profile_id", "give a profile_id or an identity"))
    if len(put.profile_id) > LONGEST_ID:
        found.append(Violation("profile_id", f"has {len(put.profile_id)} characters, at most {LONGEST_ID}"))
    if is_anonymous(put.profile_id):
        found.append(Violation("profile_id", "ids of this form belong to people who are not known; choose another"))
    if len(put.identities) > MOST_IDENTITIES:
        found.append(Violation("identities", f"{len(put.identities)} given, at most {MOST_IDENTITIES}"))
    known: Mapping[str, Scalar] = {name: value for name, value in put.features.items() if value is not None}
    row = ProfileRow(
        known,
        frozenset(put.consents),
        put.time_zone,
        put.locale,
        Address.NEUTRAL if put.address is None else put.address,
    )
    found += validate_profile(spec, row)
    missing = {name: 0.0 for name, value in put.features.items() if value is None and name not in spec.profile}
    found += validate_profile(spec, ProfileRow(missing))
    return found
