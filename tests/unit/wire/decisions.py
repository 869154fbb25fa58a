"""Decisions as hypothesis draws them: any that the engine could give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from takt.domain.decision import (
    Candidate,
    Decision,
    Degradation,
    Exclusion,
    NextMoment,
    PlacementDecision,
    RankedOffer,
    Score,
    TimingWindow,
    Versions,
)
from takt.domain.reasons import Cause, Reason, Status

T = TypeVar("T")

names = st.sampled_from(["", "milk", "hero", "Grün", "a/b", "\x00", "日本", "x" * 300])
moments = st.sampled_from([0, 1, -1, 999_999, 1_700_000_000_123_456, -(10**14), 10**17])
probabilities = st.sampled_from([0.0, 0.1, 1 / 3, 1.0, 5e-324])
amounts = st.sampled_from([0.0, -0.0, 0.1, -1 / 3, 1e300, -5e-324])
counts = st.sampled_from([0, 1, 2**32 - 1])


def built(
    kind: Callable[..., T], *places: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[T]:
    """A value of so many drawn parts; `st.builds` would ask for types that only a type checker has."""
    return st.tuples(st.tuples(*places), st.fixed_dictionaries(named)).map(lambda parts: kind(*parts[0], **parts[1]))


windows = built(TimingWindow, names, moments, moments)
scores = built(Score, probabilities, probabilities, amounts, amounts, amounts, amounts, probabilities, amounts, amounts)


def offers_of(size: int) -> st.SearchStrategy[tuple[RankedOffer, ...]]:
    """So many offers, ranked from 1."""

    def offer(rank: int) -> st.SearchStrategy[RankedOffer]:
        return built(
            RankedOffer,
            rank=st.just(rank),
            offer=names,
            channel=names,
            treatment=names,
            content=names,
            locale=names,
            tonality=names,
            form_of_address=st.sampled_from(["FORMAL", "INFORMAL", "NEUTRAL"]),
            timing=windows,
            score=scores,
            offer_propensity=probabilities,
            arm_propensity=probabilities,
            hold_expires_us=st.sampled_from([0, 1, 10**17]),
            counted_event=st.sampled_from(["DECISION", "IMPRESSION", "CLICK"]),
        )

    return st.tuples(*(offer(rank) for rank in range(1, size + 1)))


placements = built(
    PlacementDecision,
    placement=names,
    channel=names,
    status=st.sampled_from(Status),
    offers=st.integers(0, 3).flatmap(offers_of),
    fallback=names,
    silence_propensity=probabilities,
    next_moment=st.none() | built(NextMoment, names, names, windows, amounts),
    exclusions=st.lists(
        built(Exclusion, st.sampled_from(Reason), counts, st.lists(names, max_size=3).map(tuple), names),
        max_size=3,
    ).map(tuple),
    candidates=st.lists(built(Candidate, names, names, names, scores), max_size=2).map(tuple),
)

decisions = built(
    Decision,
    decision_id=names,
    request_id=names,
    profile_id=names,
    anonymous=st.booleans(),
    stage=names,
    placements=st.lists(placements, max_size=3).map(tuple),
    versions=built(Versions, names, names, names, names),
    decided_at_us=moments,
    attempts=counts,
    dry_run=st.booleans(),
    degradations=st.lists(built(Degradation, st.sampled_from(Cause), names), max_size=2).map(tuple),
)
