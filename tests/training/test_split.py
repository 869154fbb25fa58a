"""Nothing is learned from whose outcome was not yet known."""

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from takt_training.split import forward_chain, time_split

BOUNDARY, END, WINDOW = date(2017, 10, 1), date(2017, 12, 31), 25


def _days(*days: str) -> np.ndarray:
    return np.array(days, "datetime64[D]")


def test_contacts_near_the_boundary_are_in_neither_part() -> None:
    """A window of 25 days closes on the 25th day after the contact; that day must lie before the boundary."""
    contacted = _days("2017-09-05", "2017-09-06", "2017-09-30", "2017-10-01", "2017-12-06", "2017-12-07")

    fold = time_split(contacted, window_days=WINDOW, boundary=BOUNDARY, data_end=END)

    assert [True, False, False, False, False, False] == fold.train.tolist()
    assert [False, False, False, True, True, False] == fold.test.tolist()


@given(offsets=st.lists(st.integers(0, 364), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_parts_never_overlap_and_train_had_closed(offsets: list[int]) -> None:
    """For any contacts, no window that is learned from reaches into the tested period."""
    contacted = np.array([date(2017, 1, 1) + timedelta(days=n) for n in offsets], "datetime64[D]")

    fold = time_split(contacted, window_days=WINDOW, boundary=BOUNDARY, data_end=END)

    assert not (fold.train & fold.test).any()
    assert (contacted[fold.train] + np.timedelta64(WINDOW, "D") < np.datetime64(BOUNDARY)).all()
    assert (contacted[fold.test] >= np.datetime64(BOUNDARY)).all()


def test_the_forward_chain_predicts_from_closed_windows_only() -> None:
    """Each day is predicted once, from contacts whose window had closed before that very day."""
    contacted = _days(*(["2017-01-01"] * 4), *(["2017-01-26"] * 2), *(["2017-01-27"] * 2), "2017-03-01")
    accepted = np.array([True, True, False, False, True, False, False, True, True])
    within = np.ones(9, np.bool_)
    within[-1] = False

    folds = list(forward_chain(contacted, accepted, window_days=WINDOW, within=within, least_accepted=2))

    assert 1 == len(folds)  # on January 26 the first windows are still open
    assert [True] * 4 + [False] * 5 == folds[0].train.tolist()
    assert [False] * 6 + [True] * 2 + [False] == folds[0].test.tolist()


def test_a_handful_of_accepted_rows_is_not_learned_from() -> None:
    """A fold needs as many accepted rows as asked for."""
    contacted = _days("2017-01-01", "2017-03-01")

    folds = forward_chain(
        contacted, np.array([True, True]), window_days=WINDOW, within=np.ones(2, np.bool_), least_accepted=2
    )

    assert [] == list(folds)
