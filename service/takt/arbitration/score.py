"""The score of one candidate (see `takt.domain.decision.Score` for the factors and their units)."""

from __future__ import annotations

from takt.kernel import kernel


@kernel
def total(
    acceptance: float,
    exponent: float,
    baseline: float,
    value: float,
    context_weight: float,
    lever: float,
    annoyance_cost: float,
    reaction: float,
    contact_cost: float,
) -> float:
    """`(acceptance**exponent - baseline) * value * context_weight * lever - annoyance * reaction - contact_cost`."""
    chance = acceptance if exponent == 1.0 else acceptance**exponent
    return (chance - baseline) * value * context_weight * lever - annoyance_cost * reaction - contact_cost
