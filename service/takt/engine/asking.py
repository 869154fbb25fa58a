"""What a batch of callers asks, as columns: read once from their messages, the same for every attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.domain.request import Identity
    from takt.engine.force import Force
    from takt.errors import TaktError


class Asking(Struct):
    """n requests, read against one catalog. What cannot be decided has its error, and asks for nothing."""

    force: Force
    """Whose indices the columns hold."""
    request_ids: list[str]
    profile_ids: list[str]
    """Empty where the person is named by identities."""
    identities: dict[int, tuple[Identity, ...]]
    """By request, of those that name the person so."""
    messages: list[bytes]
    """Each request as the log keeps it: without its budget, and without the values of identities."""
    digests: list[bytes]
    """16 bytes that two requests share exactly if they ask the same. Budgets and dry runs do not count."""
    deadlines_us: list[int]
    """On the clock's monotonic scale; 0 means none."""
    dry_run: npt.NDArray[np.bool_]
    """bool [n]."""
    explain: npt.NDArray[np.int64]
    """int64 [n]: `takt.domain.request.Explain`."""
    distinct: npt.NDArray[np.bool_]
    """bool [n]: no offer twice in the request."""
    first_ask: npt.NDArray[np.int64]
    """int64 [n + 1]: the first placement that each asks for."""
    placement: npt.NDArray[np.int64]
    """int64 [asks]: index of the placement in the catalog."""
    slots: npt.NDArray[np.int64]
    """int64 [asks]: how many offers at most, within what the placement declares."""
    timings: npt.NDArray[np.bool_]
    """bool [n, T]: slots that the caller allows."""
    contexts: npt.NDArray[np.void]
    """Structured [n]: the context as it was asked, packed, defaults where nothing was said."""
    errors: dict[int, TaktError]
    """By request."""

    def __len__(self) -> int:
        """How many requests."""
        return len(self.request_ids)

    def placements(self, i: int) -> list[int]:
        """The placements that request `i` asks for."""
        asked: list[int] = self.placement[self.first_ask[i] : self.first_ask[i + 1]].tolist()
        return asked


def spans(
    first: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the asks of some requests, joined, and where each request's begin, int64 [wanted + 1]."""
    starts, counts = first[wanted], first[wanted + 1] - first[wanted]
    begins = np.zeros(len(wanted) + 1, np.int64)
    np.cumsum(counts, out=begins[1:])
    return np.arange(begins[-1]) + np.repeat(starts - begins[:-1], counts), begins


def merged(asking: Asking, odd: Sequence[int], others: Asking) -> Asking:
    """`asking` with the requests `odd` taken from `others`, in their order.

    Until now they had no identities, and asked for nothing.
    """
    replaced = np.zeros(len(asking), np.int64)
    replaced[odd] = np.arange(1, len(odd) + 1)
    counts = np.where(
        replaced > 0, np.diff(others.first_ask)[replaced - 1] if len(odd) else 0, np.diff(asking.first_ask)
    )
    first_ask = np.zeros(len(asking) + 1, np.int64)
    np.cumsum(counts, out=first_ask[1:])
    asks = np.empty((2, first_ask[-1]), np.int64)
    kept = np.flatnonzero(replaced == 0)
    for source, of, into in ((asking, kept, kept), (others, np.arange(len(odd)), np.asarray(odd, np.int64))):
        taken, _ = spans(source.first_ask, of)
        put, _ = spans(first_ask, into)
        asks[:, put] = source.placement[taken], source.slots[taken]
    asking.first_ask, asking.placement, asking.slots = first_ask, asks[0], asks[1]
    for name in ("dry_run", "explain", "distinct", "timings", "contexts"):
        getattr(asking, name)[odd] = getattr(others, name)
    for name in ("request_ids", "profile_ids", "messages", "digests", "deadlines_us"):
        column = getattr(asking, name)
        for i, value in zip(odd, getattr(others, name), strict=True):
            column[i] = value
    asking.identities |= {odd[i]: identities for i, identities in others.identities.items()}
    asking.errors = {odd[i]: error for i, error in others.errors.items()}
    return asking
