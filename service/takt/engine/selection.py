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
from takt.kernel import kernel
from takt.policy.contacts import Contacts
from takt.policy.judging import PLENTY, Own, Spot, Terms, Verdicts, judge_offers, judge_timings, refuse
from takt.policy.pressure import pressure

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
def at(array: Singles, q: int, t: int, n: int, o: int) -> float:
    """An element of a model's answer whose axes of size 1 stand for every index."""
    a, b, c, d = array.shape
    return float(array[q if a > 1 else 0, t if b > 1 else 0, n if c > 1 else 0, o if d > 1 else 0])


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
def spot_of(asked: Asked, tables: Tables, shelf: Shelf, r: int, s: int, moments: Table) -> Spot:
    """Where and when spot `s` of request `r` is judged; `moments` [T] is filled."""
    request = asked.requests[r]
    z = request["zone"]
    p = asked.spots[s]["placement"]
    h = shelf.placements[p]["channel"]
    for t in range(moments.shape[0]):
        moment_us = max(tables.not_before_us[z, t], request["now_us"])
        not_after_us = tables.not_after_us[z, t]
        moments[t]["time_us"] = moment_us
        moments[t]["not_after_us"] = moment_us - not_after_us if not_after_us < 0 else not_after_us
        moments[t]["open"] = tables.open[z, t]
        moments[t]["quiet"] = tables.quiet[z, h, t]
    return Spot(request["decision"], h, p, request["now_us"], moments, tables.window_us[z])


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
    scratch: Scratch,
) -> None:
    """Write the pressure on every row of request `r`, before anything is picked for it."""
    if dials.half_life_us <= 0.0:
        return
    for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
        spot = spot_of(asked, tables, shelf, r, s, scratch.moments)
        for t in range(scratch.moments.shape[0]):
            valued.pressure[asked.spots[s]["row"], t] = pressure(
                contacts,
                first,
                end,
                spot.channel if dials.own_channel else -1,
                scratch.moments[t]["time_us"],
                dials.half_life_us,
                dials.per_contact,
                dials.per_dismissal,
            )


@kernel
def exclude(asked: Asked, shelf: Shelf, valued: Valued, r: int, s: int, scratch: Scratch) -> None:
    """Note why an offer cannot be in this spot whatever its timing, in the order of judgement, or 0."""
    request = asked.requests[r]
    p = asked.spots[s]["placement"]
    q = asked.spots[s]["row"]
    h = shelf.placements[p]["channel"]
    treatments = shelf.treatment_of[h, request["address"], request["locale"]]
    reason = scratch.reason
    for o in range(reason.shape[0]):
        if not shelf.placement_offers[p, o]:
            reason[o] = NOT_FOR_PLACEMENT
            continue
        if valued.excluded[q, o] != 0:
            reason[o] = valued.excluded[q, o]
            continue
        reason[o] = FORM_OF_ADDRESS if shelf.address_blocked[h, request["address"], o] else NO_TREATMENT
        for n in range(treatments.shape[0]):
            if treatments[n, o] >= 0 and shelf.placement_tonalities[p, n]:
                reason[o] = DUPLICATE if request["distinct"] and scratch.taken[o] else 0
                break


@kernel
def most_of_own(asked: Asked, shelf: Shelf, g: int) -> Own:
    """The most that the requests of a group might add to any count, whatever is drawn."""
    n_channels = shelf.contact_cost.shape[0]
    n_timings = asked.timings.shape[1]
    by_channel = np.zeros(n_channels, np.int64)
    by_placement = np.zeros(shelf.placements.shape[0], np.int64)
    entries = 0
    spots = 0
    for r in range(asked.group_first[g], asked.group_first[g + 1]):
        deliverable = np.zeros((n_channels, n_timings), np.bool_)
        for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
            p = asked.spots[s]["placement"]
            moments = 0
            for t in range(n_timings):
                if shelf.placement_timings[p, t] and asked.timings[r, t]:
                    deliverable[shelf.placements[p]["channel"], t] = True
                    moments += 1
            by_placement[p] += min(moments, asked.spots[s]["slots"])
            entries += asked.spots[s]["slots"]
            spots += 1
        for h in range(n_channels):
            by_channel[h] += np.sum(deliverable[h])
    return Own(int(np.sum(by_channel)), by_channel, by_placement, entries, spots)


@kernel
def judge_totals(asked: Asked, spot: Spot, r: int, verdicts: Verdicts) -> None:
    """Close the offers for which request `r` has no token, after `judge_offers`."""
    totals = asked.totals
    z = asked.requests[r]["zone"]
    for k in range(totals.caps.shape[0]):
        for t in range(verdicts.offer.shape[0]):
            w = totals.pool[z, k, t]
            if w < 0 or totals.left[r, w] > 0:
                continue
            for o in range(verdicts.offer.shape[1]):
                if totals.cover[k, spot.channel, o]:
                    refuse(verdicts.offer[t, o], CAP_TOTAL, totals.caps[k])


@kernel
def take_tokens(asked: Asked, spot: Spot, r: int, o: int, t: int) -> None:
    """Count down what request `r` has left, for one contact."""
    totals = asked.totals
    z = asked.requests[r]["zone"]
    for k in range(totals.caps.shape[0]):
        if totals.cover[k, spot.channel, o]:
            totals.left[r, totals.pool[z, k, t]] -= 1


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
    live: Bools,
) -> int:
    """The smallest room of all caps that could apply to any live candidate of a group, on the ledger as it was read.

    A function of the snapshot, never of a draw; what the whole group might add is taken off beforehand. `live` is
    written for the group's requests.
    """
    own = most_of_own(asked, shelf, g)
    verdicts = scratch.verdicts
    slack = PLENTY
    scratch.taken[:] = False
    for r in range(asked.group_first[g], asked.group_first[g + 1]):
        live[r] = False
        for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
            spot = spot_of(asked, tables, shelf, r, s, scratch.moments)
            judge_timings(terms, contacts, first, end, spot, own, verdicts)
            judge_offers(terms, contacts, first, end, spot, own, verdicts)
            judge_totals(asked, spot, r, verdicts)
            exclude(asked, shelf, valued, r, s, scratch)
            for t in range(verdicts.timing.shape[0]):
                if not (shelf.placement_timings[spot.placement, t] and asked.timings[r, t]):
                    continue
                if verdicts.timing[t]["reason"] != 0:
                    continue
                for o in range(scratch.reason.shape[0]):
                    if scratch.reason[o] == 0 and verdicts.offer[t, o]["reason"] == 0:
                        live[r] = True
                        slack = min(slack, verdicts.timing[t]["room"], verdicts.offer[t, o]["room"])
    return slack


@kernel
def weigh(asked: Asked, shelf: Shelf, dials: Dials, valued: Valued, r: int, s: int, scratch: Scratch) -> None:
    """Find the best tonality of every offer at every timing, if it is not excluded. Ties go to the earlier."""
    request = asked.requests[r]
    p = asked.spots[s]["placement"]
    q = asked.spots[s]["row"]
    h = shelf.placements[p]["channel"]
    treatments = shelf.treatment_of[h, request["address"], request["locale"]]
    for o in range(scratch.reason.shape[0]):
        if scratch.reason[o] != 0:
            continue
        for t in range(scratch.arms.shape[0]):
            arm = scratch.arms[t, o]
            arm["total"] = -np.inf
            arm["tonality"] = -1
            for n in range(treatments.shape[0]):
                if treatments[n, o] < 0 or not shelf.placement_tonalities[p, n]:
                    continue
                score = arm_total(valued, shelf, dials, q, h, t, n, o)
                if score > arm["total"]:
                    arm["total"] = score
                    arm["tonality"] = n


@kernel
def muster(asked: Asked, shelf: Shelf, r: int, s: int, scratch: Scratch) -> int:
    """Line up what the next draw is among: silence first, then every offer that is live, with its best arm's total.

    Returns how many. An offer is live at a timing that caller, placement and policy allow.
    """
    p = asked.spots[s]["placement"]
    verdicts = scratch.verdicts
    scratch.choices[0] = SILENCE
    scratch.scores[0] = 0.0
    count = 1
    for o in range(scratch.reason.shape[0]):
        if scratch.reason[o] != 0 or scratch.here[o]:
            continue
        best = -np.inf
        alive = False
        for t in range(scratch.arms.shape[0]):
            if not (shelf.placement_timings[p, t] and asked.timings[r, t]):
                continue
            if verdicts.timing[t]["reason"] == 0 and verdicts.offer[t, o]["reason"] == 0:
                alive = True
                best = max(best, scratch.arms[t, o]["total"])
        if alive:
            scratch.choices[count] = o
            scratch.scores[count] = best
            count += 1
    return count


@kernel
def shut(asked: Asked, shelf: Shelf, r: int, p: int, t: int, o: int, verdicts: Verdicts) -> tuple[int, int]:
    """Why offer `o` cannot be had at timing `t`, and the cap behind it or -1; reason 0 if it can."""
    if not (shelf.placement_timings[p, t] and asked.timings[r, t]):
        return TIMING_NOT_ALLOWED, -1
    verdict = verdicts.timing[t]
    single = verdicts.offer[t, o]
    if single["reason"] != 0 and (verdict["reason"] == 0 or single["reason"] < verdict["reason"]):
        verdict = single
    return verdict["reason"], verdict["cap"]


@kernel
def close_off(asked: Asked, shelf: Shelf, r: int, s: int, scratch: Scratch, picked: Picked) -> None:
    """Tell of offers that were allowed at first, and that earlier picks of the same spot have shut out since."""
    p = asked.spots[s]["placement"]
    for o in range(scratch.reason.shape[0]):
        cell = picked.cells[s, o]
        if cell["reason"] != OUTRANKED:
            continue
        furthest, cap = -1, -1
        for t in range(scratch.arms.shape[0]):
            reason, by = shut(asked, shelf, r, p, t, o, scratch.verdicts)
            if reason == 0:
                furthest = 0
                break
            if reason > furthest:
                furthest, cap = reason, by
        if furthest > 0:
            cell["reason"] = furthest
            cell["cap"] = cap


@kernel
def explain(asked: Asked, shelf: Shelf, r: int, s: int, scratch: Scratch, picked: Picked) -> None:
    """Write to the spot's cells, before the first draw, why each offer is out, or the arm it is in with.

    Where each timing has its own reason, that of the timing which came furthest is told.
    """
    p = asked.spots[s]["placement"]
    verdicts = scratch.verdicts
    for o in range(scratch.reason.shape[0]):
        cell = picked.cells[s, o]
        cell["reason"] = scratch.reason[o]
        cell["cap"] = -1
        cell["total"] = np.nan
        if scratch.reason[o] != 0:
            continue
        best = -np.inf
        best_timing = -1
        for t in range(scratch.arms.shape[0]):
            reason, by = shut(asked, shelf, r, p, t, o, verdicts)
            if reason == 0:
                if best_timing < 0 or scratch.arms[t, o]["total"] > best:
                    best = scratch.arms[t, o]["total"]
                    best_timing = t
            elif reason > cell["reason"]:
                cell["reason"] = reason
                cell["cap"] = by
        if best_timing >= 0:
            cell["reason"] = OUTRANKED if best > 0.0 else BELOW_SILENCE
            cell["cap"] = -1
            cell["total"] = best
            cell["timing"] = best_timing
            cell["tonality"] = scratch.arms[best_timing, o]["tonality"]


@kernel
def advise(asked: Asked, shelf: Shelf, r: int, s: int, count: int, scratch: Scratch, picked: Picked) -> None:
    """Note the best moment that caller and policy allow but this placement cannot deliver, if it beats all it can."""
    p = asked.spots[s]["placement"]
    best = 0.0
    for i in range(count):
        best = max(best, scratch.scores[i])
    result = picked.results[s]
    for t in range(scratch.arms.shape[0]):
        if shelf.placement_timings[p, t] or not asked.timings[r, t] or scratch.verdicts.timing[t]["reason"] != 0:
            continue
        for o in range(scratch.reason.shape[0]):
            if scratch.reason[o] != 0 or scratch.verdicts.offer[t, o]["reason"] != 0:
                continue
            if scratch.arms[t, o]["total"] > best:
                best = scratch.arms[t, o]["total"]
                result["advice_offer"] = o
                result["advice_timing"] = t
                result["advice_total"] = best


@kernel
def muster_arms(
    asked: Asked, shelf: Shelf, dials: Dials, valued: Valued, r: int, s: int, o: int, scratch: Scratch
) -> int:
    """Line up the arms of one offer: every timing that is allowed with every tonality that has a treatment."""
    request = asked.requests[r]
    p = asked.spots[s]["placement"]
    q = asked.spots[s]["row"]
    h = shelf.placements[p]["channel"]
    treatments = shelf.treatment_of[h, request["address"], request["locale"]]
    n_tonalities = treatments.shape[0]
    count = 0
    for t in range(scratch.arms.shape[0]):
        if not (shelf.placement_timings[p, t] and asked.timings[r, t]):
            continue
        if scratch.verdicts.timing[t]["reason"] != 0 or scratch.verdicts.offer[t, o]["reason"] != 0:
            continue
        for n in range(n_tonalities):
            if treatments[n, o] >= 0 and shelf.placement_tonalities[p, n]:
                scratch.choices[count] = t * n_tonalities + n
                scratch.scores[count] = arm_total(valued, shelf, dials, q, h, t, n, o)
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
def mark_undrawn(picked: Picked, s: int, slots: int) -> None:
    """Tell candidates that were outranked from those that scored high enough, had the draw not fallen otherwise."""
    lowest = np.inf
    filled = 0
    for k in range(slots):
        o = picked.picks[s, k]["offer"]
        if o >= 0:
            filled += 1
            lowest = min(lowest, picked.cells[s, o]["total"])
    for o in range(picked.cells.shape[1]):
        cell = picked.cells[s, o]
        if cell["reason"] == OUTRANKED and (filled < slots or cell["total"] > lowest):
            cell["reason"] = NOT_DRAWN


@kernel
def fill_spot(
    asked: Asked,
    tables: Tables,
    shelf: Shelf,
    dials: Dials,
    valued: Valued,
    terms: Terms,
    contacts: Contacts,
    first: int,
    end: int,
    r: int,
    s: int,
    nobody: Own,
    scratch: Scratch,
    picked: Picked,
) -> int:
    """Fill the slots of one spot, one after the other, until they are full, silence is drawn or nothing is left.

    Contacts are appended at `end`, whose new value is returned.
    """
    spot = spot_of(asked, tables, shelf, r, s, scratch.moments)
    seed = asked.requests[r]["seed"]
    code = shelf.placements[spot.placement]["code"]
    slots = asked.spots[s]["slots"]
    n_tonalities = shelf.placement_tonalities.shape[1]
    exclude(asked, shelf, valued, r, s, scratch)
    weigh(asked, shelf, dials, valued, r, s, scratch)
    scratch.here[:] = False
    for k in range(slots):
        judge_timings(terms, contacts, first, end, spot, nobody, scratch.verdicts)
        judge_offers(terms, contacts, first, end, spot, nobody, scratch.verdicts)
        judge_totals(asked, spot, r, scratch.verdicts)
        count = muster(asked, shelf, r, s, scratch)
        if k == 0:
            explain(asked, shelf, r, s, scratch, picked)
            advise(asked, shelf, r, s, count, scratch, picked)
        else:
            close_off(asked, shelf, r, s, scratch, picked)
        if count == 1:
            break
        pick = picked.picks[s, k]
        spread(dials.rule, dials.epsilon, dials.temperature, dials.gamma, scratch.scores, count, scratch.chances)
        keep_floor(dials.silence_floor, count, scratch.chances)
        pick["offer_draw"] = uniform(seed, code, k, 0)
        chosen = draw(scratch.chances, count, pick["offer_draw"])
        o = scratch.choices[chosen]
        pick["offer"] = o
        pick["offer_propensity"] = scratch.chances[chosen]
        picked.results[s]["silence_propensity"] = scratch.chances[0]
        if o == SILENCE:
            break
        count = muster_arms(asked, shelf, dials, valued, r, s, o, scratch)
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
        end += 1
        picked.cells[s, o]["reason"] = 0
        scratch.taken[o] = True
        scratch.here[o] = True
    mark_undrawn(picked, s, slots)
    return end


@kernel
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
    nobody = Own(
        0, np.zeros(shelf.contact_cost.shape[0], np.int64), np.zeros(shelf.placements.shape[0], np.int64), 0, 0
    )
    for g in range(ledger_first.shape[0]):
        first = ledger_first[g]
        end = ledger_end[g]
        picked.slack[g] = group_slack(
            asked, tables, shelf, valued, terms, contacts, first, end, g, scratch, picked.live
        )
        for r in range(asked.group_first[g], asked.group_first[g + 1]):
            scratch.taken[:] = False
            press(asked, tables, shelf, dials, valued, contacts, first, end, r, scratch)
            for s in range(asked.first_spot[r], asked.first_spot[r + 1]):
                end = fill_spot(
                    asked, tables, shelf, dials, valued, terms, contacts, first, end, r, s, nobody, scratch, picked
                )
        ledger_end[g] = end
