"""Contacts to learn from: who was told what, when and in which tone, how likely that was, and what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from takt_training.preparation import Floats32

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NONE = -1
"""Index where there is nothing: the offer of silence, an arm that is not known."""


class Untold(Struct, frozen=True, eq=False):
    """What people to whom nothing was said did all the same, offer by offer: k pairs of a silence and an offer."""

    row: Ints
    """int64 [k]: the silence, a row of the contacts."""
    offer: Ints
    """int64 [k]: a row of their `offers`, one that could have been shown."""
    happened: Bools
    """bool [k]: its goal was reported within the window."""


class Contacts(Struct, frozen=True, eq=False):
    """n rows in any order. Profiles are kept once for the rows that share them, offers once in all.

    Columns are those of `takt.features.matrix.model_columns`, raw, NaN for missing.
    """

    profile: Floats32
    """float32 [d, P]."""
    row: Ints
    """int64 [n]: whose profile, a row of `profile`."""
    context: Floats32
    """float32 [n, C]."""
    offers: Floats32
    """float32 [m, G]: offers as they were."""
    offer_ids: tuple[str, ...]
    """[m]; an id may stand several times, with other attributes."""
    offer: Ints
    """int64 [n], row of `offers`; `NONE` for silence."""
    timing: Ints
    """int64 [n], index in the declared timings; `NONE` where not known."""
    tonality: Ints
    """int64 [n], the same for tonalities."""
    time_us: Ints
    """int64 [n], microseconds since the epoch."""
    person: Ints
    """int64 [n]: rows of one person belong together."""
    happened: Bools
    """bool [n]: the goal was reported within the window."""
    reward: Floats
    """float64 [n]: value of what happened."""
    propensity: Floats
    """float64 [n] in (0, 1]: P(this offer or silence, this arm)."""
    reacted: Bools | None = None
    """bool [n]: a negative reaction (unsubscribe, reject, ...) was reported; None where such are not known."""
    untold: Untold | None = None
    """What came anyway, by offer; None where silences say only whether anything did."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def silent(self) -> Bools:
        """Whether nothing was said, bool [n]."""
        return np.asarray(self.offer == NONE)

    def of_untold(self, untold: Untold) -> Contacts:
        """The pairs as rows of their own, without arms: what a baseline that knows offers is learned from."""
        none = np.full(len(untold.row), NONE, np.int64)
        return replace(
            self,
            row=self.row[untold.row],
            context=self.context[untold.row],
            offer=untold.offer,
            timing=none,
            tonality=none,
            time_us=self.time_us[untold.row],
            person=self.person[untold.row],
            happened=untold.happened,
            reward=np.zeros(len(untold.row)),
            propensity=self.propensity[untold.row],
            reacted=None,
            untold=None,
        )

    def with_untold(self) -> tuple[Contacts, Bools]:
        """All rows, and behind them the pairs of `untold`; bool [n + k]: those pairs."""
        if self.untold is None:
            return self, np.zeros(len(self), np.bool_)
        pairs = self.of_untold(self.untold)
        names = (
            *("row", "context", "offer", "timing", "tonality", "time_us", "person", "happened", "reward", "propensity"),
        )
        joined: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(pairs, name)]) for name in names}
        alone = np.arange(len(self) + len(pairs)) >= len(self)
        return replace(self, **joined, reacted=None, untold=None), alone

    def vocabulary(self, rows: Bools) -> tuple[str, ...]:
        """Ids of the offers of some rows, sorted; the code of an offer is 1 + its index."""
        used = np.unique(self.offer[rows])
        return tuple(sorted({self.offer_ids[i] for i in used[used >= 0]}))

    def codes(self, vocabulary: tuple[str, ...]) -> Ints:
        """int64 [m]: codes of `offers`, 0 for those that the vocabulary lacks."""
        position = {name: 1 + i for i, name in enumerate(vocabulary)}
        return np.array([position.get(name, 0) for name in self.offer_ids], np.int64)

    def persons(self, rows: Ints) -> Floats32:
        """float32 [k, P + C]: the person's side of some rows."""
        return np.concatenate([self.profile[self.row[rows]], self.context[rows]], axis=1)
