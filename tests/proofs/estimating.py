"""Off-policy estimates: against published figures on real data, and against a known truth."""

from __future__ import annotations

import numpy as np

from takt_training.offpolicy.draws import Draws, Policy
from takt_training.offpolicy.estimators import Refused, Value, judge, weigh
from takt_training.offpolicy.policies import uniform
from takt_training.offpolicy.reward import Ridge, cross_fitted
from takt_training.offpolicy.support import LARGEST_SHARE, Shortfall
from takt_training.open_bandit.recipe import RUNS, relative_errors
from takt_training.open_bandit.tables import load
from tests.proofs.figures import SHOWN, Figures
from tests.training.offpolicy.worlds import truth, with_heavy_row, world

REPLICATIONS = 200


def open_bandit(figures: Figures, quick: bool) -> None:
    """Relative errors from the uniform log to BTS; the uniform policy from the BTS log, refused where it must be."""
    figures.step("Open Bandit, small sample: what the log of one policy says of the other")
    logs = load("all")
    for name, error in relative_errors(logs, runs=10 if quick else RUNS).items():
        figures.note(f"published {error.published} with a standard deviation of {error.spread} over bootstrap samples")
        figures.check(f"{name}_relative_error", round(error.mean, 4), SHOWN)
        figures.check(f"{name}_off_the_published", round(abs(error.mean - error.published), 4), f"<= {error.spread}")
    everybody = _judged(logs.bts, uniform(logs.bts))
    value = _formula(everybody)
    figures.check("uniform_from_bts_all_snips", round(value.snips.value, 4), "== 0.0023")
    figures.check("uniform_from_bts_all_ess", round(value.support.ess), "== 340")
    figures.check("uniform_from_bts_all_largest_weight", round(value.support.largest_share, 4), SHOWN)
    figures.note(f"all: {_said(everybody)}")
    for campaign, ess in (("men", 656), ("women", 2)):
        log = load(campaign).bts
        found = _judged(log, uniform(log))
        figures.check(f"uniform_from_bts_{campaign}_ess", round(found.support.ess), f"== {ess}")
        figures.note(f"{campaign}: {_said(found)}")
        if campaign == "women":
            refused = isinstance(found, Refused) and Shortfall.ESS in found.shortfalls
            figures.check("women_refused", "refused" if refused else "judged", "== refused")


def coverage(figures: Figures, quick: bool) -> None:
    """How often DR's 95% intervals hold a truth that is known; a log with one heavy row is refused."""
    del quick  # 200 replications take seconds
    figures.step(f"DR's 95% intervals against a known truth, {REPLICATIONS} logs of people who come back")
    value = truth()
    covered, shares = [], []
    for seed in range(REPLICATIONS):
        draws, _, other = world(seed)
        found = _judged(draws, other)
        shares.append(found.support.largest_share)
        covered.append(isinstance(found, Value) and found.dr.low <= value <= found.dr.high)
    figures.check("dr_replications_largest_weight", round(max(shares), 4), f"<= {LARGEST_SHARE}")
    figures.check("dr_intervals_that_cover", round(float(np.mean(covered)), 3), ">= 0.90")
    figures.check("dr_intervals_that_cover_at_most", round(float(np.mean(covered)), 3), "<= 0.99")
    draws, _, other = world(0)
    heavy = _judged(with_heavy_row(draws, other, share=0.16), other)
    figures.check("heavy_largest_weight", round(heavy.support.largest_share, 3), "== 0.16")
    figures.check("heavy_ess", round(heavy.support.ess), SHOWN)
    refused = isinstance(heavy, Refused) and Shortfall.WEIGHT in heavy.shortfalls
    figures.check("heavy_refused", "refused" if refused else "judged", "== refused")
    figures.note(_said(heavy))


def _judged(draws: Draws, policy: Policy) -> Value | Refused:
    return judge(weigh(draws, policy, cross_fitted(Ridge(), draws)))


def _formula(found: Value | Refused) -> Value:
    return found.unfit if isinstance(found, Refused) else found


def _said(found: Value | Refused) -> str:
    return "refused. " + " ".join(found.reasons) if isinstance(found, Refused) else f"SNIPS {found.snips}"
