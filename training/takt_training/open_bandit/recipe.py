"""The recipe `open-bandit`: what one policy's log says of another, where the other's own log knows the answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from takt_training.metrics import Interval
from takt_training.offpolicy.draws import Draws, Floats, Policy
from takt_training.offpolicy.estimators import Refused, Value, Weighed, gain, judge, logged, mean_interval, weigh
from takt_training.offpolicy.policies import Constant, best_constant, constant, uniform
from takt_training.offpolicy.reward import Ridge, cross_fitted
from takt_training.offpolicy.support import Support, support
from takt_training.open_bandit.tables import CAMPAIGNS, POSITIONS, Campaign, Logs, load
from takt_training.split import Fold, moment_split

Step = Callable[[str, float], None]
RUNS = 30
PENALTY = 300.0
"""Of the reward model, in rows: some 4 clicks in a thousand rows say little of any one item."""
BOUNDARY_DAY = np.datetime64("2019-11-27")
"""The best constant item is chosen on what was shown before, and judged on what came from then on."""
LEAST_TO_CHOOSE = 30.0
"""Each of 80 items was shown some 50 times before the boundary: too little to judge one, enough to pick one."""
PUBLISHED = {"ipw": (0.311, 0.211), "snipw": (0.312, 0.211), "dr": (0.292, 0.218), "dm": (0.157, 0.115)}
"""Mean relative errors that Open Bandit Pipeline publishes for the small sample (random to BTS, ALL, logistic), and the
smallest standard deviation over bootstrap samples in the tables of its example (for SNIPW that of IPW)."""


class RelativeError(Struct, frozen=True):
    """|estimate - truth| / truth over bootstrap samples of the log."""

    mean: float
    deviation: float
    published: float
    spread: float

    @property
    def within(self) -> bool:
        """Whether the mean lies within the published spread."""
        return abs(self.mean - self.published) <= self.spread


class Crossing(Struct, frozen=True):
    """What the log of one policy says of the other, and what the other's own log says."""

    campaign: Campaign
    log: str
    policy: str
    found: Value | Refused
    truth: Interval
    """Mean clicks in the other policy's own log, with its interval."""


class Constants(Struct, frozen=True):
    """The item that did best before the boundary, judged on the days after it."""

    chosen: Constant | None
    fold_rows: tuple[int, int]
    """Rows to choose by, rows to judge by."""
    found: Value | Refused | None
    gain: Interval | None
    """Over uniform, paired."""


class Evaluated(Struct, frozen=True):
    """All that the recipe finds."""

    errors: dict[str, RelativeError]
    crossings: tuple[Crossing, ...]
    constants: Constants
    positions: tuple[Crossing, ...]
    """Random to BTS of the campaign ALL, position by position."""
    sizes: dict[str, tuple[int, int]]
    """Rows and clicks by campaign and policy."""
    propensities: dict[str, Support]
    """By campaign: weights of the uniform policy on the BTS log; their mean is 1 if its propensities are right."""


def evaluate(*, runs: int = RUNS, step: Step = lambda *_: None) -> Evaluated:
    """Read the data and judge. The same every time."""
    crossings: list[Crossing] = []
    sizes: dict[str, tuple[int, int]] = {}
    propensities: dict[str, Support] = {}
    logs: dict[Campaign, Logs] = {}
    for number, campaign in enumerate(CAMPAIGNS):
        step("reading and judging three campaigns", number / len(CAMPAIGNS))
        logs[campaign] = both = load(campaign)
        for name, draws in (("random", both.random), ("bts", both.bts)):
            sizes[f"{campaign} {name}"] = (len(draws), int(draws.reward.sum()))
        crossings += [
            _cross(campaign, both.random, both.bts, "bts"),
            _cross(campaign, both.bts, both.random, "uniform"),
        ]
        propensities[campaign] = support(uniform(both.bts).weight(both.bts), both.bts.person)
    step("reading and judging three campaigns", 1)
    everything = logs["all"]
    positions = tuple(_position(everything, slot) for slot in range(POSITIONS))
    constants = _constants(everything.random)
    return Evaluated(
        errors=relative_errors(everything, runs=runs, step=step),
        crossings=tuple(crossings),
        constants=constants,
        positions=positions,
        sizes=sizes,
        propensities=propensities,
    )


def bts_policy(bts: Draws, draws: Draws) -> Policy:
    """The BTS policy, averaged over its week, on the rows of `draws`.

    It moved as it learned, so that an item at a position has many probabilities in its log. The harmonic mean of those
    logged estimates their mean over all rows without bias: sum(1{A=a}) / sum(1{A=a} / p).
    """
    shape = (POSITIONS, bts.allowed.shape[1])
    hits, inverse = np.zeros(shape), np.zeros(shape)
    np.add.at(hits, (bts.slot, bts.action), 1.0)
    np.add.at(inverse, (bts.slot, bts.action), 1 / bts.propensity)
    mean = hits / np.maximum(inverse, 1e-300)
    mean /= mean.sum(1, keepdims=True)
    return Policy("bts", mean[draws.slot])


def relative_errors(logs: Logs, *, runs: int, step: Step = lambda *_: None) -> dict[str, RelativeError]:
    """IPW, SNIPW, DR and DM of BTS on bootstrap samples of the uniform log, as Open Bandit Pipeline does it."""
    truth = float(logs.bts.reward.mean())
    errors: dict[str, list[float]] = {name: [] for name in PUBLISHED}
    for run in range(runs):
        step("bootstrap samples of the uniform log", run / runs)
        rows = np.random.default_rng(run).integers(0, len(logs.random), len(logs.random))
        draws = logs.random.take(rows)
        judged = judge(weigh(draws, bts_policy(logs.bts, draws), cross_fitted(Ridge(PENALTY), draws)))
        value = judged.unfit if isinstance(judged, Refused) else judged
        told = {"ipw": value.ips.value, "snipw": value.snips.value, "dr": value.dr.value, "dm": value.direct}
        for name, estimate in told.items():
            errors[name].append(abs(estimate - truth) / truth)
    step("bootstrap samples of the uniform log", 1)
    return {
        name: RelativeError(float(np.mean(errors[name])), float(np.std(errors[name], ddof=1)), *published)
        for name, published in PUBLISHED.items()
    }


def _cross(campaign: Campaign, log: Draws, other: Draws, name: str) -> Crossing:
    policy = uniform(log) if name == "uniform" else bts_policy(other, log)
    found = judge(weigh(log, policy, cross_fitted(Ridge(PENALTY), log)))
    return Crossing(campaign, "bts" if name == "uniform" else "random", name, found, _mean(other))


def _position(logs: Logs, slot: int) -> Crossing:
    log, other = logs.random.take(logs.random.slot == slot), logs.bts.take(logs.bts.slot == slot)
    found = judge(weigh(log, bts_policy(logs.bts, log), cross_fitted(Ridge(PENALTY), log)))
    return Crossing(logs.campaign, "random", f"bts, position {slot + 1}", found, _mean(other))


def _constants(log: Draws) -> Constants:
    boundary = int(BOUNDARY_DAY.astype("datetime64[us]").astype(np.int64))
    fold: Fold = moment_split(log.time_us, window_us=0, boundary_us=boundary, end_us=int(log.time_us.max()))
    training, test = log.take(fold.train), log.take(fold.test)
    sizes = (len(training), len(test))
    chosen = best_constant(training, least_ess=LEAST_TO_CHOOSE)
    if chosen is None:
        return Constants(None, sizes, None, None)
    expected: Floats = cross_fitted(Ridge(PENALTY), test)
    one: Weighed = weigh(test, constant(test, chosen.action, f"always {chosen.name}"), expected)
    found = judge(one)
    return Constants(chosen, sizes, found, None if isinstance(found, Refused) else gain(one, logged(test, expected)))


def _mean(draws: Draws) -> Interval:
    return mean_interval(draws.reward, draws.person)
