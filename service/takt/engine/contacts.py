"""Contacts, for people who look after them: list, take out of the count, add what other systems did."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.clock import SECOND_US
from takt.domain.contact import (
    BackfillOutcome,
    BackfillResult,
    ChangeKind,
    ContactView,
    LedgerChange,
    ResetResult,
)
from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, ENTRY, LATE, OUTSIDE, EntryState, code8, code16, code32
from takt.engine.ledgers import is_whole, read
from takt.engine.standing import Names, caps_of, contacts_of, suppressions_of
from takt.errors import InvalidRequestError, NotFoundError, PreconditionError, RecordError, Violation
from takt.features.reader import RecordReader, RowStatus
from takt.features.record import unpack_rows
from takt.identity import anonymous_id
from takt.ports import Rewrite, RewriteOutcome
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.catalog.snapshot import Catalog
    from takt.domain.contact import OutsideContact, Person, Reset
    from takt.engine.engine import Engine
    from takt.ports import ChangeCodec, Fetched, Store

ATTEMPTS = 4
"""How often a change is made anew on what others wrote meanwhile."""
MOST_MERGES = 16
"""Merges in a row that are followed."""
BUSY = "others keep changing this person's contacts, or a merge is under way; try again"
UNREADABLE = "the person's contact ledger cannot be read; nobody is contacted on it"


class _Found(Struct, frozen=True):
    """One person as read."""

    profile_id: str
    record: bytes | None
    ledger: bytes
    now_us: int


class Contacts:
    """Lists, resets and backfills contacts. Safe to use from any thread that may use the store."""

    def __init__(self, engine: Engine, store: Store, codec: ChangeCodec) -> None:
        """Names and caps mean what the catalog in force in `engine` says."""
        self._engine = engine
        self._store = store
        self._codec = codec

    def view(self, person: Person, *, since_us: int | None = None, until_us: int | None = None) -> ContactView:
        """Contacts that count from `since_us` to before `until_us`, and how caps stand by all of them.

        Raises `NotFoundError` or `RecordError`.
        """
        found = self._find(person)
        force = self._engine.force
        return ContactView(
            profile_id=found.profile_id,
            contacts=tuple(
                contact
                for contact in contacts_of(force, found.profile_id, found.ledger, found.now_us)
                if (since_us is None or contact.counted_us >= since_us)
                and (until_us is None or contact.counted_us < until_us)
            ),
            caps=tuple(caps_of(force, found.ledger, self._zone(found.record), found.now_us)),
            suppressions=tuple(suppressions_of(force, found.ledger, found.now_us)),
            as_of_us=found.now_us,
        )

    def reset(self, reset: Reset) -> ResetResult:
        """Take contacts out of the ledger and log who wanted it; nothing is logged where there is nothing to take.

        Raises `InvalidRequestError` for a name that neither catalog nor ledger has, `NotFoundError`, `RecordError`, and
        `PreconditionError` when others keep changing the ledger.
        """
        for _ in range(ATTEMPTS):
            found = self._find(reset.person)
            entries = read(found.ledger)
            _check_names(reset, Names.of(self._engine.force.catalog), entries)
            goes = _goes(entries, reset)
            if not goes.any():
                return ResetResult(0, found.now_us)
            removed = entries[goes].tobytes()
            change = LedgerChange(
                found.profile_id, ChangeKind.RESET, reset.actor, reset.reason, found.now_us, removed, b""
            )
            (outcome,) = self._store.rewrite(
                [
                    Rewrite(
                        profile_id=found.profile_id,
                        ledger=found.ledger,
                        entries=entries[~goes].tobytes(),
                        appended=0,
                        dropped=removed,
                        record=self._codec.encode_change(change),
                    )
                ]
            )
            if outcome is RewriteOutcome.DONE:
                return ResetResult(int(goes.sum()), found.now_us)
            if outcome is RewriteOutcome.CORRUPT:
                raise RecordError(UNREADABLE)
        raise PreconditionError(BUSY)

    def backfill(self, contacts: Sequence[OutsideContact], *, actor: str, reason: str) -> list[BackfillResult]:
        """Add contacts that another system made; results in order, fields of violations relative to the contact.

        A contact is known again by its id for as long as it is in the ledger. Raises `StoreError` when the store
        cannot be used; the batch can then be sent again.
        """
        catalog = self._engine.force.catalog
        now_us = self._store.fetch([]).now_us
        results: dict[int, BackfillResult] = {}
        for i, contact in enumerate(contacts):
            violations = _violations(contact, catalog, now_us)
            if violations:
                results[i] = BackfillResult(contact.contact_id, BackfillOutcome.REJECTED, tuple(violations))
            elif contact.counted_us < now_us - catalog.keep_us:
                results[i] = BackfillResult(contact.contact_id, BackfillOutcome.TOO_OLD)
        pending = [i for i in range(len(contacts)) if i not in results]
        for _ in range(ATTEMPTS):
            if not pending:
                break
            done = self._add(catalog, {i: contacts[i] for i in pending}, actor, reason)
            results |= done
            pending = [i for i in pending if i not in done]
        for i in pending:
            results[i] = BackfillResult(contacts[i].contact_id, BackfillOutcome.UNAVAILABLE)
        return [results[i] for i in range(len(contacts))]

    def _add(
        self, catalog: Catalog, contacts: Mapping[int, OutsideContact], actor: str, reason: str
    ) -> dict[int, BackfillResult]:
        """Read, add, and write if nothing changed meanwhile; the contacts for which that succeeded or cannot."""
        owners = dict(zip(contacts, self.profile_ids([contact.person for contact in contacts.values()]), strict=True))
        people = list(dict.fromkeys(owners.values()))
        fetched = self._store.fetch(people)
        results: dict[int, BackfillResult] = {}
        rewrites: list[Rewrite] = []
        added: list[list[int]] = []
        for profile_id, ledger in zip(people, fetched.ledgers, strict=True):
            mine = {i: contacts[i] for i in contacts if owners[i] == profile_id}
            fresh = self._made(catalog, ledger, mine, results)
            if not fresh:
                continue
            new = b"".join(fresh.values())
            kept = read(ledger)
            if len(kept) + len(fresh) > catalog.max_entries:
                kept = kept[~_ended(kept, fetched.now_us - catalog.keep_us)]
            lapsed_before_s = 0
            if len(kept) + len(fresh) > catalog.max_entries:
                before_us = fetched.now_us - catalog.lapsed_us
                goes = _lapsed(kept, before_us)
                kept, lapsed_before_s = kept[~goes], -(-before_us // SECOND_US) if goes.any() else 0
            if len(kept) + len(fresh) > catalog.max_entries:
                full = Violation("profile", f"has {len(kept)} contacts, at most {catalog.max_entries} are kept")
                results |= {i: _rejected(mine[i], full) for i in fresh}
                continue
            change = LedgerChange(profile_id, ChangeKind.BACKFILL, actor, reason, fetched.now_us, b"", new)
            record = self._codec.encode_change(change)
            entries = kept.tobytes() + new
            rewrites.append(Rewrite(profile_id, ledger, entries, len(fresh), b"", record, lapsed_before_s))
            added.append(list(fresh))
        outcomes = self._store.rewrite(rewrites) if rewrites else []
        for outcome, those in zip(outcomes, added, strict=True):
            for i in those:
                if outcome is RewriteOutcome.DONE:
                    results[i] = BackfillResult(contacts[i].contact_id, BackfillOutcome.ADDED)
        # one that is sent twice in a batch is a duplicate of one that may have to be tried again: then so must it be
        failed = {
            owners[i]
            for outcome, those in zip(outcomes, added, strict=True)
            if outcome is not RewriteOutcome.DONE
            for i in those
        }
        return {i: result for i, result in results.items() if owners[i] not in failed}

    def _made(
        self, catalog: Catalog, ledger: bytes, mine: Mapping[int, OutsideContact], results: dict[int, BackfillResult]
    ) -> dict[int, bytes]:
        """Entries of the contacts that the ledger does not have; what became of the others goes to `results`."""
        if not is_whole(ledger):
            results |= {i: _rejected(contact, Violation("profile", UNREADABLE)) for i, contact in mine.items()}
            return {}
        entries = read(ledger)
        outside = (entries["state"] < EntryState.SUPPRESS_OFFER) & (entries["state"] & OUTSIDE > 0)
        known = {int(code) for code in entries["decision"][outside]}
        fresh: dict[int, bytes] = {}
        for i, contact in mine.items():
            code = outside_code(contact.contact_id)
            if code in known:
                results[i] = BackfillResult(contact.contact_id, BackfillOutcome.DUPLICATE)
            else:
                known.add(code)
                fresh[i] = _entry(catalog, contact, code)
        return fresh

    def _find(self, person: Person) -> _Found:
        """Read one person, after merges. Raises `NotFoundError` or `RecordError`."""
        (profile_id,) = self.profile_ids([person])
        fetched: Fetched = self._store.fetch([profile_id])
        record, ledger = fetched.records[0], fetched.ledgers[0]
        if not is_whole(ledger):
            raise RecordError(UNREADABLE)
        if record is None and ledger == EMPTY:
            raise NotFoundError("there is no such profile")
        return _Found(profile_id, record, ledger, fetched.now_us)

    def profile_ids(self, people: Sequence[Person]) -> list[str]:
        """Profile ids of people, where merges have led to."""
        named = [person.identity for person in people if person.identity is not None]
        resolved = iter(self._store.resolve(named) if named else [])
        ids = [
            person.profile_id
            if person.identity is None
            else next(resolved) or anonymous_id(person.identity.namespace, person.identity.value)
            for person in people
        ]
        for _ in range(MOST_MERGES):
            merges = self._store.merging.read([person_address(profile_id) for profile_id in ids])
            if not any(merge.leads_to for merge in merges):
                break
            ids = [merge.leads_to or profile_id for merge, profile_id in zip(merges, ids, strict=True)]
        return ids

    def _zone(self, record: bytes | None) -> str:
        """The person's time zone; empty where it is not known."""
        if record is None:
            return ""
        spec = self._engine.force.catalog.spec
        array, status = RecordReader(spec, self._store.layouts()).read([record])
        return unpack_rows(spec, array)[0].time_zone if status[0] == RowStatus.OK else ""


def outside_code(contact_id: str) -> int:
    """What stands in a ledger for another system's id of a contact."""
    digest = hashlib.blake2b(contact_id.encode(), digest_size=8, person=b"takt-outside").digest()
    return int.from_bytes(digest, "little")


def _entry(catalog: Catalog, contact: OutsideContact, code: int) -> bytes:
    """The ledger entry of a contact from outside, whose names the catalog knows."""
    entry = np.zeros(1, ENTRY)
    entry["time_us"] = contact.counted_us
    entry["decision"] = code
    entry["channel"] = code16(contact.channel)
    entry["placement"] = code16(contact.placement) if contact.placement else 0
    if contact.offer:
        o = next(o for o, offer in enumerate(catalog.offers) if offer.id == contact.offer)
        entry["offer"] = catalog.offer_codes[o]
        entry["group"] = catalog.group_codes[catalog.offer_group[o]] if catalog.offer_group[o] >= 0 else 0
    entry["state"] = EntryState.SHOWN | OUTSIDE
    entry["origin"] = code8(contact.person.identity.namespace) if contact.person.identity else 0
    return entry.tobytes()


def _ended(entries: npt.NDArray[np.void], before_us: int) -> npt.NDArray[np.bool_]:
    """Bool [n]: the entry ended before a moment, so that nothing in force can count it."""
    for_good = (entries["state"] >= EntryState.SUPPRESS_OFFER) & (entries["expiry_s"] == 0)
    ends_us = entries["time_us"] + entries["expiry_s"].astype(np.int64) * SECOND_US
    return np.asarray(~for_good & (ends_us < before_us), np.bool_)


def _lapsed(entries: npt.NDArray[np.void], before_us: int) -> npt.NDArray[np.bool_]:
    """Bool [n]: the entry is a contact whose hold ended before a moment without a confirmation."""
    plain = entries["state"] & (~(OUTSIDE | LATE) & 0xFF)
    waits = (plain == EntryState.HELD) | (plain == EntryState.RELEASED)
    return np.asarray(waits & _ended(entries, before_us), np.bool_)


def _goes(entries: npt.NDArray[np.void], reset: Reset) -> npt.NDArray[np.bool_]:
    """Bool [n]: the contacts that a reset is about."""
    goes = entries["state"] < EntryState.SUPPRESS_OFFER
    if reset.channel:
        goes &= entries["channel"] == code16(reset.channel)
    if reset.offer:
        goes &= entries["offer"] == code32(reset.offer)
    if reset.group:
        goes &= entries["group"] == code16(reset.group)
    if reset.since_us is not None:
        goes &= entries["time_us"] >= reset.since_us
    if reset.before_us is not None:
        goes &= entries["time_us"] < reset.before_us
    return np.asarray(goes, np.bool_)


def _check_names(reset: Reset, names: Names, entries: npt.NDArray[np.void]) -> None:
    """Raise `InvalidRequestError` for names that mean nothing: a typing error must not look like a reset of nothing."""
    found = []
    for field, given, code, known in (
        ("channel", reset.channel, code16(reset.channel), names.channels),
        ("offer", reset.offer, code32(reset.offer), names.offers),
        ("group", reset.group, code16(reset.group), names.groups),
    ):
        if given and code not in known and not (entries[field] == code).any():
            hint = did_you_mean(given, known.values())
            found.append(Violation(field, f"{shown(given)} is neither in the catalog nor in the ledger; {hint}"))
    if found:
        raise InvalidRequestError(tuple(found))


def _rejected(contact: OutsideContact, violation: Violation) -> BackfillResult:
    return BackfillResult(contact.contact_id, BackfillOutcome.REJECTED, (violation,))


def _violations(contact: OutsideContact, catalog: Catalog, now_us: int) -> list[Violation]:
    """All that is wrong with one contact, by field."""
    found = []
    for field, given, known in (
        ("channel", contact.channel, [channel.id for channel in catalog.channels]),
        ("offer", contact.offer, [offer.id for offer in catalog.offers]),
        ("placement", contact.placement, [placement.id for placement in catalog.placements]),
    ):
        if given and given not in known:
            found.append(Violation(field, f"{shown(given)} is not in the catalog; {did_you_mean(given, known)}"))
    if not contact.channel:
        found.append(Violation("channel", "is needed: say on which channel the contact was made"))
    if contact.counted_us > now_us:
        found.append(Violation("counted_at", "lies in the future; a contact from outside has been made"))
    return found
