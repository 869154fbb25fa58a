"""Columns that know too much: one that alone tells who accepts was nearly always filled in afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.metrics import auc
from takt_training.preparation import Floats32

Bools = npt.NDArray[np.bool_]

LIMIT = 0.95
"""AUC of one column alone from which on it is refused. What people did before predicts at .6 to .85."""
SUSPECT = 0.9
"""From which on it is mentioned."""
LEAST = 20
"""Rows of either outcome that are needed to say anything."""
MOST_ROWS = 100_000


class Leak(Struct, frozen=True):
    """One column that predicts the outcome by itself."""

    column: str
    auc: float
    how: str
    """What of it does: `its value`, or `whether it is filled in`."""

    @property
    def refused(self) -> bool:
        """Too good to be true, and not merely suspicious."""
        return self.auc >= LIMIT

    def __str__(self) -> str:
        return f"{self.column}: {self.how} alone predicts the outcome with an AUC of {self.auc:.3f}"


def find_leaks(
    names: Sequence[str], raw: Floats32, happened: Bools, *, categories: Sequence[bool] | None = None
) -> list[Leak]:
    """Columns of raw [n, k] that alone reach `SUSPECT`, the worst first; categories are judged out of fold."""
    every = max(1, -(-len(happened) // MOST_ROWS))
    raw, happened = raw[::every], happened[::every]
    if min(happened.sum(), (~happened).sum()) < LEAST:
        return []
    found = []
    for i, name in enumerate(names):
        missing = np.isnan(raw[:, i])
        values = np.where(missing, 0.0, raw[:, i]).astype(np.float64)
        by_value = (
            _category(values, missing, happened)
            if categories is not None and categories[i]
            else _known(values, missing, happened)
        )
        by_missing = _either(missing.astype(np.float64), happened) if missing.any() and not missing.all() else 0.5
        # which of the two it is, is told by the stronger; a value that is only there after acceptance is the second
        how, figure = ("its value", by_value) if by_value > by_missing else ("whether it is filled in", by_missing)
        if figure >= SUSPECT:
            found.append(Leak(name, figure, how))
    return sorted(found, key=lambda leak: (-leak.auc, leak.column))


def _either(score: npt.NDArray[np.float64], happened: Bools) -> float:
    """AUC of the score or of its opposite, whichever is better."""
    value = auc(score, happened)
    return max(value, 1 - value)


def _known(values: npt.NDArray[np.float64], missing: Bools, happened: Bools) -> float:
    known, outcome = values[~missing], happened[~missing]
    if min(outcome.sum(), (~outcome).sum()) < LEAST:
        return 0.5
    return _either(known, outcome)


def _category(values: npt.NDArray[np.float64], missing: Bools, happened: Bools) -> float:
    """By the rate of each value in the other half of the rows: many values do not look like knowledge."""
    codes = np.where(missing, 0, values + 1).astype(np.int64)
    half = np.arange(len(codes)) % 2 == 0
    score = np.empty(len(codes))
    overall = happened.mean()
    for here, there in ((half, ~half), (~half, half)):
        hits = np.bincount(codes[there], happened[there], codes.max() + 1)
        seen = np.bincount(codes[there], minlength=codes.max() + 1)
        score[here] = ((hits + overall) / (seen + 1))[codes[here]]
    value: float = auc(score, happened)
    return value
