"""Platt scaling is adopted when campaigns agree, not when one of them was lucky."""

import numpy as np
import pytest

from takt_training.calibration import fit_platt


def _campaigns(shifts: list[float], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(shifts)), rows)
    logit = rng.normal(-1.5, 1.0, len(group))
    accepted = rng.random(len(group)) < 1 / (1 + np.exp(-(logit + np.array(shifts)[group])))
    return logit, accepted, group


def test_a_shift_that_all_campaigns_share_is_adopted() -> None:
    """Twelve campaigns, each accepted more than estimated by the same log-odds."""
    platt = fit_platt(*_campaigns([1.0] * 12, 600))

    assert platt.adopted
    assert pytest.approx(1.0, abs=0.15) == platt.scale
    assert pytest.approx(1.0, abs=0.25) == platt.shift


def test_what_is_right_stays_as_it_is() -> None:
    """Estimates that are right are not touched, whatever was fitted."""
    platt = fit_platt(*_campaigns([0.0] * 6, 500))

    assert not platt.adopted
    assert (1.0, 0.0) == (platt.scale, platt.shift)


def test_campaigns_that_disagree_prove_nothing() -> None:
    """Pooled rows would show a strong shift; between campaigns it is within their own spread."""
    platt = fit_platt(*_campaigns([1.6, -0.9, 0.9, -0.7, 0.6], 800))

    assert not platt.adopted
    assert platt.spread > 0.5


def test_nothing_to_fit_on_is_refused() -> None:
    """All rows alike would send the fit to infinity."""
    with pytest.raises(ValueError, match="widen the forward chain"):
        fit_platt(np.zeros(5), np.zeros(5, np.bool_), np.zeros(5, np.int64))


def test_what_adds_to_something_else_is_calibrated_by_itself() -> None:
    """Of an outcome that happens anyway in 30% of the rows, the line of what is added to that is found."""
    rng = np.random.default_rng(3)
    logit = rng.normal(-1, 1.5, 60_000)
    added = 1 / (1 + np.exp(-(0.6 * logit - 0.5)))
    happened = rng.random(len(logit)) < 1 - 0.7 * (1 - added)

    platt = fit_platt(logit, happened, np.arange(len(logit)) % 10, np.full(len(logit), 0.3))

    assert platt.adopted
    assert platt.scale == pytest.approx(0.6, abs=0.04)
    assert platt.shift == pytest.approx(-0.5, abs=0.06)
