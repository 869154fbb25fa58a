"""Figures agree with scikit-learn's, and intervals know whose rows belong together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as their_log_loss
from sklearn.metrics import roc_auc_score

from takt_training.metrics import (
    auc,
    auc_difference,
    auc_interval,
    bootstrap,
    ece_of_perfect,
    expected_calibration_error,
    log_loss,
    observed_over_expected,
    reliability,
)


@given(seed=st.integers(0, 10_000), levels=st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_auc_is_scikit_learns_with_ties_and_weights(seed: int, levels: int) -> None:
    """Tied scores count half, and a weight counts as that many rows."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, 80).astype(np.float64)
    accepted = rng.random(80) < 0.4
    accepted[:2] = [True, False]
    weight = rng.integers(1, 4, 80).astype(np.float64)

    assert roc_auc_score(accepted, score, sample_weight=weight) == pytest.approx(auc(score, accepted, weight))


def test_auc_without_both_kinds_is_nan() -> None:
    """There is nothing to rank where everybody accepted."""
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([True, True])))


def test_log_loss_is_scikit_learns() -> None:
    """Mean negative log-likelihood."""
    rng = np.random.default_rng(1)
    probability, accepted = rng.random(50), rng.random(50) < 0.5

    assert their_log_loss(accepted, probability) == pytest.approx(log_loss(probability, accepted))


def test_calibration_error_is_the_mean_gap_of_equal_bins() -> None:
    """Two bins of two rows: gaps of .1 and .3 make .2."""
    probability = np.array([0.4, 0.4, 0.8, 0.8])
    accepted = np.array([True, False, True, False])

    assert pytest.approx(0.2) == expected_calibration_error(probability, accepted, bins=2)
    assert [2, 2] == [part.rows for part in reliability(probability, accepted, bins=2)]
    assert pytest.approx(2 / 2.4) == observed_over_expected(probability, accepted)


def test_perfect_estimates_have_an_error_of_chance() -> None:
    """The spread shrinks with the number of rows, and the 95th percentile lies above the mean."""
    few = ece_of_perfect(np.full(200, 0.3), draws=100)
    many = ece_of_perfect(np.full(20_000, 0.3), draws=100)

    assert few[0] < few[1]
    assert many[1] < few[0] / 3


def test_a_score_does_not_differ_from_itself() -> None:
    """Paired: the same rows are drawn for both, so the interval is a point."""
    rng = np.random.default_rng(2)
    score, accepted, person = rng.random(100), rng.random(100) < 0.3, rng.integers(0, 40, 100)

    found = auc_difference(score, score, accepted, person, draws=50)

    assert (0.0, 0.0, 0.0) == (found.value, found.low, found.high)


def test_rows_of_one_person_are_drawn_together() -> None:
    """The mean of 10 persons with 100 equal rows each is as unsure as that of 10 rows."""
    values = np.repeat(np.arange(10.0), 100)
    person = np.repeat(np.arange(10), 100)

    found = bootstrap(lambda weight: float(weight @ values / weight.sum()), person, draws=400)

    assert pytest.approx(4.5) == found.value
    assert found.high - found.low > 2.0


def test_the_interval_holds_the_value() -> None:
    """AUC lies within its own interval."""
    rng = np.random.default_rng(3)
    accepted = rng.random(300) < 0.3
    score = accepted + rng.normal(0, 1, 300)

    found = auc_interval(score, accepted, np.arange(300), draws=200)

    assert found.low < found.value < found.high
