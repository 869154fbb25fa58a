"""Scores, timings and candidates of an answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from takt.arbitration.score import total
from takt.engine.arrays import Asked, Dials, Shelf, Tables, Valued
from takt.engine.selection import at as look
from takt.kernel import kernel
from takt.wire.encoding.backward import Bytes, double_field, text_field, time_field, wrap
from takt.wire.encoding.texts import Texts

Ints = npt.NDArray[np.int64]


@kernel
def score_field(
    out: Bytes, at: int, field: int, valued: Valued, shelf: Shelf, dials: Dials, q: int, h: int, t: int, n: int, o: int
) -> int:
    """`takt.v1.Score` of offer `o` with timing `t` and tonality `n` on row `q`, whose channel is `h`."""
    column = valued.column[o]
    acceptance = look(valued.acceptance, q, t, n, column)
    baseline = look(valued.baseline, q, t, n, column)
    reaction = look(valued.reaction, q, t, n, column)
    if np.isnan(reaction):
        reaction = valued.pressure[q, t]
    value = look(valued.model_value, q, t, n, column)
    if np.isnan(value):
        value = valued.value[q, o]
    weight, lever, cost = valued.weight[q, o], shelf.lever[o], shelf.contact_cost[h]
    price = dials.annoyance_cost
    end = at
    at = double_field(
        out, at, 9, total(acceptance, dials.exponent, baseline, value, weight, lever, price, reaction, cost)
    )
    at = double_field(out, at, 8, cost)
    at = double_field(out, at, 7, reaction)
    at = double_field(out, at, 6, price)
    at = double_field(out, at, 5, lever)
    at = double_field(out, at, 4, weight)
    at = double_field(out, at, 3, value)
    at = double_field(out, at, 2, baseline)
    at = double_field(out, at, 1, acceptance)
    return wrap(out, at, end, field)


@kernel
def timing_field(out: Bytes, at: int, field: int, texts: Texts, asked: Asked, tables: Tables, i: int, t: int) -> int:
    """`takt.v1.Timing`: slot `t` resolved for request `i`."""
    request = asked.requests[i]
    z = request["zone"]
    not_before_us = max(tables.not_before_us[z, t], request["now_us"])
    not_after_us = tables.not_after_us[z, t]
    end = at
    at = time_field(out, at, 3, not_before_us - not_after_us if not_after_us < 0 else not_after_us)
    at = time_field(out, at, 2, not_before_us)
    at = text_field(out, at, 1, texts.buffer, texts.spans, texts.timing + t)
    return wrap(out, at, end, field)


@kernel
def candidate_field(
    out: Bytes,
    at: int,
    field: int,
    texts: Texts,
    valued: Valued,
    shelf: Shelf,
    dials: Dials,
    q: int,
    h: int,
    t: int,
    n: int,
    o: int,
) -> int:
    """`takt.v1.Candidate`: a live candidate with its best arm."""
    end = at
    at = score_field(out, at, 4, valued, shelf, dials, q, h, t, n, o)
    at = text_field(out, at, 3, texts.buffer, texts.spans, texts.tonality + n)
    at = text_field(out, at, 2, texts.buffer, texts.spans, texts.timing + t)
    at = text_field(out, at, 1, texts.buffer, texts.spans, texts.offer + o)
    return wrap(out, at, end, field)
