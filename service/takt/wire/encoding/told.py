"""What answers and records say of a batch beside what was decided: ids, versions, causes, and what was read."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

DECISION_ID: Final = 0
REQUEST_ID: Final = 1
PROFILE_ID: Final = 2
REQUEST: Final = 3
"""The request as the log keeps it: a `takt.v1.DecideRequest` without budget and values of identities."""
DIGEST: Final = 4
PROFILE_RECORD: Final = 5
LEDGER: Final = 6
"""As it was read, without contacts of the same batch."""
PIECES: Final = 7

ITEM: Final = np.dtype(
    [
        ("stage", "<i8"),
        ("attempts", "<i8"),  # 0 for a dry run
        ("partition", "<i8"),
        ("explain", "<i8"),  # takt.domain.request.Explain
        ("dry_run", "?"),
        ("anonymous", "?"),
        ("corrupt", "?"),  # the profile record could not be read
    ]
)


class Told(NamedTuple):
    """Items n in the layout's order, rows Q, spots S, offers O."""

    pieces: Bytes
    """All the pieces of all items, one after the other."""
    starts: Ints
    """int64 [n, PIECES], written: where each piece starts in `pieces`."""
    lengths: Ints
    """int64 [n, PIECES]."""
    items: npt.NDArray[np.void]
    """`ITEM` [n]."""
    common: Bytes
    """`takt.v1.Versions`, the log's `Exploration`, and `takt.v1.Degradation`s that hold for the whole batch."""
    common_spans: Ints
    """int64 [2 + degradations, 2]: start and length of each in `common`."""
    rule: npt.NDArray[np.int16]
    """int16 [Q, O]: the rule that left an offer out, or -1."""
    candidates: Ints
    """int64: for each spot that explains in full, its live candidates, best first."""
    candidates_end: Ints
    """int64 [S + 1]: where each spot's candidates end; those of spot s begin at `[s]` and end at `[s + 1]`."""
    contexts: Bytes
    """The packed context rows [Q], one after the other."""
    context_bytes: int
    """Bytes of one."""
    contacts: Bytes
    """Ledger entries of the contacts that the batch makes, packed, in the order of groups, items and spots."""
    first_contact: Ints
    """int64 [n + 1]: the first of each item, counted in entries of `contacts`."""
