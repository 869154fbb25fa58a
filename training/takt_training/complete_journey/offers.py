"""Offers: what a campaign's coupons are for, as of the day on which it starts.

Two kinds of thing are offered in the data, and both are learned from, told apart by the attribute `scope`:

- a *mailing*: one campaign's letter with all its coupons; a household accepts it by redeeming any of them. This is
  the label whose held-out quality is reported, because every household's answer to it is known.
- a *coupon*: one product category of a campaign's coupons; a household accepts it by redeeming a coupon of that
  category. This is what the catalog offers and what teaches which categories a household takes to. In campaigns of
  type A each household got 16 coupons out of a pool of about 200, and the data do not say which: there, acceptance
  includes not having received it. Coupons for whole departments belong to no category; they count for the mailing only.
"""

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from takt_training.complete_journey.aisles import AISLES
from takt_training.complete_journey.tables import Tables

MAILING, COUPON = "mailing", "coupon"
CAMPAIGN_TYPES = ("A", "B", "C")
_WINDOW_DAYS = 84

Floats = npt.NDArray[np.float64]


def category_attributes(tables: Tables, as_of: date) -> pd.DataFrame:
    """What the purchases of the 84 days before `as_of` say about each product category (rows as `tables.categories`).

    price: median shelf price per unit, USD. basket_value: mean spending on the category in baskets that have some of
    it, USD. coupon_saving: mean saving on lines bought with a coupon, USD. private_label_share: of spending.
    popularity: share of the households that shopped at all. NaN where nothing was bought (popularity: 0, NaN only
    before the data begin).
    """
    cut = np.datetime64(as_of, "s")
    day = tables.lines.day.to_numpy()
    lines = tables.lines[(day < cut) & (day >= cut - np.timedelta64(_WINDOW_DAYS, "D"))]
    count, households = len(tables.categories), len(tables.households)
    category = lines.category.to_numpy(np.int64)
    sales = lines.sales.to_numpy(np.float64)
    spend = np.bincount(category, sales, count)
    buyers = np.bincount(np.unique(category * households + lines.household.to_numpy()) // households, minlength=count)
    baskets = np.bincount(np.unique(category * (2**32) + lines.basket.to_numpy()) // 2**32, minlength=count)
    coupon = lines.coupon.to_numpy(np.float64)
    private = lines.private.to_numpy()
    shoppers = lines.household.nunique()
    return pd.DataFrame(
        {
            "price": lines.groupby("category").price.median().reindex(np.arange(count)).to_numpy(np.float64),
            "basket_value": _ratio(spend, baskets),
            "coupon_saving": _ratio(
                np.bincount(category, coupon, count), np.bincount(category[coupon > 0], minlength=count)
            ),
            "private_label_share": _ratio(np.bincount(category[private], sales[private], count), spend),
            "popularity": buyers / shoppers if shoppers else np.full(count, np.nan),
        }
    )


def _ratio(above: npt.NDArray[np.generic], below: npt.NDArray[np.generic]) -> Floats:
    over = np.asarray(below, np.float64)
    result: Floats = np.full(len(over), np.nan)
    return np.divide(np.asarray(above, np.float64), over, out=result, where=over > 0)


def campaign_offers(tables: Tables, campaign: int, attributes: pd.DataFrame) -> pd.DataFrame:
    """The offers of one campaign: first the mailing as a whole, then its coupons by category.

    Columns: offer (id), category (index, -1 for the mailing), and the attributes as in `features.yaml`: scope,
    campaign_type, aisle (str, None for the mailing), coupons, products (numbers of), price, basket_value,
    coupon_saving, private_label_share, popularity. The mailing's are the means over its coupons. `attributes`: as of
    `category_attributes`, at the campaign's start.
    """
    kind = tables.campaigns.set_index("campaign").type[campaign]
    own = tables.coupons[tables.coupons.campaign == campaign]
    narrow = own[own.category >= 0]
    by_category = narrow.groupby("category").agg(coupons=("coupon", "size"), products=("products", "sum"))
    details = attributes.iloc[by_category.index]
    coupons = pd.DataFrame(
        {
            "offer": offer_ids(tables).iloc[by_category.index].to_numpy(),
            "category": by_category.index.to_numpy(),
            "scope": COUPON,
            "campaign_type": kind,
            "aisle": np.array(AISLES, object)[tables.categories.aisle.iloc[by_category.index]],
            "coupons": by_category.coupons.to_numpy(np.float64),
            "products": by_category.products.to_numpy(np.float64),
            **{name: details[name].to_numpy() for name in details},
        }
    )
    weights = by_category.coupons.to_numpy(np.float64)
    mailing = {
        "offer": f"mailing-{kind.lower()}",
        "category": -1,
        "scope": MAILING,
        "campaign_type": kind,
        "aisle": None,
        "coupons": float(len(own)),
        "products": float(own["products"].sum()),
        **{name: _mean(details[name].to_numpy(), weights) for name in details},
    }
    return pd.concat([pd.DataFrame([mailing]).astype({"aisle": object}), coupons], ignore_index=True)


def _mean(values: Floats, weights: Floats) -> float:
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")


def offer_ids(tables: Tables) -> pd.Series:
    """Ids of the coupon offers by category: small letters and hyphens, `cookies-cones` for COOKIES/CONES."""
    names = tables.categories.category.astype(str).str.lower()
    return names.str.replace(r"[^a-z0-9]+", "-", regex=True).str.strip("-")
