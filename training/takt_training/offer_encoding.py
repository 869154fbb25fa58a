"""Raw offer columns to what the offer tower learns from: its kind, its attributes, its group."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.preparation import Floats32, Preparation, Treatment, fit_preparation


class OfferPlan(Struct, frozen=True):
    """Which columns say what of an offer. A column of a category holds the index of its value, NaN where missing."""

    scope: str
    """Category of two values: 0 an offer of the primary scope, 1 of the secondary. Missing counts as secondary."""
    type: str
    types: int
    """Number of its values."""
    missing_type: int
    """What a missing type counts as."""
    group: str
    groups: int
    attributes: Mapping[str, Treatment]
    """Numeric columns; only offers of the secondary scope are told apart by them and by their group."""


class OfferEncoding(Struct, frozen=True):
    """Fitted encoding of raw offers [M, G] as [M, D]: kinds (scope x type, one-hot), attributes, groups (one-hot)."""

    plan: OfferPlan
    preparation: Preparation
    scope_column: int
    type_column: int
    group_column: int

    @property
    def kinds(self) -> int:
        """Scope x type: columns 0 to types - 1 are the primary ones."""
        return 2 * self.plan.types

    @property
    def groups_at(self) -> int:
        """Where the groups' columns begin."""
        return self.kinds + self.preparation.width

    @property
    def width(self) -> int:
        """D."""
        return self.groups_at + self.plan.groups

    def kind(self, raw: Floats32) -> npt.NDArray[np.int64]:
        """Index of the kind, int64 [M]."""
        scope = _index(raw[:, self.scope_column], 2, 1)
        return scope * self.plan.types + _index(raw[:, self.type_column], self.plan.types, self.plan.missing_type)

    def apply(self, raw: Floats32) -> Floats32:
        """Encoded offers [M, D]."""
        kind = self.kind(raw)
        secondary = (kind >= self.plan.types).astype(np.float32)[:, None]
        group = _index(raw[:, self.group_column], self.plan.groups, self.plan.groups)
        in_group = np.eye(self.plan.groups + 1, self.plan.groups, dtype=np.float32)[group]
        return np.concatenate(
            [
                np.eye(self.kinds, dtype=np.float32)[kind],
                self.preparation.apply(raw) * secondary,
                in_group * secondary,
            ],
            axis=1,
        )


def fit_encoding(raw: Floats32, names: Sequence[str], plan: OfferPlan) -> OfferEncoding:
    """Fit on raw offers [M, G] with columns `names`; attributes are standardised over those of the secondary scope."""
    position = {name: i for i, name in enumerate(names)}
    secondary = raw[:, position[plan.scope]] != 0
    return OfferEncoding(
        plan=plan,
        preparation=fit_preparation(raw[secondary], names, plan.attributes),
        scope_column=position[plan.scope],
        type_column=position[plan.type],
        group_column=position[plan.group],
    )


def _index(column: Floats32, count: int, missing: int) -> npt.NDArray[np.int64]:
    """Category indices; a missing one counts as `missing`, an absurd one as the nearest."""
    known = np.clip(np.where(np.isnan(column), 0, column), 0, count - 1).astype(np.int64)
    return np.where(np.isnan(column), missing, known)
