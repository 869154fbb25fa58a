"""`takt.v1.DecisionRecord` for the requests of a batch, with the answer in it, written by kernels from the end."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from takt.engine.arrays import SILENCE, UNDRAWN, Table
from takt.kernel import entry, kernel
from takt.wire.encoding.answer import Sheet, answer, degradation_fields, piece_field
from takt.wire.encoding.backward import Bytes, copy, double_field, number_field, text_field, wrap
from takt.wire.encoding.scores import score_field
from takt.wire.encoding.told import (
    DECISION_ID,
    DIGEST,
    LEDGER,
    PIECES,
    PROFILE_ID,
    PROFILE_RECORD,
    REQUEST,
    REQUEST_ID,
    Told,
)

Ints = npt.NDArray[np.int64]

RECORD_VERSION: Final = 1
"""Of the layout of records and of the derivation of draws."""
WIDTH: Final = 32
"""Of a ledger entry."""
FIXED: Final = 512
"""More than the numbers, tags and lengths of a record and its answer that stand once."""
PER_OFFER_SHOWN: Final = 512
"""More than the numbers, tags and lengths of an offer in the answer and of its slot in the record."""
PER_CANDIDATE: Final = 128
"""More than those of a candidate."""


@kernel
def slot_field(out: Bytes, at: int, field: int, sheet: Sheet, i: int, s: int, k: int) -> int:
    """`takt.v1.SlotRecord`: what was drawn for slot `k` of spot `s`."""
    texts, shelf = sheet.texts, sheet.shelf
    pick = sheet.picked.picks[s, k]
    o, t, n = pick["offer"], pick["timing"], pick["tonality"]
    end = at
    if o == SILENCE:
        at = double_field(out, at, 8, pick["offer_draw"])
        at = double_field(out, at, 6, pick["offer_propensity"])
        return wrap(out, at, end, field)
    request = sheet.asked.requests[i]
    q = sheet.asked.spots[s]["row"]
    h = shelf.placements[sheet.asked.spots[s]["placement"]]["channel"]
    treatment = shelf.treatment_of[h, request["address"], request["locale"], n, o]
    at = score_field(out, at, 10, sheet.valued, shelf, sheet.dials, q, h, t, n, o)
    at = double_field(out, at, 9, pick["arm_draw"])
    at = double_field(out, at, 8, pick["offer_draw"])
    at = double_field(out, at, 7, pick["arm_propensity"])
    at = double_field(out, at, 6, pick["offer_propensity"])
    at = text_field(out, at, 5, texts.buffer, texts.spans, texts.treatment_id + treatment)
    at = number_field(out, at, 4, texts.form_of_address[treatment])
    at = text_field(out, at, 3, texts.buffer, texts.spans, texts.tonality + n)
    at = text_field(out, at, 2, texts.buffer, texts.spans, texts.timing + t)
    at = text_field(out, at, 1, texts.buffer, texts.spans, texts.offer + o)
    return wrap(out, at, end, field)


@kernel
def live_field(out: Bytes, at: int, field: int, cells: Table, s: int) -> int:
    """The live candidates of spot `s` as bits, lowest first, up to the last byte that is not zero."""
    last = cells.shape[1] - 1
    while last >= 0 and np.isnan(cells[s, last]["total"]):
        last -= 1
    if last < 0:
        return at
    end = at
    size = last // 8 + 1
    at -= size
    for b in range(size):
        bits = 0
        for o in range(8 * b, min(8 * b + 8, last + 1)):
            if not np.isnan(cells[s, o]["total"]):
                bits |= 1 << (o - 8 * b)
        out[at + b] = np.uint8(bits)
    return wrap(out, at, end, field)


@kernel
def placement_record_field(out: Bytes, at: int, field: int, sheet: Sheet, i: int, s: int) -> int:
    """`takt.v1.PlacementRecord` of spot `s`, whose answer is written already."""
    spot = sheet.asked.spots[s]
    picks, cells = sheet.picked.picks, sheet.picked.cells
    end = at
    for k in range(spot["slots"] - 1, -1, -1):
        if picks[s, k]["offer"] != UNDRAWN:
            at = slot_field(out, at, 6, sheet, i, s, k)
    reasons_end = at
    at -= cells.shape[1]
    for o in range(cells.shape[1]):
        out[at + o] = np.uint8(cells[s, o]["reason"])
    at = wrap(out, at, reasons_end, 5)
    at = live_field(out, at, 4, cells, s)
    at = number_field(out, at, 3, spot["slots"])
    at = number_field(out, at, 2, sheet.status[s])
    at = text_field(out, at, 1, sheet.texts.buffer, sheet.texts.spans, sheet.texts.placement + spot["placement"])
    return wrap(out, at, end, field)


@kernel
def ledger_field(out: Bytes, at: int, field: int, told: Told, i: int, head: int) -> int:
    """The ledger of request `i` as it was read, then the contacts of those before it from `head`, the group's first."""
    first = told.first_contact[head]
    end = at
    at = copy(out, at, told.contacts, first * WIDTH, (told.first_contact[i] - first) * WIDTH)
    at = copy(out, at, told.pieces, told.starts[i, LEDGER], told.lengths[i, LEDGER])
    return wrap(out, at, end, field) if at < end else at


@kernel
def record(out: Bytes, at: int, sheet: Sheet, g: int, i: int) -> tuple[int, int, int]:
    """The record of request `i` of group `g`: where it begins, where the answer begins in it, and where both end."""
    texts, told, asked, picked = sheet.texts, sheet.told, sheet.asked, sheet.picked
    item = told.items[i]
    head, next_head = asked.group_first[g], asked.group_first[g + 1]
    end = at
    at = answer(out, at, sheet, i)
    answer_start = at
    at = wrap(out, at, end, 21)
    at = degradation_fields(out, at, 20, texts, told, i)
    for s in range(asked.first_spot[i + 1] - 1, asked.first_spot[i] - 1, -1):
        at = placement_record_field(out, at, 19, sheet, i, s)
    part_end = at
    at = number_field(out, at, 2, next_head - head)
    at = number_field(out, at, 1, i - head)
    at = wrap(out, at, part_end, 18)
    at = text_field(out, at, 17, told.common, told.common_spans, 1)
    part_end = at
    at = number_field(out, at, 2, picked.slack[g])
    at = number_field(out, at, 1, int(np.any(picked.live[head:next_head])))
    at = wrap(out, at, part_end, 16)
    at = number_field(out, at, 15, item["attempts"])
    part_end = at
    row = asked.spots[asked.first_spot[i]]["row"]
    at = wrap(out, copy(out, at, told.contexts, row * told.context_bytes, told.context_bytes), part_end, 14)
    at = ledger_field(out, at, 13, told, i, head)
    at = piece_field(out, at, 12, told, i, PROFILE_RECORD)
    at = piece_field(out, at, 11, told, i, REQUEST)
    at = text_field(out, at, 10, texts.buffer, texts.spans, texts.stage + item["stage"])
    at = text_field(out, at, 9, told.common, told.common_spans, 0)
    now_us = asked.requests[i]["now_us"]
    at = number_field(out, at, 8, now_us)
    at = number_field(out, at, 7, now_us)
    at = number_field(out, at, 6, item["partition"])
    at = piece_field(out, at, 5, told, i, PROFILE_ID)
    at = piece_field(out, at, 4, told, i, DIGEST)
    at = piece_field(out, at, 3, told, i, REQUEST_ID)
    at = piece_field(out, at, 2, told, i, DECISION_ID)
    return number_field(out, at, 1, RECORD_VERSION), answer_start, end


@kernel
def most_bytes(sheet: Sheet, i: int) -> int:
    """More than the record of request `i` can have."""
    texts, told, asked = sheet.texts, sheet.told, sheet.asked
    n_offers = sheet.picked.cells.shape[1]
    once = FIXED + 3 * np.sum(told.lengths[i]) + told.context_bytes + 3 * told.common.shape[0] + 3 * texts.longest
    ledger = (told.first_contact[i + 1] - told.first_contact[0]) * WIDTH
    spots = 0
    for s in range(asked.first_spot[i], asked.first_spot[i + 1]):
        spots += asked.spots[s]["slots"] * (PER_OFFER_SHOWN + 12 * texts.longest) + FIXED + 8 * texts.longest
        spots += n_offers * 2
        spots += (told.candidates_end[s + 1] - told.candidates_end[s]) * (PER_CANDIDATE + 3 * texts.longest)
        spots += (n_offers if told.items[i]["explain"] > 0 else 0) * (texts.longest + 4)
        spots += min(n_offers, 2 * texts.names + 32) * (texts.longest + 24)
    return int(once + ledger + spots)


@entry
def write_records(out: Bytes, sheet: Sheet, spans: Ints) -> int:
    """Write the records of all requests and their places to `spans` [n, 3]: start, start of the answer, end.

    Returns 0, or how much room there should have been.
    """
    told = sheet.told
    needed, start = 0, 0
    for i in range(told.items.shape[0]):
        needed += most_bytes(sheet, i)
        for piece in range(PIECES):
            told.starts[i, piece] = start
            start += told.lengths[i, piece]
    if needed > out.shape[0]:
        return needed
    at = out.shape[0]
    for g in range(sheet.asked.group_first.shape[0] - 1):
        for i in range(sheet.asked.group_first[g], sheet.asked.group_first[g + 1]):
            start, answer_start, end = record(out, at, sheet, g, i)
            spans[i, 0] = start
            spans[i, 1] = answer_start
            spans[i, 2] = end
            at = start
    return 0
