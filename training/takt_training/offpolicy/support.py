"""How much a log can say of another policy: effective sample size and largest weight, and when that is too little."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from msgspec import Struct

from takt_training.offpolicy.draws import Floats, Ints

LEAST_ESS = 100.0
LARGEST_SHARE = 0.02
"""Of the sum of weights. Intervals cover .92 to .95 below, .79 at .16, and the effective sample size does not warn."""
LEAST_PERSONS = 30
"""Below, an interval over persons is itself a guess."""
_FAR = 4.0
"""Standard errors that the mean weight may lie from 1 by chance."""


class Shortfall(StrEnum):
    """Why a log cannot say what a policy is worth."""

    ESS = "effective sample size"
    WEIGHT = "largest weight"
    PERSONS = "persons"


class Support(Struct, frozen=True):
    """What an estimate stands on."""

    rows: int
    persons: int
    """With any weight."""
    ess: float
    """(sum of weights)**2 / sum of squared weights (Kish, 1965)."""
    largest_share: float
    """Largest weight over the sum of weights."""
    mean_weight: float
    """1 in expectation, if propensities are right and the log could draw whatever the policy does."""
    mean_weight_error: float
    """Its standard error over persons."""

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """All bars that are missed; none for a log that can answer."""
        missed = (
            (Shortfall.ESS, not self.ess >= LEAST_ESS),
            (Shortfall.WEIGHT, not self.largest_share <= LARGEST_SHARE),
            (Shortfall.PERSONS, self.persons < LEAST_PERSONS),
        )
        return tuple(shortfall for shortfall, is_missed in missed if is_missed)

    @property
    def weights_add_up(self) -> bool:
        """Whether the mean weight is 1 within chance. If not, a propensity is wrong or an action had none."""
        return abs(self.mean_weight - 1) <= _FAR * self.mean_weight_error + 1e-9

    def explain(self) -> tuple[str, ...]:
        """A sentence for each shortfall: what was found, what is needed, what would help."""
        few = self.rows < LEAST_ESS
        said = {
            Shortfall.ESS: f"There are {self.rows} rows to judge by; at least {LEAST_ESS:.0f} are needed. "
            "Judge a longer part of the log, or wait until it is longer."
            if few
            else f"The log is worth {self.ess:.0f} rows of this policy; at least {LEAST_ESS:.0f} are needed. "
            "It draws too seldom what this policy would do: collect more, or explore more.",
            Shortfall.WEIGHT: f"One row carries {self.largest_share:.1%} of all weight; at most {LARGEST_SHARE:.0%} is "
            "sound. An interval would be too narrow, whatever its width"
            + (": there are too few." if few else ": raise the exploration's floor."),
            Shortfall.PERSONS: f"{self.persons} persons; an interval over them needs at least {LEAST_PERSONS}.",
        }
        return tuple(said[shortfall] for shortfall in self.shortfalls)


def support(weight: Floats, person: Ints) -> Support:
    """Of weights float64 `[n]` of rows of `person` int64 `[n]`; nothing is worth nothing."""
    total, squares = float(weight.sum()), float((weight**2).sum())
    mean = total / len(weight) if len(weight) else 0.0
    return Support(
        rows=len(weight),
        persons=len(np.unique(person[weight > 0])),
        ess=total**2 / squares if squares > 0 else 0.0,
        largest_share=float(weight.max()) / total if total > 0 else 1.0,
        mean_weight=mean,
        mean_weight_error=clustered_error(weight - mean, person),
    )


def clustered_error(influence: Floats, person: Ints) -> float:
    """Standard error of a mean from its rows' influences `[n]`, each person's added up first; NaN for one person."""
    _, of_row = np.unique(person, return_inverse=True)
    sums = np.bincount(of_row, influence) if len(influence) else np.zeros(0)
    count = len(sums)
    if count < 2:
        return float("nan")
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(influence))
