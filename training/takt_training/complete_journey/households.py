"""Profile features of all households as of the beginning of a day, out of what had happened before that day.

One function makes them, for every campaign that the trainer learns from and for the demo. Aggregates are over windows
of whole weeks (28 and 84 days), so that weekends count alike and a feature means the same in spring as in autumn:
totals since the beginning of the data would grow with the calendar, and a model would take the calendar for loyalty.
"""

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from takt_training.complete_journey.aisles import AISLES
from takt_training.complete_journey.tables import DEMOGRAPHICS, Tables

SLOTS: tuple[str, ...] = (
    "weekday_morning",
    "weekday_afternoon",
    "weekday_evening",
    "weekday_night",
    "weekend_morning",
    "weekend_afternoon",
    "weekend_evening",
    "weekend_night",
)
"""Parts of the week by local time: morning 05-12, afternoon 12-17, evening 17-23, night 23-05. Saturday and Sunday,
from midnight to midnight, are the weekend."""
SLOT_HOURS: tuple[int, ...] = (35, 25, 30, 30, 14, 10, 12, 12)
"""Hours a week of each slot."""

SLOT_PRIOR = 24.0
"""Baskets that the population's shopping times count for in a household's. Shopping times of July to December are most
likely given those of January to June at 16 to 32."""
RATE_PRIOR = 4.0
"""Campaigns that the population's redemption rate counts for in a household's."""
_WINDOWS = (28, 84)

Floats = npt.NDArray[np.float64]


def household_features(tables: Tables, as_of: date) -> pd.DataFrame:
    """The features of every household, columns as in `features.yaml`, rows in the order of `tables.households`.

    Floats, NaN where unknown; the categories (`last_campaign_type` and the demographics) as str, None where unknown.
    Nothing that happened on or after `as_of` is read.
    """
    known = tables.before(as_of)
    count = len(known.households)
    columns: dict[str, npt.NDArray[np.generic]] = {}
    columns.update(_shopping(known, as_of, count))
    columns.update(_aisles(known, count))
    columns.update(_coupons(known, as_of, count))
    columns.update(_campaigns(known, as_of, count))
    columns.update(_slots(known, count))
    columns.update(_demographics(known, count))
    return pd.DataFrame(columns, index=pd.Index(known.households, name="household_id"))


def _age_days(days: pd.Series, as_of: date) -> Floats:
    """Whole days between moments of earlier days and the beginning of `as_of`."""
    seconds: npt.NDArray[np.int64] = (np.datetime64(as_of, "s") - days.to_numpy()).astype(np.int64)
    return seconds / 86_400


def _total(household: npt.NDArray[np.integer], count: int, weights: npt.ArrayLike | None = None) -> Floats:
    return np.bincount(household, weights=weights, minlength=count).astype(np.float64)


def _least(household: npt.NDArray[np.integer], values: Floats, count: int) -> Floats:
    """Least value per household, NaN for those without any."""
    result = np.full(count, np.inf)
    np.minimum.at(result, household, values)
    result[np.isinf(result)] = np.nan
    return result


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotient, NaN where nothing is below."""
    result: Floats = np.full(len(above), np.nan)
    return np.divide(above, below, out=result, where=below > 0)


def _floats(values: pd.Series) -> Floats:
    return np.array(values, np.float64)


def _shopping(known: Tables, as_of: date, count: int) -> dict[str, Floats]:
    baskets, lines = known.baskets, known.lines
    household = baskets.household.to_numpy()
    age = _age_days(baskets.day, as_of)
    every = _total(household, count)
    result: dict[str, Floats] = {
        "days_since_basket": _least(household, age, count),
        "days_known": -_least(household, -age, count),
    }
    for window in _WINDOWS:
        recent = age <= window
        result[f"baskets_{window}d"] = _total(household[recent], count)
        result[f"spend_{window}d"] = _total(household[recent], count, baskets.spend.to_numpy()[recent])
    by_household = baskets.groupby("household")
    all_households = np.arange(count)
    result["basket_spend"] = _floats(by_household.spend.median().reindex(all_households))
    result["basket_items"] = _ratio(_total(household, count, baskets["items"].to_numpy()), every)
    result["stores"] = _floats(by_household.store.nunique().reindex(all_households, fill_value=0))
    buyer = lines.household.to_numpy()
    sales, discount = lines.sales.to_numpy(np.float64), lines.discount.to_numpy(np.float64)
    spend = _total(buyer, count, sales)
    saved = _total(buyer, count, discount)
    private = lines.private.to_numpy()
    result["discount_share"] = _ratio(saved, spend + saved)
    result["private_label_share"] = _ratio(_total(buyer[private], count, sales[private]), spend)
    hours = (baskets.time - baskets.day).to_numpy().astype(np.int64) / 3600
    result["shopping_hour"] = _floats(pd.Series(hours).groupby(household).median().reindex(all_households))
    return result


def _aisles(known: Tables, count: int) -> dict[str, Floats]:
    """Shares of spending since the beginning of the data, by aisle."""
    lines = known.lines
    cell = lines.household.to_numpy(np.int64) * len(AISLES) + lines.aisle.to_numpy()
    spend = _total(cell, count * len(AISLES), lines.sales.to_numpy(np.float64)).reshape(count, -1)
    shares = np.divide(
        spend, spend.sum(1, keepdims=True), out=np.full_like(spend, np.nan), where=spend.sum(1, keepdims=True) > 0
    )
    return {f"share_{aisle}": shares[:, i] for i, aisle in enumerate(AISLES)}


def _coupons(known: Tables, as_of: date, count: int) -> dict[str, Floats]:
    """Use of coupons of any source at the till, manufacturers' included; not only those of campaigns."""
    baskets = known.baskets
    household, age, saved = baskets.household.to_numpy(), _age_days(baskets.day, as_of), baskets.coupon.to_numpy()
    used, recent = saved > 0, age <= _WINDOWS[1]
    return {
        "coupon_baskets_84d": _total(household[used & recent], count),
        "coupon_saving_84d": _total(household[recent], count, saved[recent]),
        "coupon_basket_share": _ratio(_total(household[used], count), _total(household, count)),
        "days_since_coupon": _least(household[used], age[used], count),
    }


def _campaigns(known: Tables, as_of: date, count: int) -> dict[str, npt.NDArray[np.generic]]:
    mailings, redemptions = known.mailings, known.redemptions
    household = mailings.household.to_numpy()
    received = _total(household, count)
    hit = mailings.redeemed.notna().to_numpy()
    redeemed = _total(household[hit], count)
    running = (mailings.end >= np.datetime64(as_of, "s")).to_numpy()
    overall = (redeemed.sum() + 1) / (received.sum() + 10)
    redeemer, since = redemptions.household.to_numpy(), _age_days(redemptions.day, as_of)
    last = mailings.drop_duplicates("household", keep="last").set_index("household").type
    return {
        "campaigns_received": received,
        "campaigns_running": _total(household[running], count),
        "days_since_campaign": _least(household, _age_days(mailings.start, as_of), count),
        "campaigns_redeemed": redeemed,
        "redemption_rate": np.where(received > 0, (redeemed + RATE_PRIOR * overall) / (received + RATE_PRIOR), np.nan),
        "redemptions_84d": _total(redeemer[since <= _WINDOWS[1]], count),
        "days_since_redemption": _least(redeemer, since, count),
        "last_campaign_type": _objects(last.reindex(np.arange(count))),
    }


def _objects(values: pd.Series) -> npt.NDArray[np.object_]:
    """Strings as Python objects, None where missing."""
    return values.astype(object).where(values.notna(), None).to_numpy()


PART_OF_HOUR: tuple[int, ...] = (3,) * 5 + (0,) * 7 + (1,) * 5 + (2,) * 6 + (3,)
"""Which part of the day (morning, afternoon, evening, night) each hour belongs to."""


def slot_of(times: pd.Series) -> npt.NDArray[np.int64]:
    """Index into `SLOTS` of local times."""
    hour = times.dt.hour.to_numpy()
    part = np.array(PART_OF_HOUR)[hour]
    slot: npt.NDArray[np.int64] = np.where(times.dt.day_of_week.to_numpy() >= 5, 4, 0) + part
    return slot


def _slots(known: Tables, count: int) -> dict[str, Floats]:
    """When the household shops: shares of its baskets by part of the week, drawn towards everybody's."""
    cell = known.baskets.household.to_numpy(np.int64) * len(SLOTS) + slot_of(known.baskets.time)
    baskets = _total(cell, count * len(SLOTS)).reshape(count, -1)
    shares = smoothed_shares(baskets, SLOT_PRIOR)
    return {f"shops_{slot}": shares[:, i] for i, slot in enumerate(SLOTS)}


def smoothed_shares(counts: Floats, prior: float) -> Floats:
    """Row-wise shares of counts [H, S] with `prior` added in proportion to the column sums; NaN if these are 0."""
    total = counts.sum()
    if total == 0:
        return np.full_like(counts, np.nan)
    everybody = counts.sum(0) / total
    shares: Floats = (counts + prior * everybody) / (counts.sum(1, keepdims=True) + prior)
    return shares


def _demographics(known: Tables, count: int) -> dict[str, npt.NDArray[np.generic]]:
    table = known.demographics.set_index("household").reindex(np.arange(count))
    stated = np.isin(np.arange(count), known.demographics.household.to_numpy())
    result: dict[str, npt.NDArray[np.generic]] = {"demographics_known": stated.astype(np.float64)}
    result.update({name: _objects(table[name]) for name in DEMOGRAPHICS})
    return result
