"""Permutation importance: the column that decides is found, the one that is never looked at loses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from takt_training.importance import permutation_importance


def test_what_is_used_most_comes_first() -> None:
    """A score of 3 a + b on outcomes drawn from it; c is never looked at."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(4000, 3)).astype(np.float32)
    accepted = rng.random(4000) < 1 / (1 + np.exp(-(3 * columns[:, 0] + columns[:, 1])))

    found = permutation_importance(
        lambda given: (3 * given[:, 0] + given[:, 1]).astype(np.float64), columns, ("a", "b", "c"), accepted
    )

    assert ["a", "b", "c"] == [one.column for one in found]
    assert found[0].loss > 0.2 > found[1].loss > 0.005
    assert pytest.approx(0.0) == found[2].loss
    assert all(one.low <= one.loss <= one.high for one in found)


def test_shuffling_leaves_the_rows_as_they_were() -> None:
    """The caller's columns are not touched."""
    columns = np.arange(20, dtype=np.float32).reshape(10, 2)
    before = columns.copy()

    permutation_importance(lambda given: given[:, 0].astype(np.float64), columns, ("a", "b"), np.arange(10) > 4)

    assert (before == columns).all()
