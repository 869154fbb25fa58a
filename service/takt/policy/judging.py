"""The verdict on every timing and offer of one spot: what the ledger still allows, and how much room is left.

A *spot* is one placement of one request. Verdicts are `takt.domain.reasons.Reason` codes, 0 where allowed. Room is how
many more contacts others may make before the verdict could change, after all that this group of decisions might add.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.reasons import Reason
from takt.kernel import kernel
from takt.policy.contacts import FELT, HELD, RELEASED, SUPPRESS_OFFER, Contacts, fullest_window, inside, unit_bit
from takt.policy.recent import Recent, units_of

Table = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]

PLENTY: Final = 1 << 30
"""Room where nothing limits."""

# Kernels take plain numbers as constants.
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
        ("here", "?"),  # the caller allows the slot and the placement can deliver it
        ("judged", "?"),  # what the ledger says of it is asked for
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
    """The contact policy of a catalog, made by `terms`."""

    caps: Table
    """`CAP` [C]."""
    keys: npt.NDArray[np.bool_]
    """bool [C, widest scope]: the channels, placements, groups or offers that a cap covers."""
    gap_us: Ints
    """int64 [H]: minimum gap per channel."""
    offer_group: Ints
    """int64 [O], -1 for none."""
    valid_until_us: Ints
    """int64 [O]: an offer may not be shown at or after this moment, also not by a contact that is put off."""
    group_limit: Ints
    """int64 [O]: the smallest limit of all caps on the offer's group, `PLENTY` without one."""
    offer_limit: Ints
    """int64 [O]: the smallest limit of all caps on the offer itself."""
    barred_by: Ints
    """int64 [O]: the first cap that allows none of the offer at all, -1 for none."""
    max_entries: int
    keep_us: int
    """Entries that ended longer ago may be dropped, so they do not fill a ledger."""
    lapsed_us: int
    """So do contacts whose hold ended longer ago without a confirmation, where there is no room otherwise."""
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
    window_us: Ints
    """int64 [C, T, 2]: the calendar window that contains the moment, half-open."""
    known_us: int
    """Contacts that lapsed before this moment may be missing from the ledger."""


class Own(NamedTuple):
    """The most units that a group of decisions might add, so that room is a function of the snapshot alone."""

    profile: int
    channel: Ints
    placement: Ints
    entries: int
    same_offer: int


class Verdicts(NamedTuple):
    """What is judged, and the verdicts: filled anew for each spot, brought up to date after each pick."""

    offers: Ints
    """int64 [O]: the offers that are judged, ascending, as many as `size` says: offer `offers[i]` has place `i`."""
    timings: Ints
    """int64 [T]: the timings that are judged, ascending."""
    open: Ints
    """int64 [T]: those of them that the placement can deliver and that nothing closes for every offer alike."""
    size: Ints
    """int64 [3]: how many offers, timings, open timings."""
    timing: Table
    """`VERDICT` [T]: what holds for every offer alike."""
    reason: npt.NDArray[np.uint8]
    """uint8 [T, O]: what holds for the offer at each place. By place, so that they lie side by side, few as they be."""
    cap: Ints
    """int64 [T, O]: the cap that refused the offer at each place, or -1."""
    room: Ints
    """int64 [T, O]: of the offer at each place."""
    counted: Ints
    """int64 [widest scope, T]: units in the window of the cap at hand."""
    ahead: npt.NDArray[np.bool_]
    """bool [widest scope]: units lie later than a moment that is judged."""
    seen: npt.NDArray[np.bool_]
    """bool [widest scope]: false between calls."""
    named: Ints
    """int64 [widest scope]: keys that the ledger names."""


def terms(
    *,
    caps: Table,
    keys: npt.NDArray[np.bool_],
    gap_us: Ints,
    offer_group: Ints,
    valid_until_us: Ints,
    max_entries: int,
    keep_us: int,
    lapsed_us: int,
    gap_all_us: int,
) -> Terms:
    """The contact policy, with what caps say of single offers whatever the ledger."""
    group_limit = np.full(len(offer_group), PLENTY, np.int64)
    offer_limit = np.full(len(offer_group), PLENTY, np.int64)
    barred_by = np.full(len(offer_group), -1, np.int64)
    for scope, limit in ((4, offer_limit), (3, group_limit)):  # a group's cap comes first in the order of judgement
        for c in reversed(np.flatnonzero(caps["scope"] == scope)):
            key = offer_group if scope == 3 else np.arange(len(offer_group))
            covered = (key >= 0) & keys[c][key]
            limit[covered] = np.minimum(limit[covered], caps["limit"][c])
            if caps["limit"][c] <= 0:
                barred_by[covered] = c
    return Terms(
        caps,
        keys,
        gap_us,
        offer_group,
        valid_until_us,
        group_limit,
        offer_limit,
        barred_by,
        max_entries,
        keep_us,
        lapsed_us,
        gap_all_us,
    )


def verdicts_for(n_timings: int, n_offers: int, widest: int) -> Verdicts:
    """Room for verdicts; `widest` is the number of offers or of groups, whichever is larger."""
    return Verdicts(
        np.zeros(n_offers, np.int64),
        np.zeros(n_timings, np.int64),
        np.zeros(n_timings, np.int64),
        np.zeros(3, np.int64),
        np.zeros(n_timings, VERDICT),
        np.zeros((n_timings, n_offers), np.uint8),
        np.zeros((n_timings, n_offers), np.int64),
        np.zeros((n_timings, n_offers), np.int64),
        np.zeros((widest, n_timings), np.int64),
        np.zeros(widest, np.bool_),
        np.zeros(widest, np.bool_),
        np.zeros(widest, np.int64),
    )


@kernel
def matters_since(terms: Terms, window_us: Ints, now_us: int) -> int:
    """The moment before which no contact matters to any cap or gap, for moments that are not before now."""
    reach_us = terms.gap_all_us
    for h in range(terms.gap_us.shape[0]):
        reach_us = max(reach_us, terms.gap_us[h])
    since_us = now_us
    for c in range(terms.caps.shape[0]):
        if terms.caps[c]["rolling_us"] > 0:
            reach_us = max(reach_us, terms.caps[c]["rolling_us"])
            continue
        for t in range(window_us.shape[1]):
            if window_us[c, t, 0] < window_us[c, t, 1]:
                since_us = min(since_us, window_us[c, t, 0])
    return min(since_us, now_us - reach_us)


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
def used(recent: Recent, n: int, terms: Terms, c: int, spot: Spot, t: int) -> int:
    """How many of the first `n` of `recent.times` lie in the window of cap `c` that matters for timing `t`."""
    if terms.caps[c]["rolling_us"] > 0:
        return fullest_window(recent.times, n, spot.moments[t]["time_us"], terms.caps[c]["rolling_us"])
    return inside(recent.times, n, spot.window_us[c, t, 0], spot.window_us[c, t, 1])


@kernel
def refuse(verdict: np.void, reason: int, cap: int) -> None:
    """Note a reason, unless one that comes earlier in the order of judgement is noted already."""
    if verdict["reason"] == 0 or reason < verdict["reason"]:
        verdict["reason"] = reason
        verdict["cap"] = cap


@kernel
def refuse_offer(terms: Terms, verdicts: Verdicts, t: int, i: int, reason: int, cap: int) -> None:
    """Note a reason for the offer at place `i` at one timing, unless an earlier one is noted already.

    Of caps with one reason the first is told; before them one that allows none at all.
    """
    noted = verdicts.reason[t, i]
    by = verdicts.cap[t, i]
    if noted == 0 or reason < noted or (reason == noted and cap < by and by != terms.barred_by[verdicts.offers[i]]):
        verdicts.reason[t, i] = reason
        verdicts.cap[t, i] = cap


@kernel
def too_near(recent: Recent, channel: int, moment_us: int, gap_us: int, gap_all_us: int) -> bool:
    """Whether another contact lies within the gap of its channel or of all, before or after. Released, it was none."""
    for i in range(recent.size[0]):
        if not recent.units[i] & FELT:
            continue
        near_us = max(gap_us, gap_all_us) if recent.keys[1, i] == channel else gap_all_us
        if abs(recent.time_us[i] - moment_us) < near_us:
            return True
    return False


@kernel
def lapsed_matter_since(terms: Terms, spot: Spot) -> int:
    """The moment before which no contact matters that nobody has confirmed: to caps on decisions, and to gaps."""
    reach_us = terms.gap_all_us
    for h in range(terms.gap_us.shape[0]):
        reach_us = max(reach_us, terms.gap_us[h])
    since_us = spot.now_us
    for c in range(terms.caps.shape[0]):
        if terms.caps[c]["counts"] != 0 or terms.caps[c]["scope"] > 4:
            continue
        if terms.caps[c]["rolling_us"] > 0:
            reach_us = max(reach_us, terms.caps[c]["rolling_us"])
            continue
        for t in range(spot.window_us.shape[1]):
            if spot.window_us[c, t, 0] < spot.window_us[c, t, 1]:
                since_us = min(since_us, spot.window_us[c, t, 0])
    return min(since_us, spot.now_us - reach_us)


@kernel
def is_crowded(terms: Terms, contacts: Contacts, first: int, end: int, spot: Spot) -> bool:
    """Whether there is no room for one more entry, even when all that may be dropped is; or too much was dropped.

    The latter where a catalog looks back on contacts that lapsed, for longer than those before it did.
    """
    if spot.known_us > 0 and spot.known_us > lapsed_matter_since(terms, spot):
        return True
    if end - first < terms.max_entries:
        return False
    kept = 0
    for i in range(first, end):
        state = contacts[i]["state"]
        waits = state in (HELD, RELEASED)
        ends_us = contacts[i]["ends_us"]
        if ends_us >= spot.now_us - terms.keep_us and not (waits and ends_us < spot.now_us - terms.lapsed_us):
            kept += 1
    return kept >= terms.max_entries


@kernel
def judge_timings(
    terms: Terms, contacts: Contacts, first: int, end: int, recent: Recent, spot: Spot, own: Own, verdicts: Verdicts
) -> None:
    """Judge what concerns every offer of the spot alike: slot, quiet hours, room in the ledger, gap, three scopes.

    Lists the timings that are judged, and those that are open.
    """
    gap_us = terms.gap_us[spot.channel]
    has_gap = gap_us > 0 or terms.gap_all_us > 0
    crowded = is_crowded(terms, contacts, first, end, spot)
    judged = 0
    for t in range(spot.moments.shape[0]):
        moment = spot.moments[t]
        if not moment["judged"]:
            continue
        verdicts.timings[judged] = t
        judged += 1
        verdict = verdicts.timing[t]
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
            and too_near(recent, spot.channel, moment["time_us"], gap_us, terms.gap_all_us)
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
        n = units_of(recent, scope, key, cap["counts"])
        for j in range(judged):
            t = verdicts.timings[j]
            if in_hand(contacts, first, end, spot, spot.moments[t]["time_us"], scope):
                continue
            left = cap["limit"] - used(recent, n, terms, c, spot, t)
            if left <= 0:
                refuse(verdicts.timing[t], CAP_PROFILE + 10 * scope, c)
            verdicts.timing[t]["room"] = min(verdicts.timing[t]["room"], max(left - adds, 0))
    opened = 0
    for j in range(judged):
        t = verdicts.timings[j]
        if spot.moments[t]["here"] and verdicts.timing[t]["reason"] == 0:
            verdicts.open[opened] = t
            opened += 1
    verdicts.size[1] = judged
    verdicts.size[2] = opened


@kernel
def close(terms: Terms, c: int, t: int, i: int, left: int, adds: int, verdicts: Verdicts) -> None:
    """Write what cap `c` has left for the offer at place `i` at one timing."""
    verdicts.room[t, i] = min(verdicts.room[t, i], max(left - adds, 0))
    if left <= 0:
        refuse_offer(terms, verdicts, t, i, CAP_PROFILE + 10 * terms.caps[c]["scope"], c)


@kernel
def count_keys(terms: Terms, c: int, recent: Recent, spot: Spot, verdicts: Verdicts) -> int:
    """List the groups or offers of cap `c` that the ledger names; count the units of each at the timings judged.

    Returns how many are listed; they are marked as seen.
    """
    cap = terms.caps[c]
    scope = cap["scope"]
    rolling_us = cap["rolling_us"]
    bit = unit_bit(scope, cap["counts"])
    named = 0
    for i in range(recent.size[0]):
        key = recent.keys[scope, i]
        if key < 0 or not recent.units[i] & bit or not terms.keys[c, key]:
            continue
        if not verdicts.seen[key]:
            verdicts.seen[key] = True
            verdicts.ahead[key] = False
            for j in range(verdicts.size[1]):
                verdicts.counted[key, verdicts.timings[j]] = 0
            verdicts.named[named] = key
            named += 1
        time_us = recent.time_us[i]
        for j in range(verdicts.size[1]):
            t = verdicts.timings[j]
            if rolling_us > 0:
                moment_us = spot.moments[t]["time_us"]
                if time_us > moment_us:
                    verdicts.ahead[key] = True
                elif time_us > moment_us - rolling_us:
                    verdicts.counted[key, t] += 1
            elif spot.window_us[c, t, 0] <= time_us < spot.window_us[c, t, 1]:
                verdicts.counted[key, t] += 1
    for k in range(named):
        key = verdicts.named[k]
        if verdicts.ahead[key]:  # then the fullest window has to be looked for
            n = units_of(recent, scope, key, cap["counts"])
            for j in range(verdicts.size[1]):
                t = verdicts.timings[j]
                verdicts.counted[key, t] = fullest_window(recent.times, n, spot.moments[t]["time_us"], rolling_us)
    return named


@kernel
def suppress(terms: Terms, contacts: Contacts, i: int, spot: Spot, verdicts: Verdicts) -> None:
    """Apply one suppression to the offer or group that it names, at every moment it lasts beyond."""
    entry = contacts[i]
    by_offer = entry["state"] == SUPPRESS_OFFER
    key = entry["offer"] if by_offer else entry["group"]
    if key < 0:
        return
    for k in range(verdicts.size[0]):
        o = verdicts.offers[k]
        if (o if by_offer else terms.offer_group[o]) != key:
            continue
        for j in range(verdicts.size[1]):
            t = verdicts.timings[j]
            if entry["ends_us"] > spot.moments[t]["time_us"]:
                refuse_offer(terms, verdicts, t, k, SUPPRESSED, -1)


@kernel
def begin_offers(terms: Terms, spot: Spot, own: Own, verdicts: Verdicts) -> None:
    """Write the verdicts that hold whatever is in the ledger: what caps say of an offer at all, and its validity's end.

    All timings have the same, but for those at which an offer is not valid any more; so what is looked up for each
    offer is looked up once, and the rest is copied.
    """
    offers = verdicts.size[0]
    begin = verdicts.timings[0]
    latest_us = spot.moments[begin]["time_us"]
    for j in range(1, verdicts.size[1]):
        latest_us = max(latest_us, spot.moments[verdicts.timings[j]]["time_us"])
    reasons, caps, rooms = verdicts.reason[begin], verdicts.cap[begin], verdicts.room[begin]
    ending = 0
    for i in range(offers):
        o = verdicts.offers[i]
        room = PLENTY
        if terms.group_limit[o] < PLENTY:
            room = max(terms.group_limit[o] - own.entries, 0)
        if terms.offer_limit[o] < PLENTY:
            room = min(room, max(terms.offer_limit[o] - own.same_offer, 0))
        rooms[i] = room
        by = terms.barred_by[o]
        caps[i] = by
        reasons[i] = 0 if by < 0 else CAP_PROFILE + 10 * terms.caps[by]["scope"]
        ending += terms.valid_until_us[o] <= latest_us
    for j in range(1, verdicts.size[1]):
        t = verdicts.timings[j]
        for i in range(offers):
            verdicts.reason[t, i] = reasons[i]
        for i in range(offers):
            verdicts.cap[t, i] = caps[i]
        for i in range(offers):
            verdicts.room[t, i] = rooms[i]
    if ending == 0:
        return
    for j in range(verdicts.size[1]):
        t = verdicts.timings[j]
        for i in range(offers):
            if spot.moments[t]["time_us"] >= terms.valid_until_us[verdicts.offers[i]]:
                verdicts.reason[t, i] = TIMING_PASSED
                verdicts.cap[t, i] = -1


@kernel
def judge_offers(terms: Terms, contacts: Contacts, recent: Recent, spot: Spot, own: Own, verdicts: Verdicts) -> None:
    """Judge what concerns single offers: the end of their validity, suppressions, group caps, offer caps.

    A key that the ledger does not name is unused: all its cap can do is to allow none at all, and to bound the room.
    """
    if verdicts.size[1] == 0:
        return
    begin_offers(terms, spot, own, verdicts)
    for i in range(recent.size[1]):
        suppress(terms, contacts, recent.suppressions[i], spot, verdicts)
    for c in range(terms.caps.shape[0]):
        cap = terms.caps[c]
        if cap["scope"] != 3 and cap["scope"] != 4:
            continue
        adds = own.entries if cap["scope"] == 3 else own.same_offer
        named = count_keys(terms, c, recent, spot, verdicts)
        if named == 0:
            continue
        for k in range(verdicts.size[0]):
            o = verdicts.offers[k]
            key = terms.offer_group[o] if cap["scope"] == 3 else o
            if key < 0 or not verdicts.seen[key]:
                continue
            for j in range(verdicts.size[1]):
                t = verdicts.timings[j]
                close(terms, c, t, k, cap["limit"] - verdicts.counted[key, t], adds, verdicts)
        for k in range(named):
            verdicts.seen[verdicts.named[k]] = False


@kernel
def judge_group(terms: Terms, recent: Recent, spot: Spot, group: int, verdicts: Verdicts) -> None:
    """Bring the verdicts on a group's offers up to date after one of them was picked."""
    for c in range(terms.caps.shape[0]):
        cap = terms.caps[c]
        if cap["scope"] != 3 or group < 0 or not terms.keys[c, group]:
            continue
        n = units_of(recent, 3, group, cap["counts"])
        for j in range(verdicts.size[1]):
            t = verdicts.timings[j]
            left = cap["limit"] - used(recent, n, terms, c, spot, t)
            if left > 0:
                continue
            for k in range(verdicts.size[0]):
                if terms.offer_group[verdicts.offers[k]] == group:
                    close(terms, c, t, k, left, 0, verdicts)
