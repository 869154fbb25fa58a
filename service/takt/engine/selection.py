"""Select, slot by slot, for a whole batch: judge, score, draw, and take the contact into the ledger at hand.

Kernels, because each pick changes what the next slot may get: caps, duplicates, and the next request of the same
person. What they compose is in `takt.policy`, `takt.arbitration` and `takt.exploration`; what they read and write is
laid out in `takt.engine.arrays`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from takt.arbitration.score import total
from takt.domain.reasons import Reason
from takt.engine.arrays import (
    SILENCE,
    Asked,
    Bools,
    Dials,
    Ints,
    Octets,
    Picked,
    Scratch,
    Shelf,
    Singles,
    Table,
    Tables,
    Valued,
)
from takt.exploration.distributions import draw, keep_floor, spread
from takt.exploration.draws import uniform
from takt.kernel import entry, kernel
from takt.policy.contacts import Contacts
from takt.policy.judging import (
    PLENTY,
    Own,
    Spot,
    Terms,
    Verdicts,
    judge_group,
    judge_offers,
    judge_timings,
    matters_since,
    refuse_offer,
)
from takt.policy.pressure import pressure
from takt.policy.recent import recall, remember

# Kernels take plain numbers as constants.
NOT_FOR_PLACEMENT: Final = int(Reason.NOT_FOR_PLACEMENT)
FORM_OF_ADDRESS: Final = int(Reason.FORM_OF_ADDRESS)
NO_TREATMENT: Final = int(Reason.NO_TREATMENT)
TIMING_NOT_ALLOWED: Final = int(Reason.TIMING_NOT_ALLOWED)
CAP_TOTAL: Final = int(Reason.CAP_TOTAL)
DUPLICATE: Final = int(Reason.DUPLICATE)
BELOW_SILENCE: Final = int(Reason.BELOW_SILENCE)
OUTRANKED: Final = int(Reason.OUTRANKED)
NOT_DRAWN: Final = int(Reason.NOT_DRAWN)


@kernel
def along(size: int, index: int) -> int:
    """Where an index stands on an axis of a model's answer: one of size 1 stands for every index."""
    return index if size > 1 else 0


@kernel
def at(array: Singles, q: int, t: int, n: int, o: int) -> float:
    """An element of a model's answer whose axes of size 1 stand for every index."""
    a, b, c, d = array.shape
    return float(array[along(a, q), along(b, t), along(c, n), along(d, o)])


@kernel
def arm_total(valued: Valued, shelf: Shelf, dials: Dials, q: int, h: int, t: int, n: int, o: int) -> float:
    """Total of one offer with one arm on row `q` of channel `h`."""
    column = valued.column[o]
    value = at(valued.model_value, q, t, n, column)
    if np.isnan(value):
        value = valued.value[q, o]
    reaction = at(valued.reaction, q, t, n, column)
    if np.isnan(reaction):
        reaction = valued.pressure[q, t]
    return total(
        at(valued.acceptance, q, t, n, column),
        dials.exponent,
        at(valued.baseline, q, t, n, column),
        value,
        valued.weight[q, o],
        shelf.lever[o],
        dials.annoyance_cost,
        reaction,
        shelf.contact_cost[h],
    )


@kernel
def spot_of(asked: Asked, tables: Tables, shelf: Shelf, r: int, s: int, advised: bool, moments: Table) -> Spot:
    """Where and when spot `s` of request `r` is judged; `moments` [T] is filled.

    If moments may be `advised`, slots that the caller allows are judged even where the placement cannot deliver them.
    """
    request = asked.requests[r]
    z = request["zone"]
    now_us = request["now_us"]
    p = asked.spots[s]["placement"]
    h = shelf.placements[p]["channel"]
    for t in range(moments.shape[0]):
        moment = moments[t]
        moment_us = max(tables.not_before_us[z, t], now_us)
        not_after_us = tables.not_after_us[z, t]
        moment["time_us"] = moment_us
        moment["not_after_us"] = moment_us - not_after_us if not_after_us < 0 else not_after_us
        moment["open"] = tables.open[z, t]
        moment["quiet"] = tables.quiet[z, h, t]
        moment["here"] = asked.timings[r, t] and shelf.placement_timings[p, t]
        moment["judged"] = moment["here"] or (advised and asked.timings[r, t])
    return Spot(request["decision"], h, p, now_us, moments, tables.window_us[z], request["known_us"])


@kernel
def press(
    asked: Asked,
    tables: Tables,
    shelf: Shelf,
    dials: Dials,
    valued: Valued,
    contacts: Contacts,
    first: int,
    end: int,
    r: int,
) -> None:
    """Write the pressure on every row of request `r`, before anything is picked for it."""
    if dials.half_life_us <= 0.0:
        return
    request = asked.requests[r]
    known = -1
    for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
        q = asked.spots[s]["row"]
        if q <= known:
            continue  # rows are numbered as their first spots come
        for t in range(valued.pressure.shape[1]):
            if known >= 0 and not dials.own_channel:
                valued.pressure[q, t] = valued.pressure[known, t]
                continue
            valued.pressure[q, t] = pressure(
                contacts,
                first,
                end,
                shelf.placements[asked.spots[s]["placement"]]["channel"] if dials.own_channel else -1,
                max(tables.not_before_us[request["zone"], t], request["now_us"]),
                dials.half_life_us,
                dials.per_contact,
                dials.per_dismissal,
            )
        known = q


@kernel
def line_up(asked: Asked, shelf: Shelf, valued: Valued, r: int, s: int, scratch: Scratch, picked: Picked) -> None:
    """List the offers that can be in this spot if policy allows; write to the spot's cells why the others cannot.

    The first reason in the order of judgement is told.
    """
    request = asked.requests[r]
    p = asked.spots[s]["placement"]
    q = asked.spots[s]["row"]
    h = shelf.placements[p]["channel"]
    address = request["address"]
    locale = request["locale"]
    n = 0
    for o in range(scratch.taken.shape[0]):
        if not shelf.placement_offers[p, o]:
            reason = NOT_FOR_PLACEMENT
        elif valued.excluded[q, o] != 0:
            reason = int(valued.excluded[q, o])
        else:
            reason = FORM_OF_ADDRESS if shelf.address_blocked[h, address, o] else NO_TREATMENT
            for tone in range(shelf.treatment_of.shape[3]):
                if shelf.treatment_of[h, address, locale, tone, o] >= 0 and shelf.placement_tonalities[p, tone]:
                    reason = DUPLICATE if request["distinct"] and scratch.taken[o] else 0
                    scratch.first_tonality[o] = tone
                    break
        cell = picked.cells[s, o]
        cell["reason"] = reason
        cell["cap"] = -1
        cell["total"] = np.nan
        if reason == 0:
            scratch.verdicts.offers[n] = o
            n += 1
    scratch.verdicts.size[0] = n


@kernel
def judge_totals(asked: Asked, terms: Terms, spot: Spot, r: int, verdicts: Verdicts) -> None:
    """Close the offers for which request `r` has no token."""
    totals = asked.totals
    z = asked.requests[r]["zone"]
    for k in range(totals.caps.shape[0]):
        for j in range(verdicts.size[1]):
            t = verdicts.timings[j]
            w = totals.pool[z, k, t]
            if w < 0 or totals.left[r, w] > 0:
                continue
            for i in range(verdicts.size[0]):
                if totals.cover[k, spot.channel, verdicts.offers[i]]:
                    refuse_offer(terms, verdicts, t, i, CAP_TOTAL, totals.caps[k])


@kernel
def judge(
    asked: Asked,
    tables: Tables,
    shelf: Shelf,
    valued: Valued,
    terms: Terms,
    contacts: Contacts,
    first: int,
    end: int,
    r: int,
    s: int,
    own: Own,
    advised: bool,
    scratch: Scratch,
    picked: Picked,
) -> Spot:
    """Judge every offer and timing of a spot on the ledger as it stands."""
    spot = spot_of(asked, tables, shelf, r, s, advised, scratch.moments)
    line_up(asked, shelf, valued, r, s, scratch, picked)
    judge_timings(terms, contacts, first, end, scratch.recent, spot, own, scratch.verdicts)
    judge_offers(terms, contacts, scratch.recent, spot, own, scratch.verdicts)
    judge_totals(asked, terms, spot, r, scratch.verdicts)
    return spot


@kernel
def take_tokens(asked: Asked, spot: Spot, r: int, o: int, t: int) -> None:
    """Count down what request `r` has left, for one contact."""
    totals = asked.totals
    z = asked.requests[r]["zone"]
    for k in range(totals.caps.shape[0]):
        if totals.cover[k, spot.channel, o]:
            totals.left[r, totals.pool[z, k, t]] -= 1


@kernel
def most_of_own(asked: Asked, shelf: Shelf, g: int, scratch: Scratch) -> Own:
    """The most that the requests of a group might add to any count, whatever is drawn."""
    by_channel = scratch.own_channel
    by_placement = scratch.own_placement
    by_channel[:] = 0
    by_placement[:] = 0
    entries = 0
    spots = 0
    for r in range(asked.group_first[g], asked.group_first[g + 1]):
        scratch.deliverable[:] = False
        for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
            p = asked.spots[s]["placement"]
            moments = 0
            for t in range(asked.timings.shape[1]):
                if shelf.placement_timings[p, t] and asked.timings[r, t]:
                    scratch.deliverable[shelf.placements[p]["channel"], t] = True
                    moments += 1
            by_placement[p] += min(moments, asked.spots[s]["slots"])
            entries += asked.spots[s]["slots"]
            spots += 1
        for h in range(by_channel.shape[0]):
            for t in range(asked.timings.shape[1]):
                by_channel[h] += scratch.deliverable[h, t]
    occasions = 0
    for h in range(by_channel.shape[0]):
        occasions += by_channel[h]
    return Own(occasions, by_channel, by_placement, entries, spots)


@kernel
def same_moment(asked: Asked, r: int, other: int) -> bool:
    """Whether two requests are asked at one time in one zone, so that a ledger means the same to both."""
    return bool(
        asked.requests[r]["now_us"] == asked.requests[other]["now_us"]
        and asked.requests[r]["zone"] == asked.requests[other]["zone"]
    )


@kernel
def recall_for(
    asked: Asked, tables: Tables, terms: Terms, contacts: Contacts, first: int, end: int, r: int, scratch: Scratch
) -> None:
    """Have the ledger at hand as request `r` sees it."""
    request = asked.requests[r]
    since_us = matters_since(terms, tables.window_us[request["zone"]], request["now_us"])
    recall(contacts, first, end, since_us, request["now_us"], scratch.recent)


@kernel
def least_room(reasons: Octets, rooms: Ints, count: int) -> int:
    """The least room among the first `count` offers that are allowed; more than `PLENTY` if none is."""
    least = PLENTY + 1
    for i in range(count):
        least = min(least, rooms[i] if reasons[i] == 0 else PLENTY + 1)
    return least


@kernel
def group_slack(
    asked: Asked,
    tables: Tables,
    shelf: Shelf,
    valued: Valued,
    terms: Terms,
    contacts: Contacts,
    first: int,
    end: int,
    g: int,
    scratch: Scratch,
    picked: Picked,
) -> Spot:
    """Find the smallest room of all caps that could apply to any live candidate of a group, on the ledger as read.

    A function of the snapshot, never of a draw; what the whole group might add is taken off beforehand. Writes
    `picked.slack`, and `picked.live` of the group's requests. Goes backwards, so that the group's first spot, which is
    returned, is left judged.
    """
    own = most_of_own(asked, shelf, g, scratch)
    verdicts = scratch.verdicts
    slack = PLENTY
    scratch.taken[:] = False
    begin = asked.group_first[g]
    r = asked.group_first[g + 1] - 1
    recall_for(asked, tables, terms, contacts, first, end, r, scratch)
    picked.live[r] = False
    s = asked.first_spot[r + 1] - 1
    while True:
        advised = r == begin and s == asked.first_spot[r]
        spot = judge(asked, tables, shelf, valued, terms, contacts, first, end, r, s, own, advised, scratch, picked)
        for j in range(verdicts.size[2]):
            t = verdicts.open[j]
            least = least_room(verdicts.reason[t], verdicts.room[t], verdicts.size[0])
            if least <= PLENTY:
                picked.live[r] = True
                slack = min(slack, verdicts.timing[t]["room"], least)
        if s > asked.first_spot[r]:
            s -= 1
        elif r > begin:
            r -= 1
            s = asked.first_spot[r + 1] - 1
            picked.live[r] = False
            if not same_moment(asked, r, r + 1):
                recall_for(asked, tables, terms, contacts, first, end, r, scratch)
        else:
            picked.slack[g] = slack
            return spot


@kernel
def look_up(valued: Valued, shelf: Shelf, q: int, treatments: Ints, unknown: int, scratch: Scratch) -> None:
    """Put side by side what the totals of the first `unknown` offers of `scratch.unknown` are reckoned from on row `q`.

    `treatments` is int64 [N, O].
    """
    for i in range(unknown):
        o = scratch.unknown[i]
        scratch.column[i] = valued.column[o]
        scratch.value[i] = valued.value[q, o]
        scratch.weight[i] = valued.weight[q, o]
        scratch.lever[i] = shelf.lever[o]
        for n in range(treatments.shape[0]):
            scratch.shown[n, i] = treatments[n, o] >= 0 and n >= scratch.first_tonality[o]


@kernel
def weigh_arm(
    valued: Valued, shelf: Shelf, dials: Dials, q: int, h: int, t: int, n: int, unknown: int, scratch: Scratch
) -> None:
    """Reckon the totals of tonality `n` at timing `t` for offers that are looked up, and keep those that are better.

    As `arm_total` for each. Selects instead of branches where only acceptances differ from offer to offer, as for most
    models, so that several offers are reckoned at once.
    """
    shape = valued.acceptance.shape
    acceptances = valued.acceptance[along(shape[0], q), along(shape[1], t), along(shape[2], n)]
    shape = valued.baseline.shape
    baselines = valued.baseline[along(shape[0], q), along(shape[1], t), along(shape[2], n)]
    shape = valued.reaction.shape
    reactions = valued.reaction[along(shape[0], q), along(shape[1], t), along(shape[2], n)]
    shape = valued.model_value.shape
    model_values = valued.model_value[along(shape[0], q), along(shape[1], t), along(shape[2], n)]
    pressure_here = valued.pressure[q, t]
    cost = shelf.contact_cost[h]
    shown, highest, tonality = scratch.shown[n], scratch.highest, scratch.highest_tonality
    # 0 where one element stands for every column
    of_acceptance = min(acceptances.shape[0] - 1, 1)
    if baselines.shape[0] + reactions.shape[0] + model_values.shape[0] == 3 and dials.exponent == 1.0:
        reaction = pressure_here if np.isnan(reactions[0]) else float(reactions[0])
        is_valued = not np.isnan(model_values[0])
        for i in range(unknown):
            score = total(
                float(acceptances[scratch.column[i] * of_acceptance]),
                1.0,
                float(baselines[0]),
                float(model_values[0]) if is_valued else scratch.value[i],
                scratch.weight[i],
                scratch.lever[i],
                dials.annoyance_cost,
                reaction,
                cost,
            )
            better = shown[i] & (score > highest[i])
            highest[i] = score if better else highest[i]
            tonality[i] = n if better else tonality[i]
        return
    of_baseline, of_reaction = min(baselines.shape[0] - 1, 1), min(reactions.shape[0] - 1, 1)
    of_value = min(model_values.shape[0] - 1, 1)
    for i in range(unknown):
        if not shown[i]:
            continue
        column = scratch.column[i]
        value = float(model_values[column * of_value])
        reaction = float(reactions[column * of_reaction])
        score = total(
            float(acceptances[column * of_acceptance]),
            dials.exponent,
            float(baselines[column * of_baseline]),
            scratch.value[i] if np.isnan(value) else value,
            scratch.weight[i],
            scratch.lever[i],
            dials.annoyance_cost,
            pressure_here if np.isnan(reaction) else reaction,
            cost,
        )
        if score > highest[i]:
            highest[i] = score
            tonality[i] = n


@kernel
def same(some: Bools, others: Bools) -> bool:
    """Whether two rows of flags are alike."""
    alike = True
    for n in range(some.shape[0]):
        alike = alike and some[n] == others[n]
    return alike


@kernel
def weigh(
    asked: Asked, shelf: Shelf, dials: Dials, valued: Valued, r: int, s: int, spot: Spot, scratch: Scratch
) -> None:
    """Find the best tonality of every offer at every timing that is allowed. Ties go to the earlier.

    What was found for another spot of the same row that can have the same tonalities holds here as well.
    """
    request = asked.requests[r]
    q = asked.spots[s]["row"]
    h = spot.channel
    treatments = shelf.treatment_of[h, request["address"], request["locale"]]
    verdicts = scratch.verdicts
    tonalities = shelf.placement_tonalities[spot.placement]
    if scratch.weighed_for[0] != q or not same(tonalities, shelf.placement_tonalities[scratch.weighed_for[1]]):
        scratch.best[:] = np.nan
        scratch.weighed_for[0] = q
        scratch.weighed_for[1] = spot.placement
    looked_up = -1
    for j in range(verdicts.size[1]):
        t = verdicts.timings[j]
        if scratch.weighed[t] or verdicts.timing[t]["reason"] != 0:
            continue
        scratch.weighed[t] = True
        unknown = 0
        changed = False
        for i in range(verdicts.size[0]):
            o = verdicts.offers[i]
            if np.isnan(scratch.best[t, o]):
                changed = changed or looked_up <= unknown or scratch.unknown[unknown] != o
                scratch.unknown[unknown] = o
                scratch.highest[unknown] = -np.inf
                scratch.highest_tonality[unknown] = -1
                unknown += 1
        if changed:  # as a rule the offers are those of the timing before
            look_up(valued, shelf, q, treatments, unknown, scratch)
            looked_up = unknown
        for n in range(tonalities.shape[0]):
            if tonalities[n] and unknown > 0:
                weigh_arm(valued, shelf, dials, q, h, t, n, unknown, scratch)
        for i in range(unknown):
            scratch.best[t, scratch.unknown[i]] = scratch.highest[i]
            scratch.tonality[t, scratch.unknown[i]] = scratch.highest_tonality[i]
        for i in range(verdicts.size[0]):
            scratch.totals[t, i] = scratch.best[t, verdicts.offers[i]]


@kernel
def find_tops(scratch: Scratch) -> None:
    """Find the best total of the offer at each place, and its timing, among those that caller, placement, policy allow.

    Ties go to the earlier. Selects instead of branches, so that it is done for several places at once.
    """
    verdicts = scratch.verdicts
    count = verdicts.size[0]
    tops, timings = scratch.tops, scratch.top_timings
    for i in range(count):
        tops[i] = -np.inf
        timings[i] = -1
    for j in range(verdicts.size[2]):
        t = verdicts.open[j]
        reasons, totals = verdicts.reason[t], scratch.totals[t]
        for i in range(count):
            better = (reasons[i] == 0) & ((timings[i] < 0) | (totals[i] > tops[i]))
            tops[i] = totals[i] if better else tops[i]
            timings[i] = t if better else timings[i]


@kernel
def muster(scratch: Scratch) -> int:
    """Line up what the next draw is among: silence first, then the place of every offer that is live, with its top.

    Returns how many. An offer is live at a timing that caller, placement and policy allow.
    """
    scratch.choices[0] = SILENCE
    scratch.scores[0] = 0.0
    count = 1
    for i in range(scratch.verdicts.size[0]):
        if scratch.top_timings[i] >= 0 and not scratch.here[i]:
            scratch.choices[count] = i
            scratch.scores[count] = scratch.tops[i]
            count += 1
    return count


@kernel
def shut(spot: Spot, t: int, i: int, verdicts: Verdicts) -> tuple[int, int]:
    """Why the offer at place `i` cannot be had at timing `t`, and the cap behind it or -1; reason 0 if it can."""
    if not spot.moments[t]["here"]:
        return TIMING_NOT_ALLOWED, -1
    reason = int(verdicts.reason[t, i])
    verdict = verdicts.timing[t]
    if reason != 0 and (verdict["reason"] == 0 or reason < verdict["reason"]):
        return reason, int(verdicts.cap[t, i])
    return verdict["reason"], verdict["cap"]


@kernel
def furthest(spot: Spot, i: int, verdicts: Verdicts) -> tuple[int, int]:
    """Why an offer is out that no timing is open to, and the cap behind it: the reason that came furthest."""
    last, cap = 0, -1
    for t in range(spot.moments.shape[0]):
        reason, by = shut(spot, t, i, verdicts)
        if reason > last:
            last, cap = reason, by
    return last, cap


@kernel
def close_off(spot: Spot, s: int, scratch: Scratch, picked: Picked) -> None:
    """Tell of offers that were allowed at first, and that earlier picks of the same spot have shut out since."""
    verdicts = scratch.verdicts
    for i in range(verdicts.size[0]):
        if scratch.top_timings[i] >= 0:
            continue
        cell = picked.cells[s, verdicts.offers[i]]
        if cell["reason"] == OUTRANKED:
            cell["reason"], cell["cap"] = furthest(spot, i, verdicts)


@kernel
def explain(spot: Spot, s: int, scratch: Scratch, picked: Picked) -> None:
    """Write to the spot's cells, before the first draw, why each offer is out, or the arm it is in with."""
    verdicts = scratch.verdicts
    for i in range(verdicts.size[0]):
        o = verdicts.offers[i]
        cell = picked.cells[s, o]
        t = scratch.top_timings[i]
        if t < 0:
            cell["reason"], cell["cap"] = furthest(spot, i, verdicts)
            continue
        cell["reason"] = OUTRANKED if scratch.tops[i] > 0.0 else BELOW_SILENCE
        cell["total"] = scratch.tops[i]
        cell["timing"] = t
        cell["tonality"] = scratch.tonality[t, o]


@kernel
def advise(spot: Spot, s: int, count: int, scratch: Scratch, picked: Picked) -> None:
    """Note the best moment that caller and policy allow but this placement cannot deliver, if it beats all it can.

    From then on only what the placement can deliver is judged.
    """
    verdicts = scratch.verdicts
    best = 0.0
    for i in range(count):
        best = max(best, scratch.scores[i])
    result = picked.results[s]
    for t in range(spot.moments.shape[0]):
        moment = spot.moments[t]
        elsewhere = moment["judged"] and not moment["here"]
        moment["judged"] = moment["here"]
        if not elsewhere or verdicts.timing[t]["reason"] != 0:
            continue
        for i in range(verdicts.size[0]):
            if verdicts.reason[t, i] == 0 and scratch.totals[t, i] > best:
                best = scratch.totals[t, i]
                result["advice_offer"] = verdicts.offers[i]
                result["advice_timing"] = t
                result["advice_total"] = best


@kernel
def muster_arms(
    asked: Asked, shelf: Shelf, dials: Dials, valued: Valued, r: int, s: int, spot: Spot, i: int, scratch: Scratch
) -> int:
    """Line up the arms of an offer: every timing that is allowed with every tonality that has a treatment."""
    request = asked.requests[r]
    q = asked.spots[s]["row"]
    n_tonalities = shelf.placement_tonalities.shape[1]
    verdicts = scratch.verdicts
    o = verdicts.offers[i]
    count = 0
    for j in range(verdicts.size[2]):
        t = verdicts.open[j]
        if verdicts.reason[t, i] != 0:
            continue
        for n in range(n_tonalities):
            treatment = shelf.treatment_of[spot.channel, request["address"], request["locale"], n, o]
            if treatment >= 0 and shelf.placement_tonalities[spot.placement, n]:
                scratch.choices[count] = t * n_tonalities + n
                scratch.scores[count] = arm_total(valued, shelf, dials, q, spot.channel, t, n, o)
                count += 1
    return count


@kernel
def take(terms: Terms, shelf: Shelf, spot: Spot, o: int, t: int, entry: np.void) -> None:
    """Write a contact: held from its moment until its placement's hold time after the slot, in whole seconds."""
    moment = spot.moments[t]
    seconds = (moment["not_after_us"] - moment["time_us"] + shelf.placements[spot.placement]["hold_us"]) // 1_000_000
    entry["time_us"] = moment["time_us"]
    entry["ends_us"] = moment["time_us"] + seconds * 1_000_000
    entry["decision"] = spot.decision
    entry["offer"] = o
    entry["group"] = terms.offer_group[o]
    entry["channel"] = spot.channel
    entry["placement"] = spot.placement
    entry["state"] = 0


@kernel
def mark_undrawn(verdicts: Verdicts, picked: Picked, s: int, slots: int) -> None:
    """Tell candidates that were outranked from those that scored high enough, had the draw not fallen otherwise."""
    lowest = np.inf
    filled = 0
    for k in range(slots):
        o = picked.picks[s, k]["offer"]
        if o >= 0:
            filled += 1
            lowest = min(lowest, picked.cells[s, o]["total"])
    for i in range(verdicts.size[0]):
        cell = picked.cells[s, verdicts.offers[i]]
        if cell["reason"] == OUTRANKED and (filled < slots or cell["total"] > lowest):
            cell["reason"] = NOT_DRAWN


@kernel
def fill_spot(
    asked: Asked,
    shelf: Shelf,
    dials: Dials,
    valued: Valued,
    terms: Terms,
    contacts: Contacts,
    first: int,
    end: int,
    r: int,
    s: int,
    spot: Spot,
    nobody: Own,
    scratch: Scratch,
    picked: Picked,
) -> int:
    """Fill the slots of a spot that is judged, one after the other, until silence is drawn or nothing is left.

    Contacts are appended at `end`, whose new value is returned.
    """
    seed = asked.requests[r]["seed"]
    code = shelf.placements[spot.placement]["code"]
    slots = asked.spots[s]["slots"]
    n_tonalities = shelf.placement_tonalities.shape[1]
    scratch.here[:] = False
    scratch.weighed[:] = False
    for k in range(slots):
        weigh(asked, shelf, dials, valued, r, s, spot, scratch)
        find_tops(scratch)
        count = muster(scratch)
        if k == 0:
            explain(spot, s, scratch, picked)
            advise(spot, s, count, scratch, picked)
        else:
            close_off(spot, s, scratch, picked)
        if count == 1:
            break
        pick = picked.picks[s, k]
        spread(dials.rule, dials.epsilon, dials.temperature, dials.gamma, scratch.scores, count, scratch.chances)
        keep_floor(dials.silence_floor, count, scratch.chances)
        pick["offer_draw"] = uniform(seed, code, k, 0)
        chosen = draw(scratch.chances, count, pick["offer_draw"])
        place = scratch.choices[chosen]
        o = SILENCE if place == SILENCE else scratch.verdicts.offers[place]
        pick["offer"] = o
        pick["offer_propensity"] = scratch.chances[chosen]
        picked.results[s]["silence_propensity"] = scratch.chances[0]
        if o == SILENCE:
            break
        count = muster_arms(asked, shelf, dials, valued, r, s, spot, place, scratch)
        spread(
            dials.arm_rule,
            dials.arm_epsilon,
            dials.arm_temperature,
            dials.arm_gamma,
            scratch.scores,
            count,
            scratch.chances,
        )
        pick["arm_draw"] = uniform(seed, code, k, 1)
        chosen = draw(scratch.chances, count, pick["arm_draw"])
        pick["timing"] = scratch.choices[chosen] // n_tonalities
        pick["tonality"] = scratch.choices[chosen] % n_tonalities
        pick["arm_propensity"] = scratch.chances[chosen]
        take(terms, shelf, spot, o, pick["timing"], contacts[end])
        take_tokens(asked, spot, r, o, pick["timing"])
        remember(contacts, first, end, spot.now_us, scratch.recent)
        end += 1
        picked.cells[s, o]["reason"] = 0
        scratch.taken[o] = True
        scratch.here[place] = True
        if k + 1 < slots:
            judge_timings(terms, contacts, first, end, scratch.recent, spot, nobody, scratch.verdicts)
            judge_group(terms, scratch.recent, spot, terms.offer_group[o], scratch.verdicts)
            judge_totals(asked, terms, spot, r, scratch.verdicts)
    mark_undrawn(scratch.verdicts, picked, s, slots)
    return end


@entry
def select(
    asked: Asked,
    tables: Tables,
    shelf: Shelf,
    dials: Dials,
    valued: Valued,
    terms: Terms,
    contacts: Contacts,
    ledger_first: Ints,
    ledger_end: Ints,
    scratch: Scratch,
    picked: Picked,
) -> None:
    """Decide every request of a batch in order and fill `picked`.

    The ledger of group g is `contacts[ledger_first[g]:ledger_end[g]]`, with room behind it for the group's slots; picks
    are appended there, and `ledger_end` is moved.
    """
    nobody = Own(0, scratch.none, scratch.none, 0, 0)
    for g in range(ledger_first.shape[0]):
        first = ledger_first[g]
        end = ledger_end[g]
        begin = asked.group_first[g]
        spot = group_slack(asked, tables, shelf, valued, terms, contacts, first, end, g, scratch, picked)
        for r in range(begin, asked.group_first[g + 1]):
            scratch.taken[:] = False
            scratch.weighed_for[0] = -1
            press(asked, tables, shelf, dials, valued, contacts, first, end, r)
            if r > begin and not same_moment(asked, r - 1, r):
                recall_for(asked, tables, terms, contacts, first, end, r, scratch)
            for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
                if s > asked.first_spot[begin]:
                    spot = judge(
                        asked, tables, shelf, valued, terms, contacts, first, end, r, s, nobody, True, scratch, picked
                    )
                end = fill_spot(
                    asked, shelf, dials, valued, terms, contacts, first, end, r, s, spot, nobody, scratch, picked
                )
        ledger_end[g] = end
