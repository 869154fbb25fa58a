"""`takt.v1.DecideRequest` to the engine's request, and back for the log.

Refused here is what cannot mean anything whatever the catalog says: sizes, numbers that are not finite, a budget out of
range. Names and types are judged by the engine, which knows the catalog.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from google.protobuf.message import DecodeError
from msgspec import Struct

from takt.clock import SECOND_US
from takt.domain.request import DecideRequest, Explain, Identity, PlacementAsk
from takt.errors import InvalidRequestError, Violation
from takt.v1 import decision_pb2, types_pb2
from takt.wire.values import (
    LONGEST_ID,
    LONGEST_PROFILE_ID,
    MOST_IDENTITIES,
    duration_us,
    identity,
    length,
    scalars,
    value_message,
)

MOST_PLACEMENTS: Final = 16
MOST_CONTEXT: Final = 64
MOST_TIMINGS: Final = 32
LEAST_BUDGET_US: Final = 1_000
MOST_BUDGET_US: Final = 60 * SECOND_US
BUDGET_TAG: Final = b"\x52"
"""Of `DecideRequest.budget`, as every implementation writes it."""

EXPLAIN: Final = {
    decision_pb2.EXPLAIN_LEVEL_UNSPECIFIED: Explain.COUNTS,
    decision_pb2.EXPLAIN_LEVEL_COUNTS: Explain.COUNTS,
    decision_pb2.EXPLAIN_LEVEL_OFFERS: Explain.OFFERS,
    decision_pb2.EXPLAIN_LEVEL_FULL: Explain.FULL,
}
EXPLAIN_LEVEL: Final = {
    Explain.COUNTS: decision_pb2.EXPLAIN_LEVEL_COUNTS,
    Explain.OFFERS: decision_pb2.EXPLAIN_LEVEL_OFFERS,
    Explain.FULL: decision_pb2.EXPLAIN_LEVEL_FULL,
}


class Budget(Struct, frozen=True):
    """How long a decision may take, on the clock's monotonic scale."""

    received_us: int
    default_us: int
    """Where the request names none."""
    latest_us: int = 0
    """Past this moment nobody reads the answer (the call's own deadline, less the way back); 0 = no such moment."""

    def deadline_us(self, asked_us: int) -> int:
        """The moment at which to fall back; `asked_us` is the request's own budget, 0 = none."""
        own = self.received_us + (asked_us or self.default_us)
        # never 0, which would mean no deadline at all
        return max(1, min(own, self.latest_us) if self.latest_us else own)


def decide_request(
    message: decision_pb2.DecideRequest, budget: Budget, times: Container[str] = frozenset()
) -> DecideRequest:
    """What is asked, as a value. `times` are the context features that are declared as timestamps.

    Raises `InvalidRequestError` with every violation found.
    """
    found: list[Violation] = []
    if bool(message.profile_id) == bool(message.identities):
        found.append(Violation("profile_id", "give either profile_id or identities, and not both"))
    identities: tuple[Identity, ...] = ()
    if len(message.identities) > MOST_IDENTITIES:
        found.append(Violation("identities", f"{len(message.identities)} given, at most {MOST_IDENTITIES}"))
    else:
        identities = tuple(identity(i, f"identities[{n}]", found) for n, i in enumerate(message.identities))
    placements: tuple[PlacementAsk, ...] = ()
    if 1 <= len(message.placements) <= MOST_PLACEMENTS:
        placements = tuple(
            PlacementAsk(length(p.placement, f"placements[{n}].placement", found), p.max_offers)
            for n, p in enumerate(message.placements)
        )
    else:
        found.append(
            Violation(
                "placements", f"{len(message.placements)} given, from 1 to {MOST_PLACEMENTS} can be decided at once"
            )
        )
    timings: tuple[str, ...] = ()
    if len(message.timings) > MOST_TIMINGS:
        found.append(Violation("timings", f"{len(message.timings)} given, at most {MOST_TIMINGS}"))
    else:
        timings = tuple(length(t, f"timings[{n}]", found) for n, t in enumerate(message.timings))
    explain = EXPLAIN.get(message.explain)
    if explain is None:
        found.append(Violation("explain", f"{message.explain} is not an ExplainLevel; use COUNTS, OFFERS or FULL"))
    request = DecideRequest(
        request_id=length(message.request_id, "request_id", found, least=1, most=LONGEST_ID),
        placements=placements,
        profile_id=length(message.profile_id, "profile_id", found, most=LONGEST_PROFILE_ID),
        identities=identities,
        context=scalars(message.context, "context", found, most=MOST_CONTEXT, times=times),
        timings=timings,
        dry_run=message.dry_run,
        explain=explain or Explain.COUNTS,
        allow_duplicates=message.allow_duplicates,
        deadline_us=budget.deadline_us(_budget_us(message, found)),
    )
    if found:
        raise InvalidRequestError(tuple(found))
    return request


def asked_budget_us(serialised: bytes) -> int:
    """The budget that a serialised request names, and nothing else of it; 0 where it names none that could be kept."""
    if BUDGET_TAG not in serialised:  # as in most, which is quickly seen
        return 0
    try:
        message = decision_pb2.DecideRequest.FromString(serialised)
    except DecodeError:
        return 0
    found: list[Violation] = []
    asked_us = _budget_us(message, found)
    return 0 if found else asked_us


def _budget_us(message: decision_pb2.DecideRequest, found: list[Violation]) -> int:
    """The request's own budget, 0 where it names none."""
    if not message.HasField("budget"):
        return 0
    budget = duration_us(message.budget)
    if not LEAST_BUDGET_US <= budget <= MOST_BUDGET_US:
        found.append(Violation("budget", "must be 1 ms to 60 s"))
    return budget


def request_message(request: DecideRequest) -> decision_pb2.DecideRequest:
    """What was asked, as the log keeps it: without the values of identities, and without the budget."""
    return decision_pb2.DecideRequest(
        request_id=request.request_id,
        profile_id=request.profile_id,
        identities=[types_pb2.Identity(namespace=i.namespace) for i in request.identities],
        placements=[
            decision_pb2.PlacementRequest(placement=p.placement, max_offers=p.max_offers) for p in request.placements
        ],
        context={name: value_message(value) for name, value in request.context.items()},
        timings=request.timings,
        dry_run=request.dry_run,
        explain=EXPLAIN_LEVEL[request.explain],
        allow_duplicates=request.allow_duplicates,
    )
