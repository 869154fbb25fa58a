"""The baseline beside every model: logistic regression, on log-scaled or on plain columns."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace
from sklearn.linear_model import LogisticRegression

from takt_training.preparation import Floats32, Preparation, Treatment, fit_preparation

PENALTY = 0.03
"""Inverse strength of the L2 penalty; chosen on forward-chained predictions among .01, .03 and .1."""


class Logistic(Struct, frozen=True):
    """A fitted baseline over prepared profile columns and one column per kind of offer."""

    preparation: Preparation
    weights: npt.NDArray[np.float64]
    """[K + F + kinds]."""
    intercept: float

    def logit(self, profile: Floats32, kind: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Log-odds [n] of profile [n, P] and kind [n], an index of the offer's kind."""
        return _inputs(self.preparation, profile, kind, len(self.weights)) @ self.weights + self.intercept


def fit_logistic(
    profile: Floats32,
    kind: npt.NDArray[np.int64],
    accepted: npt.NDArray[np.bool_],
    *,
    names: tuple[str, ...],
    treatments: Mapping[str, Treatment],
    kinds: int,
    log: bool = True,
) -> Logistic:
    """Fit on profile [n, P] with columns `names`, kind [n] in 0..kinds-1; `log=False` takes every column as it is."""
    plans = treatments if log else {name: replace(plan, log=False) for name, plan in treatments.items()}
    preparation = fit_preparation(profile, names, plans)
    inputs = _inputs(preparation, profile, kind, preparation.width + kinds)
    model = LogisticRegression(C=PENALTY, max_iter=5000).fit(inputs, accepted)
    return Logistic(preparation, model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def _inputs(
    preparation: Preparation, profile: Floats32, kind: npt.NDArray[np.int64], width: int
) -> npt.NDArray[np.float64]:
    kinds = width - preparation.width
    return np.concatenate([preparation.apply(profile), np.eye(kinds)[kind]], axis=1, dtype=np.float64)
