"""Why offers are not in an answer, counted by reason and by the cap or rule behind it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.reasons import Reason
from takt.engine.arrays import Picked
from takt.kernel import kernel
from takt.wire.encoding.backward import Bytes, number_field, text_field, wrap
from takt.wire.encoding.texts import Texts

Ints = npt.NDArray[np.int64]

BEHIND: Final = 1 << 16
"""More than there are caps or rules."""
NOT_ELIGIBLE: Final = int(Reason.NOT_ELIGIBLE)
RULE_ERROR: Final = int(Reason.RULE_ERROR)
NO_CONSENT: Final = int(Reason.NO_CONSENT)
CAP_PROFILE: Final = int(Reason.CAP_PROFILE)
CAP_TOTAL: Final = int(Reason.CAP_TOTAL)


class Grounds(NamedTuple):
    """Scratch: the grounds on which the offers of one spot were left out."""

    by_offer: Ints
    """int64 [O]: reason x `BEHIND` + cap or rule + 1; 0 for an offer that is shown."""
    found: Ints
    """int64 [O + 1]: each ground once, in order of judgement."""
    counts: Ints
    """int64 [O + 1]."""


def grounds_for(n_offers: int) -> Grounds:
    """Room for the grounds of a spot."""
    return Grounds(np.zeros(n_offers, np.int64), np.zeros(n_offers + 1, np.int64), np.zeros(n_offers + 1, np.int64))


@kernel
def sort_grounds(picked: Picked, rule: npt.NDArray[np.int16], s: int, q: int, grounds: Grounds) -> int:
    """Fill `grounds` for spot `s` on row `q`; how many different ones there are."""
    known = 0
    place = 0
    for o in range(grounds.by_offer.shape[0]):
        cell = picked.cells[s, o]
        reason = cell["reason"]
        if reason == 0:
            grounds.by_offer[o] = 0
            continue
        behind = -1
        if reason in (NOT_ELIGIBLE, RULE_ERROR):
            behind = rule[q, o]
        elif CAP_PROFILE <= reason <= CAP_TOTAL:
            behind = cell["cap"]
        ground = reason * BEHIND + behind + 1
        grounds.by_offer[o] = ground
        if place >= known or grounds.found[place] != ground:  # neighbours often share theirs
            place = np.searchsorted(grounds.found[:known], ground)
            if place == known or grounds.found[place] != ground:
                for k in range(known, place, -1):
                    grounds.found[k] = grounds.found[k - 1]
                    grounds.counts[k] = grounds.counts[k - 1]
                grounds.found[place] = ground
                grounds.counts[place] = 0
                known += 1
        grounds.counts[place] += 1
    return known


@kernel
def exclusion_fields(
    out: Bytes, at: int, field: int, texts: Texts, grounds: Grounds, known: int, with_offers: bool
) -> int:
    """`takt.v1.Exclusion` for each ground, in order of judgement."""
    for k in range(known - 1, -1, -1):
        ground = grounds.found[k]
        reason, behind = ground // BEHIND, ground % BEHIND - 1
        end = at
        if behind >= 0:
            named = texts.rule if reason < NO_CONSENT else texts.cap
            at = text_field(out, at, 4, texts.buffer, texts.spans, named + behind)
        if with_offers:
            for o in range(grounds.by_offer.shape[0] - 1, -1, -1):
                if grounds.by_offer[o] == ground:
                    at = text_field(out, at, 3, texts.buffer, texts.spans, texts.offer + o)
        at = number_field(out, at, 2, grounds.counts[k])
        at = number_field(out, at, 1, reason)
        at = wrap(out, at, end, field)
    return at
