"""Real clicks with true propensities: one log's estimates beside what the other log knows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from takt.errors import NotFoundError
from takt_training.offpolicy.estimators import Refused, judge, weigh
from takt_training.offpolicy.policies import uniform
from takt_training.offpolicy.reward import Ridge, cross_fitted
from takt_training.offpolicy.support import Shortfall
from takt_training.open_bandit.recipe import PUBLISHED, bts_policy, relative_errors
from takt_training.open_bandit.tables import Campaign, Logs, load


@pytest.fixture(scope="module")
def everything() -> Logs:
    """The campaign ALL; its files are read, not its package."""
    return load("all")


def test_the_package_is_never_imported(everything: Logs) -> None:
    """Its CSV files are found without running a line of it."""
    assert 20_000 == len(everything.random) + len(everything.bts)
    assert not [name for name in sys.modules if name.partition(".")[0] == "obp"]


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    """The message is the command."""
    with pytest.raises(NotFoundError, match=r"pip install --no-deps obp==0\.4\.1"):
        load("all", tmp_path)


def test_the_data_are_those_that_were_published(everything: Logs) -> None:
    """Clicks, items and the uniform propensity of the small sample."""
    assert (0.0038, 0.0042) == (everything.random.reward.mean(), everything.bts.reward.mean())
    assert {1 / 80} == set(everything.random.propensity.tolist())
    assert {0, 1, 2} == set(everything.bts.slot.tolist())


def test_the_bts_policy_is_a_distribution_that_its_own_log_confirms(everything: Logs) -> None:
    """By position it adds up to 1, and lies close to how often each item was shown there."""
    policy = bts_policy(everything.bts, everything.bts).checked(everything.bts)

    for slot in range(3):
        rows = everything.bts.slot == slot
        shown = np.bincount(everything.bts.action[rows], minlength=81) / rows.sum()
        # half the sum of differences is the share of draws that would have to move
        assert np.abs(policy.probability[rows][0] - shown).sum() / 2 < 0.2


def test_relative_errors_lie_within_the_published_spread(everything: Logs) -> None:
    """IPW, SNIPW, DR and DM, from the uniform log to BTS."""
    found = relative_errors(everything, runs=4)

    assert set(PUBLISHED) == set(found)
    assert dict.fromkeys(PUBLISHED, True) == {name: error.within for name, error in found.items()}


@pytest.mark.parametrize(
    ("campaign", "snips", "ess", "shortfalls"),
    [
        ("all", 0.00233, 340, (Shortfall.WEIGHT,)),
        ("men", 0.00319, 656, ()),
        ("women", 0.00237, 2, (Shortfall.ESS, Shortfall.WEIGHT)),
    ],
)
def test_the_uniform_policy_is_judged_or_refused_by_what_its_log_can_say(
    campaign: Campaign, snips: float, ess: int, shortfalls: tuple[Shortfall, ...]
) -> None:
    """From the BTS log: SNIPS and effective sample size as others found them; no value where one row decides."""
    log = load(campaign).bts

    found = judge(weigh(log, uniform(log), cross_fitted(Ridge(), log)))

    value = found.unfit if isinstance(found, Refused) else found
    assert pytest.approx(snips, abs=5e-6) == value.snips.value
    assert ess == round(found.support.ess)
    assert shortfalls == found.support.shortfalls
    assert bool(shortfalls) == isinstance(found, Refused)
