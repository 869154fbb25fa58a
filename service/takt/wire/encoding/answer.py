"""`takt.v1.DecideResponse` for one request of a batch, written from its end."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.reasons import Status
from takt.domain.request import Explain
from takt.engine.arrays import SILENCE, Asked, Dials, Picked, Shelf, Table, Tables, Valued
from takt.kernel import kernel
from takt.policy.contacts import Contacts
from takt.wire.answer import STATUS
from takt.wire.encoding.backward import Bytes, copy, double_field, number_field, text_field, time_field, wrap
from takt.wire.encoding.exclusions import Grounds, exclusion_fields, sort_grounds
from takt.wire.encoding.scores import candidate_field, score_field, timing_field
from takt.wire.encoding.texts import Texts
from takt.wire.encoding.told import DECISION_ID, PROFILE_ID, REQUEST_ID, Told

Ints = npt.NDArray[np.int64]

# Kernels take plain numbers as constants.
OFFERED: Final = int(STATUS[Status.OFFERED])
SAID_NOTHING: Final = int(STATUS[Status.SILENCE])
FALLBACK: Final = int(STATUS[Status.FALLBACK])
EMPTY: Final = int(STATUS[Status.EMPTY])
OFFERS: Final = int(Explain.OFFERS)


class Sheet(NamedTuple):
    """A decided batch, as it is written from."""

    texts: Texts
    told: Told
    asked: Asked
    tables: Tables
    shelf: Shelf
    dials: Dials
    valued: Valued
    picked: Picked
    contacts: Contacts
    """Those of the batch's ledgers, what was selected included."""
    first_new: Ints
    """int64 [n]: the first contact that each request makes, in `contacts`."""
    grounds: Grounds
    status: Ints
    """int64 [S], written: `takt.v1.PlacementStatus` of each spot."""


@kernel
def picked_at(picks: Table, s: int) -> int:
    """How many offers were picked for spot `s`; they stand in its first slots."""
    filled = 0
    while filled < picks.shape[1] and picks[s, filled]["offer"] >= 0:
        filled += 1
    return filled


@kernel
def offer_field(out: Bytes, at: int, field: int, sheet: Sheet, i: int, s: int, k: int, contact: int) -> int:
    """`takt.v1.RankedOffer`: what was picked for slot `k` of spot `s`; `contact` is its entry in the ledger."""
    texts, shelf = sheet.texts, sheet.shelf
    pick = sheet.picked.picks[s, k]
    o, t, n = pick["offer"], pick["timing"], pick["tonality"]
    request = sheet.asked.requests[i]
    p = sheet.asked.spots[s]["placement"]
    q = sheet.asked.spots[s]["row"]
    h = shelf.placements[p]["channel"]
    treatment = shelf.treatment_of[h, request["address"], request["locale"], n, o]
    end = at
    at = number_field(out, at, 13, texts.counted_event[p])
    if texts.held[p] and sheet.contacts[contact]["ends_us"] != 0:
        at = time_field(out, at, 12, sheet.contacts[contact]["ends_us"])
    at = double_field(out, at, 11, pick["arm_propensity"])
    at = double_field(out, at, 10, pick["offer_propensity"])
    at = double_field(out, at, 9, pick["offer_propensity"] * pick["arm_propensity"])
    at = score_field(out, at, 8, sheet.valued, shelf, sheet.dials, q, h, t, n, o)
    at = number_field(out, at, 7, texts.form_of_address[treatment])
    at = text_field(out, at, 6, texts.buffer, texts.spans, texts.tonality + n)
    at = timing_field(out, at, 5, texts, sheet.asked, sheet.tables, i, t)
    at = text_field(out, at, 4, texts.buffer, texts.spans, texts.treatment + treatment)
    at = text_field(out, at, 3, texts.buffer, texts.spans, texts.channel + h)
    at = text_field(out, at, 2, texts.buffer, texts.spans, texts.offer + o)
    at = number_field(out, at, 1, k + 1)
    return wrap(out, at, end, field)


@kernel
def advice_field(out: Bytes, at: int, field: int, sheet: Sheet, i: int, s: int, h: int) -> int:
    """`takt.v1.NextMoment`, if there is a better moment than the placement can deliver."""
    result = sheet.picked.results[s]
    if result["advice_offer"] < 0:
        return at
    texts = sheet.texts
    end = at
    at = double_field(out, at, 4, result["advice_total"])
    at = timing_field(out, at, 3, texts, sheet.asked, sheet.tables, i, result["advice_timing"])
    at = text_field(out, at, 2, texts.buffer, texts.spans, texts.channel + h)
    at = text_field(out, at, 1, texts.buffer, texts.spans, texts.offer + result["advice_offer"])
    return wrap(out, at, end, field)


@kernel
def status_of(first_pick: int, filled: int, has_fallback: bool) -> int:
    """`takt.v1.PlacementStatus` of a spot where `filled` offers were picked, and this or silence in its first slot."""
    if filled > 0:
        return OFFERED
    if first_pick == SILENCE:
        return SAID_NOTHING
    return FALLBACK if has_fallback else EMPTY


@kernel
def placement_field(out: Bytes, at: int, field: int, sheet: Sheet, i: int, s: int, contact: int) -> int:
    """`takt.v1.PlacementDecision` of spot `s`, whose first contact is entry `contact`. Writes the spot's status."""
    texts, told, picked = sheet.texts, sheet.told, sheet.picked
    p = sheet.asked.spots[s]["placement"]
    q = sheet.asked.spots[s]["row"]
    h = sheet.shelf.placements[p]["channel"]
    filled = picked_at(picked.picks, s)
    end = at
    for c in range(told.candidates_end[s + 1] - 1, told.candidates_end[s] - 1, -1):
        o = told.candidates[c]
        t, n = picked.cells[s, o]["timing"], picked.cells[s, o]["tonality"]
        at = candidate_field(out, at, 9, texts, sheet.valued, sheet.shelf, sheet.dials, q, h, t, n, o)
    known = sort_grounds(picked, told.rule, s, q, sheet.grounds)
    at = exclusion_fields(out, at, 8, texts, sheet.grounds, known, told.items[i]["explain"] >= OFFERS)
    at = advice_field(out, at, 7, sheet, i, s, h)
    at = double_field(out, at, 6, picked.results[s]["silence_propensity"])
    if filled == 0:
        at = text_field(out, at, 5, texts.buffer, texts.spans, texts.fallback + p)
    for k in range(filled - 1, -1, -1):
        at = offer_field(out, at, 4, sheet, i, s, k, contact + k)
    at = text_field(out, at, 3, texts.buffer, texts.spans, texts.channel + h)
    sheet.status[s] = status_of(picked.picks[s, 0]["offer"], filled, texts.spans[texts.fallback + p, 1] > 0)
    at = number_field(out, at, 2, sheet.status[s])
    at = text_field(out, at, 1, texts.buffer, texts.spans, texts.placement + p)
    return wrap(out, at, end, field)


@kernel
def degradation_fields(out: Bytes, at: int, field: int, texts: Texts, told: Told, i: int) -> int:
    """A `takt.v1.Degradation` for each cause: those of the whole batch, then the request's own."""
    if told.items[i]["corrupt"]:
        at = text_field(out, at, field, texts.buffer, texts.spans, texts.corrupt)
    for d in range(told.common_spans.shape[0] - 1, 1, -1):
        at = text_field(out, at, field, told.common, told.common_spans, d)
    return at


@kernel
def piece_field(out: Bytes, at: int, field: int, told: Told, i: int, piece: int) -> int:
    """One of the pieces of request `i` as a text."""
    length = told.lengths[i, piece]
    if length == 0:
        return at
    return wrap(out, copy(out, at, told.pieces, told.starts[i, piece], length), at, field)


@kernel
def answer(out: Bytes, at: int, sheet: Sheet, i: int) -> int:
    """The whole answer to request `i`, without a field around it."""
    texts, told, asked = sheet.texts, sheet.told, sheet.asked
    item = told.items[i]
    at = number_field(out, at, 11, item["dry_run"])
    at = time_field(out, at, 10, asked.requests[i]["now_us"])
    at = number_field(out, at, 9, item["attempts"])
    at = degradation_fields(out, at, 8, texts, told, i)
    at = text_field(out, at, 7, told.common, told.common_spans, 0)
    contact = sheet.first_new[i]
    for s in range(asked.first_spot[i], asked.first_spot[i + 1]):
        contact += picked_at(sheet.picked.picks, s)
    for s in range(asked.first_spot[i + 1] - 1, asked.first_spot[i] - 1, -1):
        contact -= picked_at(sheet.picked.picks, s)
        at = placement_field(out, at, 6, sheet, i, s, contact)
    at = text_field(out, at, 5, texts.buffer, texts.spans, texts.stage + item["stage"])
    at = number_field(out, at, 4, item["anonymous"])
    at = piece_field(out, at, 3, told, i, PROFILE_ID)
    at = piece_field(out, at, 2, told, i, REQUEST_ID)
    return piece_field(out, at, 1, told, i, DECISION_ID)
