"""The answer when nothing could be decided: every placement's neutral content, no contact, not final."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from takt.domain.decision import Decision, Degradation, PlacementDecision, Versions, decision_id
from takt.domain.reasons import Cause, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from takt.engine.asking import Asking
    from takt.engine.batch import Item
    from takt.engine.force import Force


def versions(force: Force, model: str, service: str) -> Versions:
    """What is in force, as the answer says it."""
    return Versions(
        catalog=force.catalog.version,
        model=model,
        features=f"{force.catalog.spec.layout_fingerprint:016x}",
        service=service,
    )


def neutral(force: Force, placements: Iterable[int]) -> tuple[PlacementDecision, ...]:
    """Placements of the catalog with nothing but their neutral content."""
    catalog = force.catalog
    return tuple(
        PlacementDecision(
            placement=catalog.placements[p].id,
            channel=catalog.channels[catalog.placements[p].channel].id,
            status=Status.FALLBACK if catalog.placements[p].fallback else Status.EMPTY,
            fallback=catalog.placements[p].fallback,
        )
        for p in placements
    )


def of_asking(
    asking: Asking, index: int, *, cause: Cause, message: str, now_us: int, service_version: str, item: Item | None
) -> Decision:
    """The fallback of one request of a batch; `item` if it is known already who is meant."""
    profile_id = item.profile_id if item else asking.profile_ids[index]
    request_id = asking.request_ids[index]
    return replace(
        nameless(asking, index, cause=cause, message=message, now_us=now_us, service_version=service_version),
        decision_id=decision_id(profile_id, request_id),
        request_id=request_id,
        profile_id=profile_id,
        attempts=item.attempt if item else 0,
    )


def nameless(asking: Asking, index: int, *, cause: Cause, message: str, now_us: int, service_version: str) -> Decision:
    """What the fallbacks of all requests that ask for the same as this one have in common: all but their names."""
    return Decision(
        decision_id="",
        request_id="",
        profile_id="",
        anonymous=False,
        stage="",
        placements=neutral(asking.force, asking.placements(index)),
        versions=versions(asking.force, asking.force.scorer.version, service_version),
        decided_at_us=now_us,
        attempts=0,
        dry_run=bool(asking.dry_run[index]),
        degradations=(Degradation(cause, message),),
    )
