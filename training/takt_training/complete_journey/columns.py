"""How the columns of the Complete Journey's feature spec are prepared for a model."""

from takt_training.complete_journey.aisles import AISLES
from takt_training.complete_journey.offers import CAMPAIGN_TYPES
from takt_training.offer_encoding import OfferPlan
from takt_training.preparation import Treatment

_COUNT = Treatment()
_SHARE = Treatment(offset=0.01, high=1.0)
_DAYS = Treatment(high=400.0, missing_is_most=True)
_MAY_BE_NEVER = Treatment(high=400.0, missing_is_most=True, flag_missing=True)

PROFILE: dict[str, Treatment] = {
    "days_since_basket": _DAYS,
    "baskets_28d": _COUNT,
    "spend_28d": _COUNT,
    "baskets_84d": _COUNT,
    "spend_84d": _COUNT,
    "basket_spend": _COUNT,
    "basket_items": _COUNT,
    "stores": _COUNT,
    "discount_share": _SHARE,
    "private_label_share": _SHARE,
    "shopping_hour": Treatment(log=False, high=24.0),
    **{f"share_{aisle}": _SHARE for aisle in AISLES},
    "coupon_baskets_84d": _COUNT,
    "coupon_saving_84d": _COUNT,
    "coupon_basket_share": _SHARE,
    "days_since_coupon": _MAY_BE_NEVER,
    "campaigns_running": _COUNT,
    "days_since_campaign": _MAY_BE_NEVER,
    "redemption_rate": _SHARE,
    "redemptions_84d": _COUNT,
    "days_since_redemption": _MAY_BE_NEVER,
    "demographics_known": Treatment(log=False, high=1.0),
}
"""Profile columns that acceptance is learned from. Shopping times are not among them: they make the timings."""

AFFINITY: tuple[str, ...] = tuple(f"share_{aisle}" for aisle in AISLES)
"""The profile column that goes with an offer's aisle."""

OFFERS = OfferPlan(
    scope="scope",
    type="campaign_type",
    types=len(CAMPAIGN_TYPES),
    missing_type=CAMPAIGN_TYPES.index("B"),
    group="aisle",
    groups=len(AISLES),
    attributes={
        "coupons": _COUNT,
        "products": _COUNT,
        "price": Treatment(offset=0.1),
        "basket_value": Treatment(offset=0.1),
        "coupon_saving": Treatment(offset=0.1),
        "private_label_share": Treatment(log=False, high=1.0),
        "popularity": _SHARE,
    },
)
