"""The yardstick beside every model: a logistic regression on the same encoded columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from sklearn.linear_model import LogisticRegression

from takt_training.joint.contacts import Contacts, Floats, Ints
from takt_training.joint.fitting import Encoded
from takt_training.preparation import Floats32

MOST_ROWS = 100_000
"""Rows that it is fitted on, evenly spread: enough for some hundred weights."""


class Yardstick(Struct, frozen=True, eq=False):
    """Weights over persons, offers (attributes, pieces, codes one by one) and arms (one by one)."""

    weights: Floats
    intercept: float
    arms: tuple[int, int]
    rows: int
    """How many it was fitted on."""

    def logit(self, contacts: Contacts, encoded: Encoded, rows: Ints) -> Floats:
        """Log-odds of some rows."""
        result = np.empty(len(rows))
        for at in range(0, len(rows), MOST_ROWS):
            part = rows[at : at + MOST_ROWS]
            result[at : at + MOST_ROWS] = _inputs(contacts, encoded, self.arms, part) @ self.weights + self.intercept
        return result


def fit_yardstick(
    contacts: Contacts, encoded: Encoded, weight: Floats, rows: Ints, *, timings: int, tonalities: int
) -> Yardstick:
    """Fit on contact rows. Raises ValueError if all of them happened, or none."""
    rows = rows[:: max(1, -(-len(rows) // MOST_ROWS))]
    arms = (timings, tonalities)
    model = LogisticRegression(C=1.0, max_iter=300, tol=1e-4)
    model.fit(_inputs(contacts, encoded, arms, rows), contacts.happened[rows], weight[rows])
    return Yardstick(model.coef_[0].astype(np.float64), float(model.intercept_[0]), arms, len(rows))


def _inputs(contacts: Contacts, encoded: Encoded, arms: tuple[int, int], rows: Ints) -> Floats32:
    offer = contacts.offer[rows]
    codes = contacts.codes(encoded.vocabulary)[offer]
    parts: list[npt.NDArray[np.float32]] = [
        encoded.persons.apply(contacts.persons(rows)),
        encoded.offers.apply(contacts.offers)[offer],
        encoded.splines.apply(contacts.offers)[offer],
        _hot(codes - 1, len(encoded.vocabulary)),
        _hot(contacts.timing[rows], arms[0]),
        _hot(contacts.tonality[rows], arms[1]),
    ]
    return np.concatenate(parts, axis=1)


def _hot(index: Ints, count: int) -> Floats32:
    """One-hot float32 [k, count]; zeros where the index is negative."""
    return np.asarray(np.eye(count + 1, count, dtype=np.float32)[np.where(index < 0, count, index)])
