"""What the engine answers, as values."""

from __future__ import annotations

import hashlib
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from takt.domain.reasons import Cause, Reason, Status

DECISION_BYTES: Final = 24


@lru_cache(maxsize=2048)  # asked for several times in a decision: to identify, to fetch and to commit
def person_address(profile_id: str) -> bytes:
    """16 bytes that say where a person's data lie: CRC-32 of the profile id (its partition) and 12 bytes of BLAKE2b.

    It leads to the person's keys in the store, and not back to the profile id.
    """
    name = profile_id.encode()
    return (
        zlib.crc32(name).to_bytes(4, "little") + hashlib.blake2b(name, digest_size=12, person=b"takt-person").digest()
    )


def decision_bytes(profile_id: str, request_id: str, address: bytes) -> bytes:
    """24 bytes: 8 derived from person and request, then the person's address.

    A repeat has the same id wherever it is decided, and feedback that carries nothing else finds its ledger.
    """
    named = f"{profile_id}\x00{request_id}".encode()
    return hashlib.blake2b(named, digest_size=8, person=b"takt-decision").digest() + address


def decision_id(profile_id: str, request_id: str) -> str:
    """`decision_bytes` as an answer states it, in hexadecimal digits."""
    return decision_bytes(profile_id, request_id, person_address(profile_id)).hex()


def ledger_code(decision: str) -> int:
    """The first 8 bytes of a decision id, which stand in the ledger. Raises `ValueError` if it is not an id."""
    return int.from_bytes(bytes.fromhex(decision)[:8], "little")


def address_of(decision: str) -> bytes:
    """The address in a decision id. Raises `ValueError` if it is not an id."""
    parts = bytes.fromhex(decision)
    if len(parts) != DECISION_BYTES:
        raise ValueError(f"a decision id has {2 * DECISION_BYTES} hexadecimal digits")
    return parts[8:]


class TimingWindow(Struct, frozen=True):
    """A named slot resolved for one customer and moment."""

    slot: str
    not_before_us: int
    not_after_us: int


class Score(Struct, frozen=True):
    """Every factor of a candidate's score, so that a person can check the sum.

    `total = (acceptance ** exponent - baseline) * value * context_weight * lever - annoyance_cost * reaction
    - contact_cost`. Probabilities lie in [0, 1]; the rest is in the workspace's unit of value.
    """

    acceptance: float
    baseline: float
    value: float
    context_weight: float
    lever: float
    annoyance_cost: float
    reaction: float
    contact_cost: float
    total: float


class RankedOffer(Struct, frozen=True):
    """One offer of the answer, with all that is needed to show it and to learn from it."""

    rank: int
    offer: str
    channel: str
    treatment: str
    content: str
    locale: str
    tonality: str
    form_of_address: str
    timing: TimingWindow
    score: Score
    offer_propensity: float
    """P(this offer in this slot | earlier picks)."""
    arm_propensity: float
    """P(this timing and tonality | the offer)."""
    hold_expires_us: int
    counted_event: str


class Candidate(Struct, frozen=True):
    """A live candidate with its best arm's score: what the explain level FULL shows of offers not chosen."""

    offer: str
    timing: str
    tonality: str
    score: Score


class NextMoment(Struct, frozen=True):
    """Advice: a better moment for this customer than this placement can deliver. Not a contact, nothing is held."""

    offer: str
    channel: str
    timing: TimingWindow
    total: float


class Exclusion(Struct, frozen=True):
    """Offers left out of one placement for one reason."""

    reason: Reason
    count: int
    offers: tuple[str, ...] = ()
    """Filled at explain level OFFERS and above."""
    detail: str = ""
    """The cap or rule that refused, where one did."""


class PlacementDecision(Struct, frozen=True):
    """What became of one placement."""

    placement: str
    channel: str
    status: Status
    offers: tuple[RankedOffer, ...] = ()
    fallback: str = ""
    """Content reference of the neutral content; empty unless status is FALLBACK or SILENCE."""
    silence_propensity: float = 0.0
    """P(silence) in the last slot that was drawn."""
    next_moment: NextMoment | None = None
    exclusions: tuple[Exclusion, ...] = ()
    candidates: tuple[Candidate, ...] = ()


class Degradation(Struct, frozen=True):
    """One cause for which the answer is less than it should be."""

    cause: Cause
    message: str


class Versions(Struct, frozen=True):
    """Which catalog, model and features made the answer."""

    catalog: str
    model: str
    features: str
    service: str


class Decision(Struct, frozen=True):
    """The answer to one request."""

    decision_id: str
    request_id: str
    profile_id: str
    anonymous: bool
    stage: str
    placements: tuple[PlacementDecision, ...]
    versions: Versions
    decided_at_us: int
    attempts: int
    dry_run: bool
    degradations: tuple[Degradation, ...] = ()

    @property
    def degraded(self) -> bool:
        """A degraded answer is not final: it is not remembered, and a repeat may get a better one."""
        return bool(self.degradations)
