"""The catalog's rules, as one would write them down in Python; offers as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from takt.catalog.snapshot import Catalog
from takt.features.matrix import model_matrix

Profile = Mapping[str, Any]
Mask = npt.NDArray[np.bool_]
CONTACT_COST = 0.004
ANNOYANCE_COST = 0.05


def stage_of(profile: Profile) -> str:
    """The journey stage."""
    known, since = profile.get("days_known"), profile.get("days_since_basket")
    if known is not None and known < 28:
        return "new"
    if (profile.get("baskets_84d") or 0) >= 24:
        return "regular"
    if since is not None and since <= 28:
        return "active"
    if since is not None and since <= 84:
        return "lapsing"
    return "lapsed"


@dataclass(frozen=True, slots=True)
class Shelf:
    """All offers, prepared once."""

    ids: list[str]
    groups: list[str]
    values: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64]
    baby: Mask
    pet: Mask
    health: Mask
    dear: Mask
    """Coupons that cost more than 6."""
    rare: Mask
    """Coupons that few households buy."""
    recipes: Mask
    food: Mask

    @classmethod
    def of(cls, catalog: Catalog) -> Shelf:
        """The offers of a catalog."""
        groups = [catalog.groups[group] for group in catalog.offer_group]
        names = np.array(groups)
        tagged = {tag: np.array([tag in offer.tags for offer in catalog.offers]) for tag in ("coupon", "food")}
        table, places = catalog.offer_table, catalog.spec.offer.places
        price, popularity = (table[places[n].field][:, places[n].column] for n in ("price", "popularity"))
        return cls(
            ids=[offer.id for offer in catalog.offers],
            groups=groups,
            values=np.asarray(catalog.value, np.float32),
            features=model_matrix(catalog.spec.offer, table, 0),
            codes=np.arange(1, len(groups) + 1),
            baby=names == "baby",
            pet=names == "pet",
            health=names == "health",
            dear=tagged["coupon"] & (price > 6.0),
            rare=tagged["coupon"] & (popularity < 0.3),
            recipes=np.isin(names, ("pantry", "produce", "seafood")),
            food=tagged["food"],
        )

    def eligible(self, profile: Profile, stage: str) -> Mask:
        """Bool [offers]: what this person may get on the web."""
        mask = ~self.health
        if not ((profile.get("share_baby") or 0) > 0 or profile.get("kids_count", "0") != "0"):
            mask &= ~self.baby
        if not (profile.get("share_pet") or 0) > 0:
            mask &= ~self.pet
        if (profile.get("spend_84d") or 0) < 250:
            mask &= ~self.dear
        if stage == "lapsed":
            mask &= ~self.rare
        return mask

    def weights(self, stage: str, page: str) -> npt.NDArray[np.float32]:
        """What counts for more in this context, float32 [offers]."""
        weights = np.ones(len(self.ids), np.float32)
        if page == "recipes":
            weights[self.recipes] *= 1.25
        if stage == "lapsing":
            weights[self.food] *= 1.15
        return weights
