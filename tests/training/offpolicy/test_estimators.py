"""Estimates of another policy: exact where they must be, covered where they claim to be, refused where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from takt_training.offpolicy.draws import Draws, Floats, Policy
from takt_training.offpolicy.estimators import Refused, Value, Weighed, gain, judge, logged, weigh
from takt_training.offpolicy.reward import FittedReward, Ridge, cross_fitted
from takt_training.offpolicy.support import Shortfall, clustered_error, support
from tests.training.offpolicy.worlds import truth, with_heavy_row, world


def _judged(draws: Draws, policy: Policy) -> Value | Refused:
    return judge(weigh(draws, policy, cross_fitted(Ridge(), draws)))


def test_the_formulas_are_those_of_the_field() -> None:
    """Worked by hand: two rows, weights 2 and .5, a reward model that is off by .1."""
    weighed = Weighed(
        policy="p",
        weight=np.array([2.0, 0.5]),
        expected=np.array([0.4, 0.2]),
        predicted=np.array([0.9, 0.1]),
        reward=np.array([1.0, 0.0]),
        person=np.array([0, 1]),
    )

    found = judge(weighed)

    assert isinstance(found, Refused)
    assert pytest.approx(1.0) == found.unfit.ips.value
    assert pytest.approx(0.8) == found.unfit.snips.value
    assert pytest.approx((0.4 + 2 * 0.1 + 0.2 - 0.5 * 0.1) / 2) == found.unfit.dr.value
    assert pytest.approx(0.3) == found.unfit.direct
    assert pytest.approx(2.5**2 / 4.25) == found.support.ess
    assert pytest.approx(0.8) == found.support.largest_share


def test_the_policy_of_the_log_is_worth_its_mean_reward() -> None:
    """Told to be the log's, a policy is worth exactly the mean reward; by its distribution, within the interval."""
    draws, log, _ = world(1)
    expected = cross_fitted(Ridge(), draws)

    found, own = judge(weigh(draws, log, expected)), judge(logged(draws, expected))

    assert isinstance(own, Value)
    assert isinstance(found, Value)
    mean = draws.reward.mean()
    assert pytest.approx(mean) == own.ips.value == own.snips.value == own.dr.value
    assert pytest.approx(len(draws)) == own.support.ess
    assert found.dr.low < mean < found.dr.high


def test_intervals_cover_a_known_truth_in_90_to_99_of_100_logs() -> None:
    """200 seeded logs of people who come back, where the largest weight is at most 2% of the sum."""
    value = truth()

    found = [_judged(draws, other) for draws, _, other in map(world, range(200))]

    assert max(one.support.largest_share for one in found) <= 0.02
    covered = [isinstance(one, Value) and one.dr.low <= value <= one.dr.high for one in found]
    assert 0.90 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(
    ("share", "shortfalls"), [(0.05, (Shortfall.WEIGHT,)), (0.16, (Shortfall.ESS, Shortfall.WEIGHT))]
)
def test_one_row_with_much_of_the_weight_is_refused(share: float, shortfalls: tuple[Shortfall, ...]) -> None:
    """At 5% the effective sample size would have let it pass; the largest weight does not."""
    draws, _, other = world(0)

    found = _judged(with_heavy_row(draws, other, share=share), other)

    assert isinstance(found, Refused)
    assert shortfalls == found.shortfalls
    assert pytest.approx(share) == found.support.largest_share
    assert f"{share:.1%} of all weight" in " ".join(found.reasons)


def test_too_few_effective_rows_are_refused() -> None:
    """Ninety rows are worth at most ninety."""
    draws, log, _ = world(2, rows=90)

    found = _judged(draws, log)

    assert isinstance(found, Refused)
    assert Shortfall.ESS in found.shortfalls
    assert any("at least 100 are needed" in reason for reason in found.reasons)


def test_a_thousand_rows_of_five_persons_are_refused() -> None:
    """Rows of one person share their luck; five persons say little, however often they came."""
    draws, log, _ = world(3, rows=1000)

    found = _judged(replace(draws, person=draws.person % 5), log)

    assert isinstance(found, Refused)
    assert (Shortfall.PERSONS,) == found.shortfalls


def test_doubly_robust_survives_a_reward_model_that_is_nonsense() -> None:
    """A model that expects 5 everywhere makes the direct method absurd; with true propensities DR stands."""

    class Nonsense:
        def fit(self, draws: Draws) -> FittedReward:
            del draws
            return self

        def expect(self, draws: Draws) -> Floats:
            return np.full(draws.allowed.shape, 5.0)

    value = truth()
    found = [judge(weigh(draws, other, cross_fitted(Nonsense(), draws))) for draws, _, other in map(world, range(20))]

    for one in found:
        assert isinstance(one, Value)
        assert pytest.approx(5.0) == one.direct
    covered = [isinstance(one, Value) and one.dr.low <= value <= one.dr.high for one in found]
    assert sum(covered) >= 17


def test_a_good_reward_model_narrows_the_interval() -> None:
    """What is explained by people and actions is no longer noise: DR is tighter than IPS."""
    draws, _, other = world(5)

    found = _judged(draws, other)

    assert isinstance(found, Value)
    assert found.dr.high - found.dr.low < found.ips.high - found.ips.low


def test_a_reward_model_never_sees_the_person_that_it_is_asked_about() -> None:
    """Cross-fitting is by person: no person's rows are both learned from and predicted."""
    draws, _, _ = world(6, rows=300)

    class Watching:
        def fit(self, draws: Draws) -> FittedReward:
            return Seen(set(draws.person.tolist()))

    class Seen:
        def __init__(self, persons: set[int]) -> None:
            self.persons = persons

        def expect(self, draws: Draws) -> Floats:
            assert not self.persons & set(draws.person.tolist())
            return np.ones(draws.allowed.shape)

    assert (cross_fitted(Watching(), draws) == 1).all()


def test_wrong_propensities_are_seen_in_the_mean_weight() -> None:
    """Logged twice as large as they were, the weights add up to half."""
    draws, _, other = world(7)
    good = support(other.weight(draws), draws.person)
    halved = replace(draws, propensity=np.minimum(draws.propensity * 2, 1.0))
    wrong = support(other.weight(halved), draws.person)

    assert good.weights_add_up
    assert not wrong.weights_add_up


def test_what_nobody_differs_in_differs_by_nothing() -> None:
    """The gain of a policy over itself is exactly zero; paired intervals are tighter than the two apart."""
    draws, log, other = world(8)
    expected = cross_fitted(Ridge(), draws)
    one, two = weigh(draws, other, expected), weigh(draws, log, expected)

    nothing, something = gain(one, one), gain(one, two)

    assert (0.0, 0.0, 0.0) == (nothing.value, nothing.low, nothing.high)
    assert something.low > 0


@given(copies=st.integers(2, 6), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_copies_of_a_persons_rows_make_nothing_surer(copies: int, seed: int) -> None:
    """A log doubled row by row, each copy of the same person, has the same standard error."""
    rng = np.random.default_rng(seed)
    influence, person = rng.normal(size=60), rng.integers(0, 20, 60)

    found = clustered_error(np.tile(influence, copies), np.tile(person, copies))

    assert pytest.approx(clustered_error(influence, person)) == found


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("propensity", 0.0, "propensity, row 3: 0.0 lies outside"),
        ("propensity", 1.5, "propensity, row 3: 1.5 lies outside"),
        ("propensity", np.nan, "propensity, row 3: nan lies outside"),
        ("reward", np.inf, "reward, row 3: inf is no finite number"),
        ("action", 9, "action, row 3: 9 is no code"),
    ],
)
def test_a_bad_row_is_named(column: str, value: float, message: str) -> None:
    """Column, row, value and what is wrong with it."""
    draws, _, _ = world(9, rows=50)
    changed = getattr(draws, column).copy()
    changed[3] = value

    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        replace(draws, **{column: changed})


def test_what_was_drawn_must_have_been_allowed() -> None:
    """Else candidates and draws do not belong together."""
    draws, _, _ = world(9, rows=50)
    allowed = draws.allowed.copy()
    allowed[7, draws.action[7]] = False

    with pytest.raises(ValueError, match=r"action, row 7: \d was drawn but is not allowed"):
        replace(draws, allowed=allowed)


def test_a_policy_must_keep_to_what_was_allowed() -> None:
    """Probability on what could never be drawn has no weight anywhere: the estimate would be of another policy."""
    draws, log, _ = world(9, rows=50)
    other = (draws.action + 1) % len(draws.names)
    allowed = np.ones_like(draws.allowed)
    allowed[np.arange(50), other] = False

    with pytest.raises(ValueError, match="puts probability on what could not be drawn"):
        log.checked(replace(draws, allowed=allowed))
    with pytest.raises(ValueError, match="does not add up to 1"):
        Policy("half", log.probability / 2).checked(draws)
