"""The arrays that a batch is laid out in: what the selection kernels read, their scratch, and what they write.

A *spot* is one placement of one request; a *row* is one request on one channel; a *group* is all of one
person's requests.
What varies per thing is a field of a structured array, so that a kernel's signature stays short.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.policy.judging import MOMENT, Verdicts, verdicts_for
from takt.policy.recent import Recent, recent_for

Table = npt.NDArray[np.void]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

SILENCE: Final = -1
UNDRAWN: Final = -2


PLACEMENT: Final = np.dtype([("channel", "<i8"), ("code", "<i8"), ("hold_us", "<i8")])

REQUEST: Final = np.dtype(
    [
        ("seed", "<u8"),
        ("decision", "<u8"),
        ("now_us", "<i8"),
        ("zone", "<i8"),  # index into the moments
        ("address", "<i8"),  # takt.domain.person.Address that is wanted
        ("locale", "<i8"),  # 0 = unknown, else 1 + index
        ("known_us", "<i8"),  # contacts that lapsed before may be missing from the ledger
        ("distinct", "?"),  # no offer twice in the request
    ]
)

SPOT: Final = np.dtype([("placement", "<i8"), ("row", "<i8"), ("slots", "<i8")])

PICK: Final = np.dtype(
    [
        ("offer", "<i8"),  # offer, SILENCE or UNDRAWN
        ("timing", "<i8"),
        ("tonality", "<i8"),
        ("offer_propensity", "<f8"),
        ("arm_propensity", "<f8"),
        ("offer_draw", "<f8"),
        ("arm_draw", "<f8"),
    ]
)

CELL: Final = np.dtype(
    [
        ("total", "<f8"),  # best arm's total of a live candidate, NaN for the others
        ("reason", "<i2"),  # why the offer is not in the answer, 0 if it is
        ("cap", "<i2"),  # the cap that refused, or -1
        ("timing", "<i2"),  # the best arm
        ("tonality", "<i2"),
    ]
)

RESULT: Final = np.dtype(
    [
        ("silence_propensity", "<f8"),  # in the last slot drawn
        ("advice_offer", "<i8"),  # an offer whose best moment is a slot that this placement cannot deliver, or -1
        ("advice_timing", "<i8"),
        ("advice_total", "<f8"),
    ]
)


class Shelf(NamedTuple):
    """What a catalog offers where. Placements P, offers O, timings T, tonalities N, channels H, locales L."""

    placements: Table
    """`PLACEMENT` [P]."""
    placement_offers: Bools
    placement_timings: Bools
    placement_tonalities: Bools
    treatment_of: Ints
    """int64 [H, 3, L + 1, N, O]."""
    address_blocked: Bools
    """bool [H, 3, O]."""
    lever: Floats
    contact_cost: Floats
    """float64 [H]."""


class Dials(NamedTuple):
    """Constants of arbitration and exploration."""

    exponent: float
    annoyance_cost: float
    rule: int
    epsilon: float
    temperature: float
    gamma: float
    silence_floor: float
    arm_rule: int
    arm_epsilon: float
    arm_temperature: float
    arm_gamma: float
    per_contact: float
    per_dismissal: float
    half_life_us: float
    """0 where no pressure is declared."""
    own_channel: bool
    """Only contacts on the same channel press."""


class Totals(NamedTuple):
    """Total caps K, and what each request may take of their pools W. Shapes with 0 where no total cap is in force."""

    caps: Ints
    """int64 [K]: index among the catalog's caps."""
    cover: Bools
    """bool [K, H, O]."""
    pool: Ints
    """int64 [Z, K, T]: the pool of the window that a zone's slot falls in, -1 where the slot has passed."""
    left: Ints
    """int64 [R, W]: tokens that the request may still take; selection counts them down."""


class Asked(NamedTuple):
    """A batch: groups of requests, requests of spots."""

    group_first: Ints
    """int64 [groups + 1]: first request of each group."""
    first_spot: Ints
    """int64 [R + 1]."""
    requests: Table
    """`REQUEST` [R]."""
    timings: Bools
    """bool [R, T]: slots that the caller allows."""
    spots: Table
    """`SPOT` [S]."""
    totals: Totals


class Tables(NamedTuple):
    """Moments of the batch's zones Z, stacked (`takt.policy.moments`)."""

    not_before_us: Ints
    """int64 [Z, T]."""
    not_after_us: Ints
    open: Bools
    window_us: Ints
    """int64 [Z, C, T, 2]."""
    quiet: Bools
    """bool [Z, H, T]."""


class Valued(NamedTuple):
    """What filters and model say of each row Q. Model arrays are float32 [Q, T, N, offers scored], axes perhaps 1."""

    excluded: Octets
    """uint8 [Q, O]: reason that needs no ledger, or 0."""
    value: Floats
    """float64 [Q, O]."""
    weight: Floats
    column: Ints
    """int64 [O]: where the offer stands in the model's answer, -1 if it was not scored."""
    acceptance: Singles
    baseline: Singles
    model_value: Singles
    """NaN where the model has no opinion and the catalog's value holds."""
    reaction: Singles
    """NaN where the model has no opinion and `pressure` holds."""
    pressure: Floats
    """float64 [Q, T], written by selection: chance of a negative reaction by the declared formula; 0 without one."""


class Picked(NamedTuple):
    """The outcome."""

    picks: Table
    """`PICK` [S, most slots of any spot]."""
    cells: Table
    """`CELL` [S, O]."""
    results: Table
    """`RESULT` [S]."""
    live: Bools
    """bool [R]: something could be drawn."""
    slack: Ints
    """int64 [groups]."""


class Scratch(NamedTuple):
    """Room that is used again for every spot."""

    recent: Recent
    """The ledger at hand."""
    verdicts: Verdicts
    """The offers that can be in the spot if policy allows, and what it says."""
    moments: Table
    """`MOMENT` [T]."""
    best: Floats
    """float64 [T, O]: total of an offer's best tonality at each timing, NaN while it is not known for the row."""
    tonality: Ints
    """int64 [T, O]: that tonality."""
    first_tonality: Ints
    """int64 [O]: the first tonality in which an offer can be shown in the spot."""
    weighed: Bools
    """bool [T]: the best tonalities have been found for the spot at hand."""
    weighed_for: Ints
    """int64 [2]: the row and the placement that `best` holds for; row -1 for none."""
    unknown: Ints
    """int64 [O]: offers whose best tonality is to be found."""
    column: Ints
    """int64 [O]: for each of them its column in the model's answer."""
    value: Floats
    """float64 [O]: its value, where the model has none."""
    weight: Floats
    """float64 [O]."""
    lever: Floats
    """float64 [O]."""
    shown: Bools
    """bool [N, O]: it can be shown in the tonality."""
    highest: Floats
    """float64 [O]: its best total so far at the timing at hand."""
    highest_tonality: Ints
    """int64 [O]: in this tonality."""
    totals: Floats
    """float64 [T, O]: `best` of the offer at each place of `verdicts.offers`."""
    tops: Floats
    """float64 [O]: the best of these at the timings that are open to the offer."""
    top_timings: Ints
    """int64 [O]: that timing; -1 if none is open."""
    taken: Bools
    """bool [O]: offered in this request already."""
    here: Bools
    """bool [O]: the offer at this place is offered in this spot already."""
    own_channel: Ints
    """int64 [H]: what the group at hand might add."""
    own_placement: Ints
    """int64 [P]."""
    none: Ints
    """int64 [H or P]: zeros, for who adds nothing."""
    deliverable: Bools
    """bool [H, T]."""
    choices: Ints
    """What the next draw is among."""
    scores: Floats
    chances: Floats


def scratch_for(shelf: Shelf, n_groups: int, longest: int) -> Scratch:
    """Room for a batch whose longest ledger, with what it may gain, has `longest` entries."""
    n_channels, _, _, n_tonalities, n_offers = shelf.treatment_of.shape
    n_placements, n_timings = shelf.placement_timings.shape
    widest = max(n_offers + 1, n_timings * n_tonalities)
    return Scratch(
        recent=recent_for(longest),
        verdicts=verdicts_for(n_timings, n_offers, max(n_offers, n_groups, 1)),
        moments=np.zeros(n_timings, MOMENT),
        best=np.zeros((n_timings, n_offers)),
        tonality=np.zeros((n_timings, n_offers), np.int64),
        first_tonality=np.zeros(n_offers, np.int64),
        weighed=np.zeros(n_timings, np.bool_),
        weighed_for=np.array([-1, 0]),
        unknown=np.zeros(n_offers, np.int64),
        column=np.zeros(n_offers, np.int64),
        value=np.zeros(n_offers),
        weight=np.zeros(n_offers),
        lever=np.zeros(n_offers),
        shown=np.zeros((n_tonalities, n_offers), np.bool_),
        highest=np.zeros(n_offers),
        highest_tonality=np.zeros(n_offers, np.int64),
        totals=np.zeros((n_timings, n_offers)),
        tops=np.zeros(n_offers),
        top_timings=np.zeros(n_offers, np.int64),
        taken=np.zeros(n_offers, np.bool_),
        here=np.zeros(n_offers, np.bool_),
        own_channel=np.zeros(n_channels, np.int64),
        own_placement=np.zeros(n_placements, np.int64),
        none=np.zeros(max(n_channels, n_placements), np.int64),
        deliverable=np.zeros((n_channels, n_timings), np.bool_),
        choices=np.zeros(widest, np.int64),
        scores=np.zeros(widest),
        chances=np.zeros(widest),
    )


class ScratchRoom(threading.local):
    """Scratch for a catalog's batches, once for every thread: every spot finds what another left, and minds not."""

    def __init__(self, shelf: Shelf, n_groups: int) -> None:
        self._shelf, self._n_groups = shelf, n_groups
        self._longest = -1

    def of(self, longest: int) -> Scratch:
        """Room for ledgers of up to `longest` entries, with what they may gain."""
        if longest > self._longest:
            self._longest = 2 * longest  # so that it seldom grows
            self._scratch = scratch_for(self._shelf, self._n_groups, self._longest)
        return self._scratch


def blank(n_requests: int, n_groups: int, n_spots: int, most_slots: int, n_offers: int) -> Picked:
    """An outcome to be filled."""
    picks = np.zeros((n_spots, most_slots), PICK)
    picks["offer"] = UNDRAWN
    results = np.zeros(n_spots, RESULT)
    results["advice_offer"] = -1
    return Picked(
        picks,
        np.zeros((n_spots, n_offers), CELL),
        results,
        np.zeros(n_requests, np.bool_),
        np.zeros(n_groups, np.int64),
    )
