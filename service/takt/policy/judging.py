"""The verdict on every timing and offer of one spot: what the ledger still allows, and how much room is left.

A *spot* is one placement of one request. Verdicts are `takt.domain.reasons.Reason` codes, 0 where allowed. Room is how
many more contacts others may make before the verdict could change, after all that this group of decisions might add.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.ledger import EntryState
from takt.domain.reasons import Reason
from takt.kernel import kernel
from takt.policy.contacts import Contacts, fullest_window, inside, unit_times

Table = npt.NDArray[np.void]

PLENTY: Final = 1 << 30
"""Room where nothing limits."""

# Kernels take plain numbers as constants.
RELEASED: Final = int(EntryState.RELEASED)
SUPPRESS_OFFER: Final = int(EntryState.SUPPRESS_OFFER)
SUPPRESS_GROUP: Final = int(EntryState.SUPPRESS_GROUP)
TIMING_PASSED: Final = int(Reason.TIMING_PASSED)
SUPPRESSED: Final = int(Reason.SUPPRESSED)
QUIET_HOURS: Final = int(Reason.QUIET_HOURS)
LEDGER_FULL: Final = int(Reason.LEDGER_FULL)
MINIMUM_GAP: Final = int(Reason.MINIMUM_GAP)
CAP_PROFILE: Final = int(Reason.CAP_PROFILE)
"""The caps' reasons follow in steps of 10, in the order of their scopes."""

CAP: Final = np.dtype(
    [
        ("scope", "<i8"),  # takt.catalog.snapshot.Scope
        ("limit", "<i8"),
        ("rolling_us", "<i8"),  # width of the rolling window; 0 for a calendar window
        ("counts", "<i8"),  # takt.catalog.snapshot.Counts
    ]
)

MOMENT: Final = np.dtype(
    [
        ("time_us", "<i8"),  # when a contact in this slot would count
        ("not_after_us", "<i8"),
        ("open", "?"),  # the slot has not passed
        ("quiet", "?"),  # the moment lies in the channel's quiet hours
    ]
)

VERDICT: Final = np.dtype(
    [
        ("reason", "<i8"),  # takt.domain.reasons.Reason, 0 = allowed
        ("cap", "<i8"),  # the cap that refused, or -1
        ("room", "<i8"),
    ]
)


class Terms(NamedTuple):
    """The contact policy of a catalog."""

    caps: Table
    """`CAP` [C]."""
    keys: npt.NDArray[np.bool_]
    """bool [C, widest scope]: the channels, placements, groups or offers that a cap covers."""
    gap_us: npt.NDArray[np.int64]
    """int64 [H]: minimum gap per channel."""
    offer_group: npt.NDArray[np.int64]
    """int64 [O], -1 for none."""
    valid_until_us: npt.NDArray[np.int64]
    """int64 [O]: an offer may not be shown at or after this moment, also not by a contact that is put off."""
    max_entries: int
    keep_us: int
    """Entries that ended longer ago may be dropped, so they do not fill a ledger."""
    gap_all_us: int
    """Minimum gap over all channels together, 0 = none."""


class Spot(NamedTuple):
    """Where and when a contact is judged."""

    decision: np.uint64
    channel: int
    placement: int
    now_us: int
    moments: Table
    """`MOMENT` [T]."""
    window_us: npt.NDArray[np.int64]
    """int64 [C, T, 2]: the calendar window that contains the moment, half-open."""


class Own(NamedTuple):
    """The most units that a group of decisions might add, so that room is a function of the snapshot alone."""

    profile: int
    channel: npt.NDArray[np.int64]
    placement: npt.NDArray[np.int64]
    entries: int
    same_offer: int


class Verdicts(NamedTuple):
    """Scratch that is filled anew for each judgement."""

    timing: Table
    """`VERDICT` [T]: what holds for every offer alike."""
    offer: Table
    """`VERDICT` [T, O]: what holds for one offer."""
    times: npt.NDArray[np.int64]
    """As long as the longest ledger."""
    seen: npt.NDArray[np.bool_]
    """As long as there are offers or groups."""


@kernel
def in_hand(contacts: Contacts, first: int, end: int, spot: Spot, moment_us: int, scope: int) -> bool:
    """Whether this very decision makes the unit already: another offer in it costs these scopes nothing."""
    i = end - 1
    while i >= first and contacts[i]["decision"] == spot.decision:
        if contacts[i]["time_us"] == moment_us and contacts[i]["state"] < SUPPRESS_OFFER:
            if scope == 2 and contacts[i]["placement"] == spot.placement:
                return True
            if scope < 2 and contacts[i]["channel"] == spot.channel:
                return True
        i -= 1
    return False


@kernel
def used(terms: Terms, c: int, spot: Spot, t: int, times: npt.NDArray[np.int64], n: int) -> int:
    """Units already counted in the window of cap `c` that matters for timing `t`."""
    if terms.caps[c]["rolling_us"] > 0:
        return fullest_window(times, n, spot.moments[t]["time_us"], terms.caps[c]["rolling_us"])
    return inside(times, n, spot.window_us[c, t, 0], spot.window_us[c, t, 1])


@kernel
def refuse(verdict: np.void, reason: int, cap: int) -> None:
    """Note a reason, unless one that comes earlier in the order of judgement is noted already."""
    if verdict["reason"] == 0 or reason < verdict["reason"]:
        verdict["reason"] = reason
        verdict["cap"] = cap


@kernel
def too_near(
    contacts: Contacts, first: int, end: int, spot: Spot, moment_us: int, gap_us: int, gap_all_us: int
) -> bool:
    """Whether another contact lies within the gap of its channel or of all, before or after. Released, it was none."""
    for i in range(first, end):
        entry = contacts[i]
        if entry["state"] >= SUPPRESS_OFFER or entry["state"] == RELEASED:
            continue
        near_us = max(gap_us, gap_all_us) if entry["channel"] == spot.channel else gap_all_us
        if abs(entry["time_us"] - moment_us) < near_us:
            return True
    return False


@kernel
def is_crowded(terms: Terms, contacts: Contacts, first: int, end: int, now_us: int) -> bool:
    """Whether there is no room for one more entry, even when all that may be dropped is."""
    if end - first < terms.max_entries:
        return False
    kept = 0
    for i in range(first, end):
        if contacts[i]["ends_us"] >= now_us - terms.keep_us:
            kept += 1
    return kept >= terms.max_entries


@kernel
def judge_timings(
    terms: Terms, contacts: Contacts, first: int, end: int, spot: Spot, own: Own, verdicts: Verdicts
) -> None:
    """Judge what concerns every offer of the spot alike: slot, quiet hours, room in the ledger, gap, three scopes."""
    n_timings = spot.moments.shape[0]
    gap_us = terms.gap_us[spot.channel]
    has_gap = gap_us > 0 or terms.gap_all_us > 0
    crowded = is_crowded(terms, contacts, first, end, spot.now_us)
    for t in range(n_timings):
        verdict = verdicts.timing[t]
        moment = spot.moments[t]
        verdict["reason"] = 0
        verdict["cap"] = -1
        verdict["room"] = 0 if has_gap else PLENTY
        if not moment["open"]:
            refuse(verdict, TIMING_PASSED, -1)
        if moment["quiet"]:
            refuse(verdict, QUIET_HOURS, -1)
        if crowded:
            refuse(verdict, LEDGER_FULL, -1)
        if (
            has_gap
            and not in_hand(contacts, first, end, spot, moment["time_us"], 1)
            and too_near(contacts, first, end, spot, moment["time_us"], gap_us, terms.gap_all_us)
        ):
            refuse(verdict, MINIMUM_GAP, -1)
    for c in range(terms.caps.shape[0]):
        cap = terms.caps[c]
        scope = cap["scope"]
        if scope > 2:
            continue
        key = 0 if scope == 0 else (spot.channel if scope == 1 else spot.placement)
        if not terms.keys[c, key]:
            continue
        adds = own.profile if scope == 0 else (own.channel[key] if scope == 1 else own.placement[key])
        n = unit_times(contacts, first, end, scope, key, cap["counts"], spot.now_us, verdicts.times)
        for t in range(n_timings):
            if in_hand(contacts, first, end, spot, spot.moments[t]["time_us"], scope):
                continue
            left = cap["limit"] - used(terms, c, spot, t, verdicts.times, n)
            if left <= 0:
                refuse(verdicts.timing[t], CAP_PROFILE + 10 * scope, c)
            verdicts.timing[t]["room"] = min(verdicts.timing[t]["room"], max(left - adds, 0))


@kernel
def close_key(
    terms: Terms, c: int, key: int, contacts: Contacts, first: int, end: int, spot: Spot, adds: int, verdicts: Verdicts
) -> None:
    """Judge one offer or group under cap `c` and write the verdict to every offer it covers."""
    cap = terms.caps[c]
    scope = cap["scope"]
    n = unit_times(contacts, first, end, scope, key, cap["counts"], spot.now_us, verdicts.times)
    for t in range(spot.moments.shape[0]):
        left = cap["limit"] - used(terms, c, spot, t, verdicts.times, n)
        for o in range(verdicts.offer.shape[1]):
            if (terms.offer_group[o] if scope == 3 else o) != key:
                continue
            verdict = verdicts.offer[t, o]
            verdict["room"] = min(verdict["room"], max(left - adds, 0))
            if left <= 0:
                refuse(verdict, CAP_PROFILE + 10 * scope, c)


@kernel
def suppress(terms: Terms, contacts: Contacts, i: int, spot: Spot, verdicts: Verdicts) -> None:
    """Apply one suppression to the offer or group that it names, at every moment it lasts beyond."""
    entry = contacts[i]
    for t in range(spot.moments.shape[0]):
        if entry["ends_us"] <= spot.moments[t]["time_us"]:
            continue
        for o in range(verdicts.offer.shape[1]):
            if entry["state"] == SUPPRESS_OFFER:
                hit = entry["offer"] == o
            else:
                hit = entry["group"] >= 0 and entry["group"] == terms.offer_group[o]
            if hit:
                refuse(verdicts.offer[t, o], SUPPRESSED, -1)


@kernel
def judge_offers(
    terms: Terms, contacts: Contacts, first: int, end: int, spot: Spot, own: Own, verdicts: Verdicts
) -> None:
    """Judge what concerns single offers: the end of their validity, suppressions, group caps, offer caps.

    A key that the ledger does not name is unused: all its cap can do is to allow none at all, and to bound the room.
    """
    n_timings, n_offers = verdicts.offer.shape
    for t in range(n_timings):
        for o in range(n_offers):
            verdict = verdicts.offer[t, o]
            verdict["reason"] = 0
            verdict["cap"] = -1
            verdict["room"] = PLENTY
            if spot.moments[t]["time_us"] >= terms.valid_until_us[o]:
                refuse(verdict, TIMING_PASSED, -1)
            for c in range(terms.caps.shape[0]):
                cap = terms.caps[c]
                if cap["scope"] < 3:
                    continue
                key = terms.offer_group[o] if cap["scope"] == 3 else o
                if key < 0 or not terms.keys[c, key]:
                    continue
                adds = own.entries if cap["scope"] == 3 else own.same_offer
                verdict["room"] = min(verdict["room"], max(cap["limit"] - adds, 0))
                if cap["limit"] <= 0:
                    refuse(verdict, CAP_PROFILE + 10 * cap["scope"], c)
    for i in range(first, end):
        if contacts[i]["state"] == SUPPRESS_OFFER or contacts[i]["state"] == SUPPRESS_GROUP:
            suppress(terms, contacts, i, spot, verdicts)
    for c in range(terms.caps.shape[0]):
        scope = terms.caps[c]["scope"]
        if scope < 3:
            continue
        verdicts.seen[:] = False
        for i in range(first, end):
            key = contacts[i]["group"] if scope == 3 else contacts[i]["offer"]
            if key < 0 or contacts[i]["state"] >= SUPPRESS_OFFER or verdicts.seen[key] or not terms.keys[c, key]:
                continue
            verdicts.seen[key] = True
            close_key(
                terms, c, key, contacts, first, end, spot, own.entries if scope == 3 else own.same_offer, verdicts
            )
