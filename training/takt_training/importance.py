"""What a model uses: how much worse it ranks when one column is shuffled among the rows that judge it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from takt_training.metrics import Bools, Floats, auc
from takt_training.preparation import Floats32


class Importance(Struct, frozen=True):
    """AUC that is lost without one column's values: mean over shuffles, and the least and most of them."""

    column: str
    loss: float
    low: float
    high: float


def permutation_importance(
    predict: Callable[[Floats32], Floats],
    columns: Floats32,
    names: tuple[str, ...],
    accepted: Bools,
    *,
    shuffles: int = 5,
    seed: int = 0,
) -> tuple[Importance, ...]:
    """The most used first (Breiman, 2001). `predict`: float32 `[n, F]` to scores `[n]`; accepted bool `[n]`.

    Two columns that say the same share the loss: each alone looks useless. Nothing here says what causes what.
    """
    rng = np.random.default_rng(seed)
    whole = auc(predict(columns), accepted)
    found = []
    for place, name in enumerate(names):
        losses = []
        for _ in range(shuffles):
            shuffled = columns.copy()
            shuffled[:, place] = rng.permutation(columns[:, place])
            losses.append(whole - auc(predict(shuffled), accepted))
        found.append(Importance(name, float(np.mean(losses)), float(np.min(losses)), float(np.max(losses))))
    return tuple(sorted(found, key=lambda one: -one.loss))
