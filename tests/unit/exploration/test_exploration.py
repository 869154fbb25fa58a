"""Distributions are exact, draws follow from ids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takt.exploration.distributions import RULES, draw, keep_floor, spread
from takt.exploration.draws import request_seed, uniform

scores = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


def chances(
    rule: str, found: list[float], epsilon: float = 0.2, temperature: float = 0.5, gamma: float = 10.0
) -> list[float]:
    """The distribution that the kernel spreads over scores."""
    out = np.full(len(found), np.nan)
    spread(RULES[rule], epsilon, temperature, gamma, np.array(found), len(found), out)
    return [float(p) for p in out]


@pytest.mark.parametrize("rule", RULES)
@given(found=scores)
def test_a_distribution_sums_to_one_and_favours_the_best(rule: str, found: list[float]) -> None:
    """Whatever the rule and the scores, it is a distribution, and nothing is likelier than the best."""
    spread_over = chances(rule, found)
    assert math.isclose(1.0, sum(spread_over))
    assert min(spread_over) >= 0.0
    assert math.isclose(max(spread_over), spread_over[found.index(max(found))])


def test_rules_spread_as_their_definitions_say() -> None:
    """Each rule gives the probabilities worked out by hand."""
    found = [1.0, 0.0, 0.5]
    weights = [math.exp(s / 0.5) for s in found]
    assert [1.0, 0.0, 0.0] == chances("greedy", found)
    assert pytest.approx([0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3]) == chances("epsilon", found)
    assert pytest.approx([w / sum(weights) for w in weights]) == chances("softmax", found)
    assert pytest.approx([1 - 1 / 13 - 1 / 8, 1 / 13, 1 / 8]) == chances("squarecb", found)


def test_ties_go_to_silence() -> None:
    """Silence is the first candidate: an offer that is worth nothing does not displace it."""
    assert [1.0, 0.0] == chances("greedy", [0.0, 0.0])


@given(scores, st.floats(0.001, 0.5))
def test_silence_keeps_its_floor(found: list[float], floor: float) -> None:
    """However good the offers, silence is never less likely than its floor, and the sum stays one."""
    out = np.array(chances("greedy", [0.0, *found]))
    keep_floor(floor, len(out), out)
    assert out[0] >= floor
    assert math.isclose(1.0, float(out.sum()))


def test_draws_come_out_as_often_as_their_probability() -> None:
    """Over many requests, each candidate is drawn with the probability that is logged for it."""
    p = np.array([0.01, 0.2, 0.0, 0.79])
    drawn = np.bincount(
        [draw(p, 4, uniform(np.uint64(request_seed(f"r{i}")), 7, 0, 0)) for i in range(20_000)], minlength=4
    )
    expected = p * 20_000
    assert 0 == drawn[2]
    assert bool((abs(drawn - expected) <= 4 * np.sqrt(expected * (1 - p)) + 1e-9).all())


def test_a_draw_depends_on_request_placement_slot_and_stage() -> None:
    """Change any of the four and another number is drawn; repeat them and the same one is."""
    seed, other = np.uint64(request_seed("a")), np.uint64(request_seed("b"))
    numbers = [uniform(s, p, k, g) for s in (seed, other) for p in (1, 2) for k in (0, 1) for g in (0, 1)]
    assert 16 == len(set(numbers))
    assert uniform(seed, 1, 0, 0) == numbers[0]
    assert all(0.0 <= n < 1.0 for n in numbers)


def test_kernels_agree_with_their_plain_twins() -> None:
    """The compiled draw is the Python one, bit for bit."""
    for i in range(50):
        seed = np.uint64(request_seed(str(i)))
        with np.errstate(over="ignore"):
            assert uniform.py_func(seed, 3, i, 1) == uniform(seed, 3, i, 1)
