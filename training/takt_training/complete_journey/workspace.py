"""The workspace's offers, made of the data: `python -m takt_training.complete_journey.workspace` writes `offers.yaml`.

An offer is a coupon for one product category that at least three campaigns had coupons for before the date of the
workspace.
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from takt_training.complete_journey.aisles import AISLES
from takt_training.complete_journey.offers import category_attributes, offer_ids
from takt_training.complete_journey.tables import Tables, load_tables

AS_OF = date(2017, 10, 1)
LEAST_CAMPAIGNS = 3
TARGET = Path("examples/complete_journey/offers.yaml")
TYPE = "B"
"""Offers are scored as coupons of a type B campaign: there, as on a page, everybody who is contacted has the coupon
in hand."""

DRUGSTORE = ("health", "personal_care", "baby")
HOUSEHOLD = ("household", "pet", "general")

_WORDS = {
    "frzn": "frozen",
    "refrgratd": "refrigerated",
    "drnks": "drinks",
    "drnk": "drink",
    "flvrd": "flavoured",
    "pwdr": "powder",
    "crystl": "crystal",
    "mx": "mix",
    "mxs": "mixes",
    "misc": "other",
    "dnr": "dinner",
    "tiss": "tissues",
    "sald": "salad",
    "drsng": "dressing",
    "sndwch": "sandwich",
    "sprd": "spread",
    "pkld": "pickled",
    "veg": "vegetable",
    "dsh": "dishes",
    "bkd": "baked",
    "fd": "food",
    "brkfst": "breakfast",
    "whlsm": "wholesome",
    "pnt": "peanut",
    "btr": "butter",
    "bn": "beans",
    "sherbts": "sherbets",
    "cleang": "cleaning",
    "trsh": "trash",
    "bg": "bags",
    "jce": "juice",
    "conc": "concentrate",
    "wtr": "water",
}


def title(category: str) -> str:
    """A category's name for people: `FRZN NOVELTIES/WTR ICE` -> `Frozen novelties, water ice`."""
    words = (
        category.lower().replace("&", " and ").replace(":", " ").replace("-", " ").replace(".", "").replace("/", " , ")
    )
    text = " ".join(_WORDS.get(word, word) for word in words.split()).replace(" ,", ",")
    return text[:1].upper() + text[1:]


def catalog_offers(tables: Tables, as_of: date) -> pd.DataFrame:
    """The offers as of a day, by aisle and id.

    Columns: offer, category (name), aisle, coupons and products (medians over campaigns), and those of
    `category_attributes`.
    """
    known = tables.before(as_of)
    narrow = known.coupons[known.coupons.category >= 0]
    per_campaign = narrow.groupby(["category", "campaign"]).agg(
        coupons=("coupon", "size"), products=("products", "sum")
    )
    medians = per_campaign.groupby("category").median()
    medians = medians[per_campaign.groupby("category").size() >= LEAST_CAMPAIGNS]
    rows = medians.index.to_numpy()
    return (
        pd.DataFrame(
            {
                "offer": offer_ids(tables).iloc[rows].to_numpy(),
                "category": tables.categories.category.iloc[rows].to_numpy(),
                "aisle": np.array(AISLES)[tables.categories.aisle.iloc[rows]],
                "coupons": medians.coupons.to_numpy(),
                "products": medians["products"].to_numpy(),
            }
        )
        .join(category_attributes(tables, as_of).iloc[rows].reset_index(drop=True))
        .sort_values(["aisle", "offer"])
        .reset_index(drop=True)
    )


def offers_yaml(tables: Tables, as_of: date) -> str:
    """The text of `offers.yaml`."""
    offers = catalog_offers(tables, as_of)
    groups = ", ".join(sorted(set(offers.aisle)))
    return "\n".join(
        [
            "# Written by `python -m takt_training.complete_journey.workspace`, from purchases and campaigns before",
            f"# {as_of}. An offer is a coupon for one product category. `value` is what a household spends on the",
            "# category in a basket that has some of it, in USD: revenue, since the data know no margins.",
            f"groups: [{groups}]",
            "",
            "offers:",
            *_lines(offers),
            "",
        ]
    )


def _lines(offers: pd.DataFrame) -> Iterator[str]:
    numbers = ("coupons", "products", "price", "basket_value", "coupon_saving", "private_label_share", "popularity")
    for row in offers.to_dict("records"):
        known = {name: round(float(row[name]), 4) for name in numbers if not np.isnan(row[name])}
        attributes = ", ".join(f"{name}: {value:g}" for name, value in known.items())
        tag = "drugstore" if row["aisle"] in DRUGSTORE else "household" if row["aisle"] in HOUSEHOLD else "food"
        yield f"  - id: {row['offer']}"
        yield f'    title: "{title(str(row["category"]))}"'
        yield f"    group: {row['aisle']}"
        yield f"    tags: [coupon, {tag}]"
        yield f"    value: {row['basket_value']:.2f}"
        yield f"    attributes: {{scope: coupon, campaign_type: {TYPE}, aisle: {row['aisle']}, {attributes}}}"


def main() -> None:
    """Write the file."""
    text = offers_yaml(load_tables(), AS_OF)
    TARGET.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{TARGET}: {text.count('- id:')} offers\n")


if __name__ == "__main__":
    main()
