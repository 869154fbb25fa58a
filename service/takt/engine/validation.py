"""What a request must be before anything is done for it. Every violation is found, not only the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from takt.errors import InvalidRequestError, Violation
from takt.features.validation import validate
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.domain.request import DecideRequest

MOST_PLACEMENTS: Final = 16
MOST_IDENTITIES: Final = 8
MOST_CONTEXT: Final = 64
LONGEST_ID: Final = 128
LONGEST_NAMESPACE: Final = 32
LONGEST_IDENTITY: Final = 256


def person_violations(request: DecideRequest) -> list[Violation]:
    """Who is meant: one profile id, or identities."""
    found: list[Violation] = []
    if bool(request.profile_id) == bool(request.identities):
        found.append(Violation("profile_id", "give either profile_id or identities, and not both"))
    if len(request.profile_id) > LONGEST_ID:
        found.append(Violation("profile_id", f"has {len(request.profile_id)} characters, at most {LONGEST_ID}"))
    if len(request.identities) > MOST_IDENTITIES:
        found.append(Violation("identities", f"{len(request.identities)} given, at most {MOST_IDENTITIES}"))
        return found
    for i, identity in enumerate(request.identities):
        if not 1 <= len(identity.namespace) <= LONGEST_NAMESPACE:
            found.append(Violation(f"identities[{i}].namespace", f"must have 1 to {LONGEST_NAMESPACE} characters"))
        if not 1 <= len(identity.value) <= LONGEST_IDENTITY:
            found.append(Violation(f"identities[{i}].value", f"must have 1 to {LONGEST_IDENTITY} characters"))
    return found


def placement_violations(request: DecideRequest, known: dict[str, int]) -> list[Violation]:
    """Which placements are to be filled: known ones, each once, not too many."""
    if not 1 <= len(request.placements) <= MOST_PLACEMENTS:
        return [
            Violation(
                "placements", f"{len(request.placements)} given, from 1 to {MOST_PLACEMENTS} can be decided at once"
            )
        ]
    found: list[Violation] = []
    seen: set[str] = set()
    for i, ask in enumerate(request.placements):
        if ask.placement not in known:
            hint = did_you_mean(ask.placement, known)
            found.append(
                Violation(
                    f"placements[{i}].placement", f"{shown(ask.placement)} is not a placement of the catalog; {hint}"
                )
            )
        elif ask.placement in seen:
            found.append(Violation(f"placements[{i}].placement", f"{shown(ask.placement)} is asked for twice"))
        seen.add(ask.placement)
    return found


def violations(
    request: DecideRequest, catalog: Catalog, placements: dict[str, int], timings: dict[str, int]
) -> list[Violation]:
    """All that is wrong with one request, by field; empty if it can be decided."""
    found: list[Violation] = []
    if not 1 <= len(request.request_id) <= LONGEST_ID:
        found.append(Violation("request_id", f"must have 1 to {LONGEST_ID} characters"))
    found += person_violations(request)
    found += placement_violations(request, placements)
    for i, timing in enumerate(request.timings[: len(timings) + 1]):
        if timing not in timings:
            found.append(
                Violation(
                    f"timings[{i}]", f"{shown(timing)} is not a timing of the catalog; {did_you_mean(timing, timings)}"
                )
            )
    if len(request.timings) > len(timings):
        found.append(Violation("timings", f"{len(request.timings)} given, the catalog has {len(timings)}"))
    if len(request.context) > MOST_CONTEXT:
        found.append(Violation("context", f"{len(request.context)} values given, at most {MOST_CONTEXT}"))
        return found
    found += [Violation(f'context["{v.field}"]', v.message) for v in validate(catalog.spec.context, request.context)]
    return found


def check(request: DecideRequest, catalog: Catalog, placements: dict[str, int], timings: dict[str, int]) -> None:
    """Raise `InvalidRequestError` with every violation, if there is any."""
    found = violations(request, catalog, placements, timings)
    if found:
        raise InvalidRequestError(tuple(found))
