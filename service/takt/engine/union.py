"""The offers that a batch is scored for: the union of those that some spot may get."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from takt.engine.arrays import Bools, Ints, Table
from takt.kernel import kernel


@kernel
def number_columns(
    spots: Table, placement_offers: Bools, excluded: npt.NDArray[np.uint8], column: Ints, wanted: Ints
) -> int:
    """List the offers that some spot may get: to `wanted`, and where each stands there, or -1, to `column` [O].

    `spots` is `SPOT` [S], `placement_offers` of the shelf, `excluded` uint8 [Q, O]. Returns how many there are.
    """
    count = 0
    for o in range(column.shape[0]):
        column[o] = -1
        for s in range(spots.shape[0]):
            if placement_offers[spots[s]["placement"], o] and excluded[spots[s]["row"], o] == 0:
                column[o] = count
                wanted[count] = o
                count += 1
                break
    return count
