"""How good probabilities are: ranking, calibration, and how sure one can be when rows of one person belong together."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

BINS = 10


class Interval(Struct, frozen=True):
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Bin(Struct, frozen=True):
    """Rows of similar estimates: how many, what was expected of them and what was seen."""

    rows: int
    expected: float
    observed: float


def auc(score: Floats, accepted: Bools, weight: Floats | None = None) -> float:
    """P(an accepted row scores above another), ties half; rows may carry weights [n] >= 0. NaN without both kinds."""
    return _Ranking(score, accepted).auc(np.ones(len(score)) if weight is None else weight)


class _Ranking:
    """Scores in order, for many weightings of the same rows."""

    def __init__(self, score: Floats, accepted: Bools) -> None:
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        starts = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(score) else np.zeros(0, np.bool_)
        self.order: Final = order
        self.group: Final[Ints] = np.cumsum(starts) - 1
        self.accepted: Final = accepted[order]

    def auc(self, weight: Floats) -> float:
        ordered = weight[self.order]
        count = int(self.group[-1]) + 1 if len(self.group) else 0
        hits = np.bincount(self.group, ordered * self.accepted, count)
        misses = np.bincount(self.group, ordered * ~self.accepted, count)
        below = np.cumsum(misses) - misses
        pairs = hits.sum() * misses.sum()
        return float((hits * (below + misses / 2)).sum() / pairs) if pairs > 0 else float("nan")


def log_loss(probability: Floats, accepted: Bools) -> float:
    """Mean of -log P(what happened); probabilities are kept 1e-12 away from 0 and 1."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(accepted, np.log(p), np.log1p(-p))))


def reliability(probability: Floats, accepted: Bools, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equally many rows, by rising estimate; ties are cut in the order of the rows."""
    order = np.argsort(probability, kind="stable")
    return tuple(
        Bin(len(part), float(probability[part].mean()), float(accepted[part].mean()))
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    )


def expected_calibration_error(probability: Floats, accepted: Bools, bins: int = BINS) -> float:
    """Mean over rows of |observed - expected| of their bin (`reliability`)."""
    parts = reliability(probability, accepted, bins)
    return sum(part.rows * abs(part.observed - part.expected) for part in parts) / len(probability)


def ece_of_perfect(probability: Floats, *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and 95th percentile of the ECE of these estimates if they were exactly right: what chance alone makes."""
    rng = np.random.default_rng(seed)
    errors = [expected_calibration_error(probability, rng.random(len(probability)) < probability) for _ in range(draws)]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def observed_over_expected(probability: Floats, accepted: Bools) -> float:
    """Accepted rows over the sum of estimates."""
    return float(accepted.sum() / probability.sum())


def bootstrap(statistic: Callable[[Floats], float], person: Ints, *, draws: int = 2000, seed: int = 0) -> Interval:
    """A statistic of row weights with its percentile interval over persons drawn with replacement.

    statistic: from weights float64 [n] (all 1 for the value itself); person: int64 [n], whose row it is. Draws in
    which the statistic is NaN are left out.
    """
    _, of_row = np.unique(person, return_inverse=True)
    count = int(of_row.max()) + 1
    rng = np.random.default_rng(seed)
    values = [
        statistic(rng.multinomial(count, np.full(count, 1 / count)).astype(np.float64)[of_row]) for _ in range(draws)
    ]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(statistic(np.ones(len(person))), float(low), float(high))


def auc_interval(score: Floats, accepted: Bools, person: Ints, *, draws: int = 2000, seed: int = 0) -> Interval:
    """AUC with its interval over persons."""
    return bootstrap(_Ranking(score, accepted).auc, person, draws=draws, seed=seed)


def auc_difference(
    score: Floats, other: Floats, accepted: Bools, person: Ints, *, draws: int = 2000, seed: int = 0
) -> Interval:
    """AUC of `score` minus that of `other` on the same rows, with its interval over persons."""
    one, two = _Ranking(score, accepted), _Ranking(other, accepted)
    return bootstrap(lambda weight: one.auc(weight) - two.auc(weight), person, draws=draws, seed=seed)
