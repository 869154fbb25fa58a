"""The small form of the proof of propensities, and that it would see what it looks for."""

from __future__ import annotations

import pytest

from tests.proofs.propensities import RULES, SILENCE, Draws, Ratio, careless, run

DRAWS = 6_000


@pytest.mark.parametrize("rule", RULES)
def test_logged_probabilities_are_true(rule: str) -> None:
    """The mean of 1{drawn}/p is 1 for every action, as near as so few draws tell."""
    account = run(Draws(RULES[rule], seed=3), DRAWS)

    assert account.retried > 50
    assert {SILENCE, "rare", "good", "fair", "poor"} <= {key[2] for key in account.ratios}
    assert abs(account.worst[1]) < 4.0, account.worst


def test_silence_that_skips_the_check_is_seen() -> None:
    """What bends the probabilities by a fifth is far outside of what chance does."""
    ratio = run(careless(), DRAWS).ratios["hero", "slot 0", SILENCE]

    assert ratio.mean > 1.05
    assert ratio.errors > 3.0


def test_errors_are_those_of_a_mean() -> None:
    """Half of them 0 and half 2: the mean is 1, and a quarter that is missing shows."""
    fair, bent = Ratio(), Ratio()
    for n in range(400):
        fair.add(2.0 * (n % 2))
        bent.add(2.0 * (n % 2) * (n % 4 > 1))

    assert (1.0, 0.0) == (fair.mean, fair.errors)
    assert (0.5, pytest.approx(-10.0)) == (bent.mean, bent.errors)
