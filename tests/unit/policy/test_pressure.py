"""Negative pressure against a slow, obvious reading of the formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.policy.contacts import CONTACT
from takt.policy.pressure import pressure


@dataclass(frozen=True)
class Seen:
    """One ledger entry."""

    time: int
    decision: int
    channel: int
    state: int


def obvious(entries: list[Seen], channel: int, moment: int, half_life: float, weights: tuple[float, float]) -> float:
    """Occasions and dismissals, each with its weight, halved with each half-life between it and the moment."""
    contacts = {(e.decision, e.channel, e.time) for e in entries if e.state in (0, 1, 2)}
    heard = [(t, weights[0]) for _, h, t in contacts if channel < 0 or h == channel]
    dismissed = [e for e in entries if e.state == 18]
    heard += [(e.time, weights[1]) for e in dismissed if channel < 0 or e.channel in (channel, -1)]
    return 1.0 - math.exp(-sum(weight * 2.0 ** (-abs(moment - time) / half_life) for time, weight in heard))


def kernel(entries: list[Seen], channel: int, moment: int, half_life: float, weights: tuple[float, float]) -> float:
    """The same by the kernel."""
    contacts = np.array([(e.time, 0, e.decision, 0, 0, e.channel, 0, e.state) for e in entries], CONTACT)
    return float(pressure(contacts, 0, len(entries), channel, moment, half_life, *weights))


entries = st.builds(
    Seen,
    time=st.sampled_from([900, 950, 1000, 1030]),
    decision=st.integers(1, 4),
    channel=st.integers(-1, 1),
    state=st.sampled_from([0, 0, 1, 2, 3, 16, 17, 18, 18]),
)
ledgers = st.lists(entries, max_size=10).map(lambda found: sorted(found, key=lambda e: e.decision))
weights = st.tuples(st.sampled_from([0.0, 0.02, 1.0]), st.sampled_from([0.0, 0.1, 2.0]))


@settings(max_examples=500)
@given(ledgers, st.integers(-1, 1), st.integers(990, 1010), st.sampled_from([1.0, 50.0, 1000.0]), weights)
def test_pressure_is_that_of_the_obvious_reading(
    ledger: list[Seen], channel: int, moment: int, half_life: float, given_weights: tuple[float, float]
) -> None:
    """Any ledger presses as much as the formula says."""
    assert pytest.approx(obvious(ledger, channel, moment, half_life, given_weights), abs=1e-12) == kernel(
        ledger, channel, moment, half_life, given_weights
    )


@given(ledgers, entries.filter(lambda e: e.state in (0, 1, 2, 18)), weights)
def test_one_more_contact_never_relieves(ledger: list[Seen], more: Seen, given_weights: tuple[float, float]) -> None:
    """Pressure lies in [0, 1) and only grows with what is added."""
    before = kernel(ledger, -1, 1000, 50.0, given_weights)
    after = kernel([*ledger, more], -1, 1000, 50.0, given_weights)
    assert 0.0 <= before <= after < 1.0


def test_an_empty_ledger_does_not_press() -> None:
    """Who was never contacted is not annoyed."""
    assert 0.0 == kernel([], -1, 1000, 50.0, (1.0, 1.0))
