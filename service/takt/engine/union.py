"""The offers that a batch is scored for: the union of those that some spot may get."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from takt.engine.arrays import Ints, Shelf
from takt.kernel import kernel


@kernel
def number_columns(
    placement: Ints, row: Ints, shelf: Shelf, excluded: npt.NDArray[np.uint8], column: Ints, wanted: Ints
) -> int:
    """List the offers that some spot may get: to `wanted`, and where each stands there, or -1, to `column` [O].

    `placement` and `row` are those of each spot [S]; `excluded` is uint8 [Q, O]. Returns how many there are.
    """
    count = 0
    for o in range(column.shape[0]):
        column[o] = -1
        for s in range(placement.shape[0]):
            if shelf.placement_offers[placement[s], o] and excluded[row[s], o] == 0:
                column[o] = count
                wanted[count] = o
                count += 1
                break
    return count
