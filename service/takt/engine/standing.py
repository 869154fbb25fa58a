"""How one person's ledger stands: contacts, suppressions and caps with the names that the catalog in force has."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.catalog.snapshot import Counts, Scope
from takt.clock import SECOND_US
from takt.domain.contact import CapState, ContactState, KnownContact, KnownSuppression
from takt.domain.decision import person_address
from takt.domain.ledger import LATE, OUTSIDE, EntryState
from takt.engine.ledgers import join, read
from takt.policy.moments import calendar_window, cap_zone
from takt.policy.outlook import outlook, units_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.catalog.snapshot import Cap, Catalog
    from takt.engine.force import Force

PERSONAL = (Scope.PROFILE, Scope.CHANNEL, Scope.PLACEMENT, Scope.GROUP, Scope.OFFER)
"""Scopes that are counted in one person's ledger."""


class Names(Struct, frozen=True):
    """What the codes in a ledger stand for."""

    offers: Mapping[int, str]
    groups: Mapping[int, str]
    channels: Mapping[int, str]
    placements: Mapping[int, str]

    @classmethod
    def of(cls, catalog: Catalog) -> Names:
        """Those of a catalog."""
        return cls(
            {offer.code: offer.id for offer in catalog.offers},
            {int(code): group for code, group in zip(catalog.group_codes, catalog.groups, strict=True)},
            {channel.code: channel.id for channel in catalog.channels},
            {placement.code: placement.id for placement in catalog.placements},
        )


def name(names: Mapping[int, str], code: int) -> str:
    """The name of a code: empty for 0, `#` and the code where the catalog does not know it."""
    return names.get(code, f"#{code:x}") if code else ""


def contacts_of(force: Force, profile_id: str, ledger: bytes, now_us: int) -> list[KnownContact]:
    """All contacts in a whole ledger, newest first."""
    names, at_once = Names.of(force.catalog), counted_at_once(force.catalog)
    found = [
        known_contact(names, at_once, profile_id, entry, now_us)
        for entry in read(ledger)
        if entry["state"] < EntryState.SUPPRESS_OFFER
    ]
    return sorted(found, key=lambda contact: -contact.counted_us)


def counted_at_once(catalog: Catalog) -> set[int]:
    """Codes of the placements whose contacts wait for nothing."""
    return {p.code for p in catalog.placements if p.counted_event == Counts.DECISION}


def known_contact(names: Names, at_once: set[int], profile_id: str, entry: np.void, now_us: int) -> KnownContact:
    """One entry that is a contact, with names."""
    state = int(entry["state"])
    waits = bool(entry["expiry_s"]) and int(entry["placement"]) not in at_once
    ends_us = int(entry["time_us"]) + int(entry["expiry_s"]) * SECOND_US if waits else 0
    code = int(entry["decision"]).to_bytes(8, "little")
    return KnownContact(
        counted_us=int(entry["time_us"]),
        state=_state(state, ends_us, now_us),
        offer=name(names.offers, int(entry["offer"])),
        group=name(names.groups, int(entry["group"])),
        channel=name(names.channels, int(entry["channel"])),
        placement=name(names.placements, int(entry["placement"])),
        decision_id="" if state & OUTSIDE else (code + person_address(profile_id)).hex(),
        hold_expires_us=ends_us,
    )


def suppressions_of(force: Force, ledger: bytes, now_us: int) -> list[KnownSuppression]:
    """The suppressions of a whole ledger that are in force."""
    names = Names.of(force.catalog)
    found = []
    for entry in read(ledger):
        by_group = int(entry["state"]) == EntryState.SUPPRESS_GROUP
        until_us = int(entry["time_us"]) + int(entry["expiry_s"]) * SECOND_US if entry["expiry_s"] else 0
        if not by_group and int(entry["state"]) != EntryState.SUPPRESS_OFFER:
            continue
        if until_us and until_us <= now_us:
            continue
        found.append(
            KnownSuppression(
                offer="" if by_group else name(names.offers, int(entry["offer"])),
                group=name(names.groups, int(entry["group"])) if by_group else "",
                since_us=int(entry["time_us"]),
                until_us=until_us,
            )
        )
    return found


def caps_of(force: Force, ledger: bytes, zone_name: str, now_us: int) -> list[CapState]:
    """How each cap stands for a person in a zone (empty = the project's), per thing that it counts for itself.

    Offers and groups that the ledger does not name are left out: there all of the cap is left.
    """
    catalog = force.catalog
    ledgers = join(force, [ledger], np.zeros(1, np.int64))
    contacts = ledgers.contacts[ledgers.first[0] : ledgers.end[0]]
    project = ZoneInfo(catalog.project_zone)
    customer = ZoneInfo(zone_name) if zone_name else project
    found = []
    for cap in catalog.caps:
        if cap.scope not in PERSONAL:
            continue
        window = partial(_window, cap, cap_zone(cap, customer, project))
        for key, subject in _subjects(catalog, cap, contacts):
            units = units_of(contacts, cap.scope, key, cap.counts)
            if not units and cap.scope in (Scope.GROUP, Scope.OFFER):
                continue
            stands = outlook(units, limit=cap.limit, rolling_us=cap.window_us, window=window, now_us=now_us)
            found.append(
                CapState(
                    cap=cap.id,
                    scope=cap.scope.name,
                    subject=subject,
                    limit=cap.limit,
                    counted=stands.counted,
                    held=stands.held,
                    start_us=stands.start_us,
                    end_us=0 if cap.window_us else stands.end_us,
                    next_us=0 if stands.next_us == now_us else stands.next_us,
                )
            )
    return found


def _state(state: int, ends_us: int, now_us: int) -> ContactState:
    """What a person calls the state of an entry; `ends_us` is 0 where it waits for nothing."""
    plain = state & ~(OUTSIDE | LATE)
    if state & OUTSIDE:
        return ContactState.BACKFILLED
    if plain == EntryState.RELEASED:
        return ContactState.RELEASED
    if state & LATE:
        return ContactState.LATE
    if plain == EntryState.HELD and ends_us:
        return ContactState.HELD if now_us < ends_us else ContactState.EXPIRED
    return ContactState.CONFIRMED


def _window(cap: Cap, zone: ZoneInfo, moment_us: int) -> tuple[int, int]:
    """The calendar window of a cap that contains a moment."""
    return calendar_window(cap.calendar, datetime.fromtimestamp(moment_us // SECOND_US, UTC), zone)


def _subjects(catalog: Catalog, cap: Cap, contacts: npt.NDArray[np.void]) -> Iterable[tuple[int, str]]:
    """Index and name of all that a cap counts for itself; of offers and groups those in the ledger."""
    match cap.scope:
        case Scope.CHANNEL:
            return [(h, channel.id) for h, channel in enumerate(catalog.channels) if cap.keys[h]]
        case Scope.PLACEMENT:
            return [(p, placement.id) for p, placement in enumerate(catalog.placements) if cap.keys[p]]
        case Scope.GROUP:
            return [(g, catalog.groups[g]) for g in _seen(contacts["group"]) if cap.keys[g]]
        case Scope.OFFER:
            return [(o, catalog.offers[o].id) for o in _seen(contacts["offer"]) if cap.keys[o]]
        case _:
            return [(0, "")]


def _seen(indices: npt.NDArray[np.int64]) -> list[int]:
    """The distinct indices that the catalog knows."""
    return [int(index) for index in np.unique(indices) if index >= 0]
