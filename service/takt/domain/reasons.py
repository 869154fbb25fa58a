"""Why a candidate was left out, and why an answer is less than it should be."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Reason(IntEnum):
    """Why an offer is not in the answer, in the order of judgement: the first that holds is the one reported.

    The numbers equal `takt.v1.ReasonCode` and never change. Gaps are left for reasons to come.
    """

    NONE = 0
    NOT_FOR_PLACEMENT = 10
    NOT_VALID_YET = 20
    EXPIRED = 30
    NOT_ELIGIBLE = 40
    RULE_ERROR = 50
    NO_CONSENT = 60
    FORM_OF_ADDRESS = 70
    NO_TREATMENT = 80
    TIMING_NOT_ALLOWED = 90
    TIMING_PASSED = 100
    SUPPRESSED = 110
    QUIET_HOURS = 120
    LEDGER_FULL = 130
    MINIMUM_GAP = 140
    CAP_PROFILE = 150
    CAP_CHANNEL = 160
    CAP_PLACEMENT = 170
    CAP_GROUP = 180
    CAP_OFFER = 190
    CAP_TOTAL = 200
    MODEL_ERROR = 210
    DUPLICATE = 220
    BELOW_SILENCE = 230
    OUTRANKED = 240
    NOT_DRAWN = 250


class Cause(StrEnum):
    """Why an answer is degraded. Every cause is counted in the metrics and shown in the answer."""

    STORE = "STORE"
    MODEL = "MODEL"
    DEADLINE = "DEADLINE"
    OVERLOAD = "OVERLOAD"
    PROFILE = "PROFILE"
    CONTENTION = "CONTENTION"
    CATALOG = "CATALOG"


class Status(StrEnum):
    """What became of one placement."""

    OFFERED = "OFFERED"
    """At least one offer, hence a contact."""
    SILENCE = "SILENCE"
    """Saying nothing won, or was drawn. Not a contact."""
    FALLBACK = "FALLBACK"
    """The placement's neutral content: nothing could be offered, or the answer is degraded. Not a contact."""
    EMPTY = "EMPTY"
    """Nothing could be offered and the placement has no fallback."""
