"""The obvious twin of the kernels that write answers and records: one value after the other, one message at a time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from takt.arbitration.score import total
from takt.catalog.snapshot import Counts
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.record import RECORD_VERSION
from takt.decisionlog.writing import exploration
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
)
from takt.domain.ledger import WIDTH
from takt.domain.reasons import Cause, Reason, Status
from takt.domain.request import Explain
from takt.engine.arrays import SILENCE, UNDRAWN
from takt.engine.selection import at
from takt.features.reader import RowStatus
from takt.v1 import decision_pb2, log_pb2
from takt.wire import answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from takt.domain.decision import Versions
    from takt.engine.codec import Letters
    from takt.engine.compute import Computed
    from takt.engine.ledgers import Made

DETAILS = 1 << 16
"""More than there are caps or rules."""


def score(computed: Computed, s: int, t: int, n: int, o: int) -> Score:
    """Every factor of one arm's score on spot `s`."""
    valued, dials, shelf = computed.valued, computed.asking.force.dials, computed.asking.force.shelf
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
    z = computed.asked.requests[i]["zone"]
    now = int(computed.layout.now_us[i])
    not_before = max(int(computed.tables.not_before_us[z, t]), now)
    not_after = int(computed.tables.not_after_us[z, t])
    return TimingWindow(
        computed.asking.force.catalog.timings[t].id, not_before, not_before - not_after if not_after < 0 else not_after
    )


def ranked(computed: Computed, i: int, s: int, k: int, contact: int) -> RankedOffer:
    """The offer picked for slot `k` of spot `s`; `contact` is its entry among the batch's contacts."""
    catalog, picked = computed.asking.force.catalog, computed.picked
    pick = picked.picks[s, k]
    o, t, n = int(pick["offer"]), int(pick["timing"]), int(pick["tonality"])
    placement = catalog.placements[computed.layout.placement[s]]
    person = computed.asked.requests[i]
    treatment = catalog.treatments[catalog.treatment_of[placement.channel, person["address"], person["locale"], n, o]]
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
    reason = cells["reason"].astype(np.int64)
    behind = np.where((reason >= Reason.CAP_PROFILE) & (reason <= Reason.CAP_TOTAL), cells["cap"], -1)
    by_rule = (reason == Reason.NOT_ELIGIBLE) | (reason == Reason.RULE_ERROR)
    behind = np.where(by_rule, computed.filtered.rule[computed.layout.row], behind)
    return np.where(reason == Reason.NONE, 0, reason * DETAILS + behind + 1)


def exclusions(computed: Computed, keys: npt.NDArray[np.int64], explain: Explain) -> tuple[Exclusion, ...]:
    """Why offers are not in one spot, by reason and rule, in the order of judgement. `keys` is [O] of `reason_keys`."""
    catalog = computed.asking.force.catalog
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
    catalog, picked = computed.asking.force.catalog, computed.picked
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
    picked, catalog = computed.picked, computed.asking.force.catalog
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
    placement = computed.asking.force.catalog.placements[computed.layout.placement[s]]
    explain = Explain(computed.asking.explain[computed.layout.items[i].index])
    chosen = [k for k in range(int(computed.layout.slots[s])) if picked.picks[s, k]["offer"] >= 0]
    if chosen:
        status = Status.OFFERED
    elif picked.picks[s, 0]["offer"] == SILENCE:
        status = Status.SILENCE
    else:
        status = Status.FALLBACK if placement.fallback else Status.EMPTY
    return PlacementDecision(
        placement=placement.id,
        channel=computed.asking.force.catalog.channels[placement.channel].id,
        status=status,
        offers=tuple(ranked(computed, i, s, k, first_contact + k) for k in chosen),
        fallback="" if chosen else placement.fallback,
        silence_propensity=float(picked.results[s]["silence_propensity"]),
        next_moment=advice(computed, i, s),
        exclusions=exclusions(computed, keys[s], explain),
        candidates=candidates(computed, s) if explain == Explain.FULL else (),
    )


def decisions(computed: Computed, in_force: Versions) -> list[tuple[Decision, npt.NDArray[np.int64]]]:
    """The answer to every item, in the layout's order, with the indices of the contacts that it makes."""
    asking, layout, picked = computed.asking, computed.layout, computed.picked
    catalog = asking.force.catalog
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
                decision_id=item.decision.hex(),
                request_id=item.request_id,
                profile_id=item.profile_id,
                anonymous=bool(computed.record_status[i]),
                stage=catalog.stages[computed.stage[i]].id,
                placements=tuple(placements),
                versions=in_force,
                decided_at_us=item.now_us,
                attempts=0 if asking.dry_run[item.index] else item.attempt,
                dry_run=bool(asking.dry_run[item.index]),
                degradations=whole + own,
            )
            found.append((decision, np.arange(first, contact)))
    return found


def record(computed: Computed, made: Made, decision: Decision, g: int, *, i: int, partitions: int) -> bytes:
    """The log's record of one decision, with everything needed to compute it again."""
    layout, picked, asking = computed.layout, computed.picked, computed.asking
    item = layout.items[i]
    head, last = layout.group_first[g], layout.group_first[g + 1]
    earlier = made.entries[made.first_contact[head] * WIDTH : made.first_contact[i] * WIDTH]
    spots = range(layout.first_spot[i], layout.first_spot[i + 1])
    message = log_pb2.DecisionRecord(
        record_version=RECORD_VERSION,
        decision_id=decision.decision_id,
        request_id=decision.request_id,
        request_digest=asking.digests[item.index],
        profile_id=decision.profile_id,
        partition=zlib.crc32(decision.profile_id.encode()) % partitions,
        decided_at_us=decision.decided_at_us,
        snapshot_at_us=item.now_us,
        versions=answer.versions(decision.versions),
        stage=decision.stage,
        request=decision_pb2.DecideRequest.FromString(asking.messages[item.index]),
        profile_record=item.record or b"",
        ledger=item.ledger + earlier,
        context_record=computed.contexts[layout.row[layout.first_spot[i]]].tobytes(),
        attempts=decision.attempts,
        commit_check=log_pb2.CommitCheck(compared=bool(picked.live[head:last].any()), slack=int(picked.slack[g])),
        exploration=exploration(asking.force.catalog.exploration),
        chain=log_pb2.ChainPosition(index=i - head, length=last - head),
        placements=[
            placement_record(computed, s, placed) for s, placed in zip(spots, decision.placements, strict=True)
        ],
        degradations=[answer.degradation(d) for d in decision.degradations],
        answer=answer.response(decision).SerializeToString(),
    )
    return message.SerializeToString(deterministic=True)


def placement_record(computed: Computed, s: int, placed: PlacementDecision) -> log_pb2.PlacementRecord:
    """What was decided and drawn for spot `s`."""
    cells, picks = computed.picked.cells[s], computed.picked.picks[s]
    slots = int(computed.layout.slots[s])
    return log_pb2.PlacementRecord(
        placement=placed.placement,
        status=answer.STATUS[placed.status],
        max_offers=slots,
        live_offers=np.packbits(~np.isnan(cells["total"]), bitorder="little").tobytes().rstrip(b"\0"),
        reason_codes=cells["reason"].astype(np.uint8).tobytes(),
        slots=[slot_record(picks[k], placed, k) for k in range(slots) if picks[k]["offer"] != UNDRAWN],
    )


def slot_record(pick: np.void, placed: PlacementDecision, k: int) -> log_pb2.SlotRecord:
    """One draw. The names of what was drawn are those of the answer, where slot k holds rank k + 1."""
    kept = log_pb2.SlotRecord(offer_propensity=pick["offer_propensity"], offer_draw=pick["offer_draw"])
    if pick["offer"] == SILENCE:
        return kept
    shown = placed.offers[k]
    kept.offer = shown.offer
    kept.timing = shown.timing.slot
    kept.tonality = shown.tonality
    kept.form_of_address = answer.FORM_OF_ADDRESS[shown.form_of_address]
    kept.treatment = shown.treatment
    kept.arm_propensity = pick["arm_propensity"]
    kept.arm_draw = pick["arm_draw"]
    kept.score.CopyFrom(answer.score(shown.score))
    return kept


class CheckedCodec(ProtobufCodec):
    """A codec that holds everything it writes to the twin, byte for byte."""

    partitions = 64

    def __init__(self) -> None:
        super().__init__(self.partitions)
        self.written = 0

    def write(self, computed: Computed, made: Made, versions: Versions) -> Letters:
        """Write it, and write it again slowly."""
        letters = super().write(computed, made, versions)
        answers, records = letters.all()
        group_first = computed.layout.group_first
        for i, (decision, _) in enumerate(decisions(computed, versions)):
            g = int(np.searchsorted(group_first, i, side="right")) - 1
            assert answer.response(decision).SerializeToString() == answers[i]
            assert record(computed, made, decision, g, i=i, partitions=self.partitions) == bytes(records[i])
            self.written += 1
        return letters

    def encode_alike(self, decision: Decision, names: Sequence[tuple[str, str, str]]) -> list[bytes]:
        """Write it under every name, and again one after the other."""
        answers = super().encode_alike(decision, names)
        for (decision_id, request_id, profile_id), written in zip(names, answers, strict=True):
            named = replace(decision, decision_id=decision_id, request_id=request_id, profile_id=profile_id)
            assert self.encode(named) == written
        return answers
