"""Examples to learn from: who was offered what, when, and whether it was accepted."""

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.preparation import Floats32

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Examples(Struct, frozen=True):
    """N contacts of a person, M offers as they were at a contact, and K pairs of the two with their outcome.

    Columns are those of `takt.features.matrix.model_columns`, raw, NaN for missing.
    """

    profile_names: tuple[str, ...]
    profile: Floats32
    """float32 [N, P], as of the contact."""
    person: Ints
    """int64 [N]."""
    campaign: Ints
    """int64 [N]."""
    contacted: npt.NDArray[np.datetime64]
    """datetime64[D] [N]."""
    offer_names: tuple[str, ...]
    offers: Floats32
    """float32 [M, G], as of the contact."""
    offer_ids: tuple[str, ...]
    """[M]; empty for an offer that is known by its attributes alone."""
    row: Ints
    """int64 [K], which contact."""
    offer: Ints
    """int64 [K], which offer."""
    accepted: Bools
    """bool [K], within the outcome window."""

    def vocabulary(self, contacts: Bools) -> tuple[str, ...]:
        """Ids of the offers that were part of the contacts [N], sorted. The code of an offer is 1 + its index."""
        return tuple(sorted({self.offer_ids[i] for i in np.unique(self.offer[contacts[self.row]])} - {""}))

    def codes(self, vocabulary: tuple[str, ...]) -> Ints:
        """int64 [M]: codes of the offers, 0 for those that the vocabulary lacks."""
        position = {name: 1 + i for i, name in enumerate(vocabulary)}
        return np.array([position.get(name, 0) for name in self.offer_ids], np.int64)
