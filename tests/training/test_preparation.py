"""Columns are prepared as declared, and no value is too absurd."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from takt_training.preparation import LIMIT, Treatment, fit_preparation

NAMES = ("unused", "spend", "share", "days")
TREATMENTS = {
    "days": Treatment(log=False, high=400.0, missing_is_most=True, flag_missing=True),
    "spend": Treatment(),
    "share": Treatment(offset=0.01, high=1.0),
}
NAN = np.nan
RAW = np.array([[9, 0, 0.0, 10], [9, 100, 0.5, NAN], [9, NAN, NAN, 30]], np.float32)


def test_logarithms_imputation_and_flags() -> None:
    """Skewed columns come first, as logarithms; missing spend is the mean, missing days are the most that was seen."""
    fitted = fit_preparation(RAW, NAMES, TREATMENTS)

    found = fitted.apply(RAW)

    assert ("spend", "share", "days", "days is missing") == fitted.names
    logs = np.log1p([0.0, 100.0])
    spend = np.array([*logs, logs.mean()])
    assert pytest.approx(((spend - spend.mean()) / spend.std()).tolist(), abs=1e-5) == found[:, 0].tolist()
    days = np.array([10.0, 30.0, 30.0])
    assert pytest.approx(((days - days.mean()) / days.std()).tolist(), abs=1e-5) == found[:, 2].tolist()
    assert found[1, 3] > 0 > found[0, 3]


def test_a_column_that_never_varies_never_matters() -> None:
    """Its scale is 0, also for another value later."""
    fitted = fit_preparation(np.ones((5, 1), np.float32), ("x",), {"x": Treatment()})

    assert [[0.0], [0.0]] == fitted.apply(np.array([[1.0], [77.0]], np.float32)).tolist()


def test_an_unknown_column_is_refused() -> None:
    """A treatment for a column that there is not would be a misspelling."""
    with pytest.raises(KeyError, match="spent"):
        fit_preparation(RAW, NAMES, {"spent": Treatment()})


@given(arrays(np.float32, (4, 4), elements=st.floats(width=32, allow_infinity=False)))
@settings(max_examples=100, deadline=None)
def test_every_value_stays_finite_and_bounded(raw: np.ndarray) -> None:
    """NaN, huge and tiny values alike come out within the limit."""
    found = fit_preparation(RAW, NAMES, TREATMENTS).apply(raw)

    assert np.isfinite(found).all()
    assert np.abs(found[:, :3]).max() <= LIMIT
