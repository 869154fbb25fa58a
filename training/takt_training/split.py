"""Splits in time. A row is learned from only when its outcome window has closed: nothing of the future leaks in."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Bools = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]


class Fold(Struct, frozen=True):
    """Rows to learn from and rows to judge by, bool [n] each; never both."""

    train: Bools
    test: Bools


def time_split(contacted: Days, *, window_days: int, boundary: date, data_end: date) -> Fold:
    """Train on contacts whose window closed before a day, test on those from then on whose window closes in the data.

    contacted: datetime64[D] [n], days of contact. A window of 25 days closes 25 days after its contact, that day
    included. Contacts shortly before the boundary are in neither part: their window is still open there (the embargo).
    """
    closes = contacted + np.timedelta64(window_days, "D")
    return Fold(
        train=closes < np.datetime64(boundary, "D"),
        test=(contacted >= np.datetime64(boundary, "D")) & (closes <= np.datetime64(data_end, "D")),
    )


def forward_chain(
    contacted: Days, accepted: Bools, *, window_days: int, within: Bools, least_accepted: int
) -> Iterator[Fold]:
    """Folds that predict each day's contacts from those whose windows had closed before that day.

    Only rows of `within` [n] take part; a day comes up once `least_accepted` accepted rows can be learned from, since
    a model of a handful of them says nothing about one of hundreds.
    """
    closes = contacted + np.timedelta64(window_days, "D")
    for day in np.unique(contacted[within]):
        train = within & (closes < day)
        if np.count_nonzero(accepted[train]) >= least_accepted:
            yield Fold(train=train, test=within & (contacted == day))


def moment_split(time_us: Ints, *, window_us: int, boundary_us: int, end_us: int) -> Fold:
    """As `time_split`, of moments int64 [n] in microseconds: one window before the boundary is in neither part."""
    return Fold(
        train=time_us + window_us < boundary_us,
        test=(time_us >= boundary_us) & (time_us + window_us <= end_us),
    )


def person_folds(person: Ints, *, folds: int, seed: int = 0) -> Iterator[Fold]:
    """Folds that keep all rows of a person together, persons [n] dealt out at random; every row is tested once.

    Raises ValueError for fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"{folds} folds: at least 2 are needed to learn from one and judge by another")
    persons, of_row = np.unique(person, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(persons)) % folds)[of_row]
    for number in range(folds):
        yield Fold(train=fold != number, test=fold == number)


def both(time: Fold, persons: Fold) -> Fold:
    """Split by time and by person: tested on later rows of people of whom nothing was learned."""
    return Fold(train=time.train & persons.train, test=time.test & persons.test)
