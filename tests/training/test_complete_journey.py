"""Features know nothing of the future, labels nothing of other windows, and times are the shop's own."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from takt.domain.person import Address
from takt.features.record import RecordReader, RowStatus, pack_profiles, validate
from takt.features.spec import FeatureSpec
from takt_training.complete_journey.aisles import AISLES, aisle_of
from takt_training.complete_journey.examples import WINDOW_DAYS, campaign_examples
from takt_training.complete_journey.households import household_features, smoothed_shares
from takt_training.complete_journey.offers import campaign_offers, category_attributes
from takt_training.complete_journey.profiles import households, rows_of
from takt_training.complete_journey.tables import Tables, tables_from
from takt_training.complete_journey.workspace import title
from tests.training.synthetic import CAMPAIGNS, source

AS_OF = date(2017, 8, 14)


def _with_another_future() -> Tables:
    """The invented shop, with everything after `AS_OF` (in New York) made up anew."""
    frames = source()
    transactions = frames["transactions"].copy()
    late = transactions.transaction_timestamp >= pd.Timestamp(2017, 8, 14, 4)
    transactions.loc[late, ["sales_value", "coupon_disc", "store_id"]] = [999.0, 9.0, 77]
    transactions.loc[late, "product_id"] = 0
    redemptions = frames["coupon_redemptions"]
    mailed = frames["campaigns"]
    starts = {number: start for number, _, start, _ in CAMPAIGNS}
    return tables_from(
        {
            **frames,
            "transactions": transactions,
            "coupon_redemptions": redemptions[redemptions.redemption_date < pd.Timestamp(2017, 8, 14)],
            "campaigns": mailed[mailed.campaign_id.map(starts) < pd.Timestamp(2017, 8, 14)],
        }
    )


def test_features_as_of_a_day_ignore_all_that_came_after(shop: Tables) -> None:
    """Another future, the same features and the same attributes of offers."""
    other = _with_another_future()

    pd.testing.assert_frame_equal(household_features(shop, AS_OF), household_features(other, AS_OF))
    pd.testing.assert_frame_equal(category_attributes(shop, AS_OF), category_attributes(other, AS_OF))


def test_features_do_see_what_came_before(shop: Tables) -> None:
    """The test above can fail: one day later the futures differ."""
    later = date(2017, 8, 25)

    assert not household_features(shop, later).equals(household_features(_with_another_future(), later))


def test_a_purchase_of_the_day_itself_is_not_known_yet(shop: Tables) -> None:
    """Recency is at least one day."""
    assert 1.0 <= household_features(shop, AS_OF).days_since_basket.min()


def test_late_evening_in_new_york_is_the_next_day_in_utc() -> None:
    """A basket at 02:30 UTC belongs to the evening before, in summer and in winter."""
    frames = source()
    first = frames["transactions"].iloc[[0, 0]].copy()
    first["basket_id"] = [900_001, 900_002]
    first["transaction_timestamp"] = [pd.Timestamp(2017, 7, 2, 2, 30), pd.Timestamp(2017, 12, 2, 2, 30)]
    tables = tables_from({**frames, "transactions": pd.concat([frames["transactions"], first])})

    last = tables.baskets.time.tail(2).tolist()

    assert [pd.Timestamp(2017, 7, 1, 22, 30), pd.Timestamp(2017, 12, 1, 21, 30)] == last


def test_a_coupon_for_everything_belongs_to_no_category(shop: Tables) -> None:
    """It counts for the mailing only."""
    wide = shop.coupons[shop.coupons.coupon == 9999]
    offers = campaign_offers(shop, 3, category_attributes(shop, date(2017, 5, 8)))

    assert {-1} == set(wide.category)
    assert [7.0, *[1.0] * 6] == offers.coupons.tolist()
    assert ["mailing", *["coupon"] * 6] == offers.scope.tolist()


def test_labels_end_with_the_window(shop: Tables, spec: FeatureSpec) -> None:
    """Redeemed on day 25 counts, on day 26 it does not; a wide coupon counts for the mailing alone."""
    examples = campaign_examples(shop, spec)
    starts = {number: start for number, _, start, _ in CAMPAIGNS}
    table = shop.redemptions
    days = np.array([(day - starts[number]).days for day, number in zip(table.day, table.campaign, strict=True)])
    in_time = table[days <= WINDOW_DAYS]
    mailing = np.array([name == "" for name in examples.offer_ids])[examples.offer]

    assert (days == WINDOW_DAYS).any()
    assert (days > WINDOW_DAYS).any()
    assert len(in_time.drop_duplicates(["campaign", "household"])) == examples.accepted[mailing].sum()
    narrow = in_time[in_time.category >= 0].drop_duplicates(["campaign", "household", "category"])
    assert len(narrow) == examples.accepted[~mailing].sum()


def test_examples_are_the_columns_that_are_served(shop: Tables, spec: FeatureSpec) -> None:
    """The example of a household holds its features as of the campaign's start."""
    examples = campaign_examples(shop, spec)
    at = int(np.flatnonzero(examples.campaign == 5)[0])
    features = household_features(shop, date(2017, 7, 17)).iloc[examples.person[at]]

    found = dict(zip(examples.profile_names, examples.profile[at].tolist(), strict=True))

    for name in ("baskets_28d", "spend_84d", "share_dairy", "redemption_rate", "shops_weekend_evening"):
        assert pytest.approx(features[name], rel=1e-6) == found[name]


def test_households_pack_into_profiles(shop: Tables, spec: FeatureSpec) -> None:
    """Every feature of every household is accepted by the spec, and a record reads back."""
    people = households(shop, spec.profile, AS_OF)
    records = pack_profiles(spec, [one.row for one in people], 0)
    _, status = RecordReader(spec, {}).read(records)

    assert [f"hh-{number:04d}" for number in shop.households] == [one.profile_id for one in people]
    assert {RowStatus.OK} == set(status.tolist())
    assert not [v for one in people for v in validate(spec.profile, one.row.features)]


def test_what_is_simulated_is_the_same_every_time(shop: Tables, spec: FeatureSpec) -> None:
    """Consents and form of address come from the household's id alone, whatever the day."""
    early, late = (households(shop, spec.profile, day) for day in (date(2017, 3, 1), AS_OF))

    assert [one.row.consents for one in early] == [one.row.consents for one in late]
    assert {Address.NEUTRAL, Address.FORMAL, Address.INFORMAL} == {one.row.address for one in late}


def test_values_have_the_types_of_the_spec(shop: Tables, spec: FeatureSpec) -> None:
    """Counts are int, shares float, flags bool, categories str; what is missing is left out."""
    (row, *_) = rows_of(household_features(shop, AS_OF).iloc[[1]], spec.profile)

    assert (int, float, bool) == tuple(type(row[name]) for name in ("baskets_28d", "share_dairy", "demographics_known"))
    assert "age" not in row  # household 1 has stated nothing


def test_shares_are_drawn_towards_everybodys() -> None:
    """A household without baskets shops when everybody does; one with many keeps its own times."""
    shares = smoothed_shares(np.array([[0.0, 0.0], [30.0, 10.0], [0.0, 60.0]]), prior=10.0)

    assert pytest.approx([0.3, 0.7]) == shares[0].tolist()
    assert shares[2, 1] > 0.9
    assert pytest.approx([1.0, 1.0, 1.0]) == shares.sum(1).tolist()


@pytest.mark.parametrize(
    ("department", "category", "aisle"),
    [
        ("GROCERY", "COLD CEREAL", "breakfast"),
        ("GROCERY", "SOUP", "pantry"),
        ("NUTRITION", "SOUP", "natural"),
        ("DRUG GM", "CIGARETTES", "alcohol_tobacco"),
        ("DRUG GM", "MAGAZINE", "general"),
        ("TOYS", "", "general"),
    ],
)
def test_aisles(department: str, category: str, aisle: str) -> None:
    """A category has its aisle, else its department has, else it is general."""
    assert aisle == aisle_of(department, category)
    assert aisle in AISLES


def test_titles_are_for_people() -> None:
    """Abbreviations are spelled out."""
    assert "Frozen novelties, water ice" == title("FRZN NOVELTIES/WTR ICE")
    assert "Diapers and disposables" == title("DIAPERS & DISPOSABLES")
