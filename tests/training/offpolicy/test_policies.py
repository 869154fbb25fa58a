"""Policies as arrays: chance, one for everybody, and the service's own distributions."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from takt.exploration.distributions import Rule
from takt_training.offpolicy.policies import Exploration, best_constant, by_scores, constant, uniform
from takt_training.split import both, moment_split, person_folds
from tests.training.offpolicy.worlds import world


def test_chance_is_among_what_was_allowed() -> None:
    """A row with two allowed actions gives each a half."""
    draws, _, _ = world(1, rows=30)
    allowed = np.zeros_like(draws.allowed)
    allowed[:, 0] = True
    allowed[np.arange(30), np.maximum(draws.action, 1)] = True
    narrow = replace(draws, action=np.maximum(draws.action, 1), allowed=allowed)

    policy = uniform(narrow).checked(narrow)

    assert {0.0, 0.5} == set(np.unique(policy.probability))


def test_a_constant_falls_to_silence_where_it_may_not_be_shown() -> None:
    """An offer that is not eligible for somebody is not shown to them; silence is what remains."""
    draws, _, _ = world(1, rows=30)
    allowed = draws.allowed.copy()
    allowed[draws.action != 2, 2] = False

    policy = constant(replace(draws, allowed=allowed), 2).checked(replace(draws, allowed=allowed))

    assert (policy.probability[draws.action == 2, 2] == 1).all()
    assert (policy.probability[draws.action != 2, 0] == 1).all()


def test_the_best_constant_is_chosen_on_the_training_part() -> None:
    """The third offer earns most in this world, and rows of the test part have no say."""
    draws, _, _ = world(2, rows=20_000)
    train = np.arange(len(draws)) < 10_000

    found = best_constant(draws.take(train))
    changed = replace(draws, reward=np.where(train, draws.reward, draws.action == 1))

    assert found is not None
    assert found == best_constant(changed.take(train))
    assert "b" == found.name


def test_nothing_is_chosen_by_a_handful_of_rows() -> None:
    """Ten rows an action are not enough to call one the best."""
    draws, _, _ = world(2, rows=50)

    assert best_constant(draws) is None


@pytest.mark.parametrize(
    ("exploration", "expected"),
    [
        (Exploration(), [0.0, 0.0, 1.0]),
        (Exploration(Rule.EPSILON, epsilon=0.3), [0.1, 0.1, 0.8]),
        (Exploration(Rule.EPSILON, epsilon=0.3, floor=0.5), [0.55, 0.05, 0.4]),
    ],
)
def test_scores_are_explored_as_by_the_service(exploration: Exploration, expected: list[float]) -> None:
    """Silence, then two offers; the third action is not allowed, though its score is the highest."""
    draws, _, _ = world(3, rows=4)
    allowed = np.zeros_like(draws.allowed)
    allowed[:, [0, 1, 3]] = True
    narrow = replace(draws, action=np.array([0, 1, 3, 3]), allowed=allowed)
    scores = np.tile([0.0, 0.1, 9.0, 0.4, 0.0], (4, 1))

    policy = by_scores(narrow, scores, exploration, "candidate").checked(narrow)

    assert pytest.approx(expected) == policy.probability[0, [0, 1, 3]].tolist()


def test_people_are_kept_together_and_each_is_tested_once() -> None:
    """Folds by person share nobody and leave nobody out."""
    person = np.random.default_rng(0).integers(0, 50, 400)

    folds = list(person_folds(person, folds=4))

    assert (np.sum([fold.test for fold in folds], axis=0) == 1).all()
    for fold in folds:
        assert not set(person[fold.train]) & set(person[fold.test])
    with pytest.raises(ValueError, match="1 folds: at least 2"):
        next(person_folds(person, folds=1))


def test_a_window_lies_between_what_is_learned_and_what_is_judged() -> None:
    """Moments whose window is open at the boundary or at the end are in neither part; by both, nor people."""
    time = np.arange(10) * 10
    person = np.arange(10) % 2

    by_time = moment_split(time, window_us=20, boundary_us=50, end_us=90)
    by_both = both(by_time, next(person_folds(person, folds=2)))

    assert [0, 10, 20] == time[by_time.train].tolist()
    assert [50, 60, 70] == time[by_time.test].tolist()
    assert not set(person[by_both.train]) & set(person[by_both.test])
    assert by_both.train.any()
    assert by_both.test.any()
