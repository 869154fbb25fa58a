"""From arrays to answers: what was picked, why the rest was not, and the trace that makes it replayable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from takt.arbitration.score import total
from takt.catalog.snapshot import Counts
from takt.domain.decision import (
    Candidate,
    Decision,
    Degradation,
    Exclusion,
    NextMoment,
    PlacementDecision,
    RankedOffer,
    Score,
    TimingWindow,
    Versions,
    decision_id,
)
from takt.domain.reasons import Cause, Reason, Status
from takt.domain.request import Explain
from takt.engine.arrays import PICK, SILENCE, UNDRAWN
from takt.engine.selection import at
from takt.features.reader import RowStatus
from takt.ports import SlotTrace, Trace

if TYPE_CHECKING:
    import numpy.typing as npt

    from takt.domain.request import DecideRequest
    from takt.engine.batch import Item
    from takt.engine.compute import Computed
    from takt.engine.force import Force

DETAILS = 1 << 16
"""More than there are caps or rules."""


def versions(force: Force, model: str, service: str) -> Versions:
    """What is in force, as the answer says it."""
    return Versions(
        catalog=force.catalog.version,
        model=model,
        features=f"{force.catalog.spec.layout_fingerprint:016x}",
        service=service,
    )


def score(computed: Computed, s: int, t: int, n: int, o: int) -> Score:
    """Every factor of one arm's score on spot `s`."""
    valued, dials, shelf = computed.valued, computed.force.dials, computed.force.shelf
    q = int(computed.layout.row[s])
    h = int(computed.layout.row_channel[q])
    column = int(valued.column[o])
    look = at.py_func  # type: ignore[attr-defined]  # the plain twin: a few look-ups are cheaper so
    acceptance = look(valued.acceptance, q, t, n, column)
    baseline = look(valued.baseline, q, t, n, column)
    reaction = look(valued.reaction, q, t, n, column)
    if reaction != reaction:  # noqa: PLR0124 - NaN: the declared formula holds
        reaction = float(valued.pressure[q, t])
    value = look(valued.model_value, q, t, n, column)
    if value != value:  # noqa: PLR0124 - NaN: the catalog's value holds
        value = float(valued.value[q, o])
    weight, lever, cost = float(valued.weight[q, o]), float(shelf.lever[o]), float(shelf.contact_cost[h])
    price = dials.annoyance_cost
    reckon = total.py_func  # type: ignore[attr-defined]  # the plain twin of what was arbitrated with
    sum_of_all = reckon(acceptance, dials.exponent, baseline, value, weight, lever, price, reaction, cost)
    return Score(acceptance, baseline, value, weight, lever, price, reaction, cost, sum_of_all)


def window(computed: Computed, i: int, t: int) -> TimingWindow:
    """Slot `t` resolved for item `i`."""
    z = computed.zone_of_item[i]
    now = int(computed.layout.now_us[i])
    not_before = max(int(computed.tables.not_before_us[z, t]), now)
    not_after = int(computed.tables.not_after_us[z, t])
    return TimingWindow(
        computed.force.catalog.timings[t].id, not_before, not_before - not_after if not_after < 0 else not_after
    )


def ranked(computed: Computed, i: int, s: int, k: int, contact: int) -> RankedOffer:
    """The offer picked for slot `k` of spot `s`; `contact` is its entry among the batch's contacts."""
    catalog, picked = computed.force.catalog, computed.picked
    pick = picked.picks[s, k]
    o, t, n = int(pick["offer"]), int(pick["timing"]), int(pick["tonality"])
    placement = catalog.placements[computed.layout.placement[s]]
    profile = computed.profiles[i]
    treatment = catalog.treatments[catalog.treatment_of[placement.channel, profile["address"], profile["locale"], n, o]]
    return RankedOffer(
        rank=k + 1,
        offer=catalog.offers[o].id,
        channel=catalog.channels[placement.channel].id,
        treatment=treatment.id,
        content=treatment.content,
        locale=treatment.locale,
        tonality=catalog.tonalities[n],
        form_of_address=treatment.address.name,
        timing=window(computed, i, t),
        score=score(computed, s, t, n, o),
        offer_propensity=float(pick["offer_propensity"]),
        arm_propensity=float(pick["arm_propensity"]),
        hold_expires_us=0
        if placement.counted_event == Counts.DECISION
        else int(computed.ledgers.contacts[contact]["ends_us"]),
        counted_event=placement.counted_event.name,
    )


def reason_keys(computed: Computed) -> npt.NDArray[np.int64]:
    """int64 [S, O]: reason and the cap or rule behind it as one number, in order of judgement; 0 for offers shown."""
    cells = computed.picked.cells
    reason = cells["reason"]
    behind = np.where((reason >= Reason.CAP_PROFILE) & (reason <= Reason.CAP_TOTAL), cells["cap"], -1)
    by_rule = (reason == Reason.NOT_ELIGIBLE) | (reason == Reason.RULE_ERROR)
    behind = np.where(by_rule, computed.filtered.rule[computed.layout.row], behind)
    return np.where(reason == Reason.NONE, 0, reason * DETAILS + behind + 1)


def exclusions(computed: Computed, keys: npt.NDArray[np.int64], explain: Explain) -> tuple[Exclusion, ...]:
    """Why offers are not in one spot, by reason and rule, in the order of judgement. `keys` is [O] of `reason_keys`."""
    catalog = computed.force.catalog
    found = []
    for key, count in zip(*(column.tolist() for column in np.unique(keys, return_counts=True)), strict=True):
        if not key:
            continue
        reason, behind = Reason(key // DETAILS), key % DETAILS - 1
        rule = ""
        if behind >= 0:
            rule = (catalog.rules if reason < Reason.NO_CONSENT else catalog.caps)[behind].id
        offers = (
            tuple(catalog.offers[o].id for o in np.flatnonzero(keys == key).tolist())
            if explain >= Explain.OFFERS
            else ()
        )
        found.append(Exclusion(reason, count, offers, rule))
    return tuple(found)


def candidates(computed: Computed, s: int) -> tuple[Candidate, ...]:
    """Every live candidate's best arm, best first."""
    catalog, picked = computed.force.catalog, computed.picked
    cells = picked.cells[s]
    alive = np.flatnonzero(~np.isnan(cells["total"]))
    found = []
    for o in alive[np.argsort(-cells["total"][alive], kind="stable")]:
        t, n = int(cells[o]["timing"]), int(cells[o]["tonality"])
        found.append(
            Candidate(
                catalog.offers[o].id, catalog.timings[t].id, catalog.tonalities[n], score(computed, s, t, n, int(o))
            )
        )
    return tuple(found)


def advice(computed: Computed, i: int, s: int) -> NextMoment | None:
    """A better moment than this placement can deliver, if there is one."""
    picked, catalog = computed.picked, computed.force.catalog
    result = picked.results[s]
    o = int(result["advice_offer"])
    if o < 0:
        return None
    channel = catalog.channels[catalog.placements[computed.layout.placement[s]].channel].id
    return NextMoment(
        catalog.offers[o].id, channel, window(computed, i, int(result["advice_timing"])), float(result["advice_total"])
    )


def placement_decision(
    computed: Computed, i: int, s: int, first_contact: int, keys: npt.NDArray[np.int64]
) -> PlacementDecision:
    """What became of spot `s`, whose first contact is entry `first_contact`."""
    picked = computed.picked
    placement = computed.force.catalog.placements[computed.layout.placement[s]]
    explain = computed.layout.items[i].request.explain
    chosen = [k for k in range(int(computed.layout.slots[s])) if picked.picks[s, k]["offer"] >= 0]
    if chosen:
        status = Status.OFFERED
    elif picked.picks[s, 0]["offer"] == SILENCE:
        status = Status.SILENCE
    else:
        status = Status.FALLBACK if placement.fallback else Status.EMPTY
    return PlacementDecision(
        placement=placement.id,
        channel=computed.force.catalog.channels[placement.channel].id,
        status=status,
        offers=tuple(ranked(computed, i, s, k, first_contact + k) for k in chosen),
        fallback="" if chosen else placement.fallback,
        silence_propensity=float(picked.results[s]["silence_propensity"]),
        next_moment=advice(computed, i, s),
        exclusions=exclusions(computed, keys[s], explain),
        candidates=candidates(computed, s) if explain == Explain.FULL else (),
    )


def decisions(computed: Computed, service_version: str) -> list[tuple[Decision, npt.NDArray[np.int64]]]:
    """The answer to every item, in the layout's order, with the indices of the contacts that it makes."""
    catalog, layout, picked = computed.force.catalog, computed.layout, computed.picked
    in_force = versions(computed.force, computed.model, service_version)
    whole = tuple(Degradation(cause, message) for cause, message in computed.degradations)
    keys = reason_keys(computed)
    found = []
    for g in range(len(layout.group_first) - 1):
        contact = int(computed.ledger_end_before[g])
        for i in range(layout.group_first[g], layout.group_first[g + 1]):
            item = layout.items[i]
            first = contact
            placements = []
            for s in range(layout.first_spot[i], layout.first_spot[i + 1]):
                placements.append(placement_decision(computed, i, s, contact, keys))
                contact += int((picked.picks[s]["offer"] >= 0).sum())
            own = (
                (Degradation(Cause.PROFILE, "the profile record could not be read; treated as unknown"),)
                if computed.record_status[i] == RowStatus.CORRUPT
                else ()
            )
            decision = Decision(
                decision_id=layout.decisions[i],
                request_id=item.request.request_id,
                profile_id=item.profile_id,
                anonymous=bool(computed.record_status[i]),
                stage=catalog.stages[computed.stage[i]].id,
                placements=tuple(placements),
                versions=in_force,
                decided_at_us=item.now_us,
                attempts=0 if item.request.dry_run else item.attempt,
                dry_run=item.request.dry_run,
                degradations=whole + own,
            )
            found.append((decision, np.arange(first, contact)))
    return found


def trace(computed: Computed, i: int, g: int, earlier: bytes) -> Trace:
    """What was read and drawn for item `i` of group `g`, on its ledger with the `earlier` contacts of its chain."""
    layout, picked = computed.layout, computed.picked
    spots = range(layout.first_spot[i], layout.first_spot[i + 1])
    slots = tuple(
        SlotTrace(
            placement=s - int(layout.first_spot[i]),
            slot=k,
            **{name: picked.picks[s, k][name].item() for name in PICK.names or ()},
        )
        for s in spots
        for k in range(int(layout.slots[s]))
        if picked.picks[s, k]["offer"] != UNDRAWN
    )
    item = layout.items[i]
    first_row = layout.row[layout.first_spot[i]]
    return Trace(
        request_digest=item.digest,
        snapshot_us=item.now_us,
        profile=item.record,
        ledger=item.ledger + earlier,
        context=computed.contexts[first_row].tobytes(),
        chained=i - int(layout.group_first[g]),
        chain=int(layout.group_first[g + 1] - layout.group_first[g]),
        compare=bool(picked.live[layout.group_first[g] : layout.group_first[g + 1]].any()),
        slack=int(picked.slack[g]),
        slots=slots,
        reasons=tuple(picked.cells[s]["reason"].astype(np.uint8).tobytes() for s in spots),
        live=tuple(
            np.packbits(~np.isnan(picked.cells[s]["total"]), bitorder="little").tobytes().rstrip(b"\0") for s in spots
        ),
        max_offers=tuple(int(layout.slots[s]) for s in spots),
        exploration=computed.force.catalog.exploration,
    )


def fallback(
    force: Force,
    request: DecideRequest,
    *,
    cause: Cause,
    message: str,
    now_us: int,
    service_version: str,
    item: Item | None = None,
) -> Decision:
    """The answer when nothing could be decided: every placement's neutral content, no contact, not final.

    Unknown placements are left out; validation names them when there is time for it.
    """
    profile_id = item.profile_id if item else request.profile_id
    known = [
        force.catalog.placements[p]
        for a in request.placements
        if (p := force.placement_index.get(a.placement)) is not None
    ]
    return Decision(
        decision_id=decision_id(profile_id, request.request_id),
        request_id=request.request_id,
        profile_id=profile_id,
        anonymous=False,
        stage="",
        placements=tuple(
            PlacementDecision(
                placement=p.id,
                channel=force.catalog.channels[p.channel].id,
                status=Status.FALLBACK if p.fallback else Status.EMPTY,
                fallback=p.fallback,
            )
            for p in known
        ),
        versions=versions(force, force.scorer.version, service_version),
        decided_at_us=now_us,
        attempts=item.attempt if item else 0,
        dry_run=request.dry_run,
        degradations=(Degradation(cause, message),),
    )
