"""Campaigns to examples: every household mailed, every offer of its campaign, and whether it was redeemed in time."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from takt.domain.request import Scalar
from takt.features.matrix import model_columns, model_matrix
from takt.features.record import ProfileRow, RecordReader, pack_profiles, pack_section
from takt.features.spec import FeatureSpec
from takt_training.complete_journey.households import household_features
from takt_training.complete_journey.offers import campaign_offers, category_attributes
from takt_training.complete_journey.profiles import rows_of
from takt_training.complete_journey.tables import Tables
from takt_training.examples import Bools, Examples, Ints
from takt_training.preparation import Floats32

WINDOW_DAYS = 25
"""An offer counts as accepted if redeemed within so many days of its campaign's start."""
LEAST_HISTORY_DAYS = 28
"""Campaigns that start earlier after the beginning of the data are left out: nothing would be known of anybody."""


def campaign_examples(
    tables: Tables, spec: FeatureSpec, progress: Callable[[float], None] = lambda _: None
) -> Examples:
    """Examples of all campaigns with enough history. `progress` is told the share that is done.

    Profiles and offers go through the service's own packed records and model matrices, so that a model learns from
    the very columns that it will be served.
    """
    begin = tables.baskets.day.min() + pd.Timedelta(days=LEAST_HISTORY_DAYS)
    campaigns = tables.campaigns[tables.campaigns.start >= begin]
    redeemed = _redeemed_in_time(tables)
    people: list[dict[str, Scalar]] = []
    things: list[dict[str, Scalar]] = []
    ids: list[str] = []
    person: list[Ints] = []
    campaign: list[Ints] = []
    contacted: list[npt.NDArray[np.datetime64]] = []
    row: list[Ints] = []
    offer: list[Ints] = []
    accepted: list[Bools] = []
    contacts = 0
    for done, (number, start) in enumerate(zip(campaigns.campaign.tolist(), campaigns.start, strict=True)):
        day = start.date()
        mailed = tables.mailings.household[tables.mailings.campaign == number].to_numpy(np.int64)
        features = household_features(tables, day)
        people.extend(rows_of(features.iloc[mailed], spec.profile))
        offers = campaign_offers(tables, number, category_attributes(tables, day))
        person.append(mailed)
        campaign.append(np.full(len(mailed), number, np.int64))
        contacted.append(np.full(len(mailed), np.datetime64(day, "D")))
        row.append(np.repeat(contacts + np.arange(len(mailed)), len(offers)))
        offer.append(np.tile(len(things) + np.arange(len(offers)), len(mailed)))
        hits = redeemed.get(number, set())
        accepted.append(np.array([(who, what) in hits for who in mailed.tolist() for what in offers.category.tolist()]))
        things.extend(rows_of(offers, spec.offer))
        ids.extend("" if what < 0 else name for name, what in zip(offers.offer, offers.category, strict=True))
        contacts += len(mailed)
        progress((done + 1) / len(campaigns))
    return Examples(
        profile_names=model_columns(spec.profile),
        profile=profile_matrix(spec, [ProfileRow(features) for features in people]),
        person=np.concatenate(person),
        campaign=np.concatenate(campaign),
        contacted=np.concatenate(contacted),
        offer_names=model_columns(spec.offer),
        offers=model_matrix(spec.offer, pack_section(spec.offer, things), 0),
        offer_ids=tuple(ids),
        row=np.concatenate(row),
        offer=np.concatenate(offer),
        accepted=np.concatenate(accepted),
    )


def profile_matrix(spec: FeatureSpec, rows: list[ProfileRow]) -> Floats32:
    """Model columns [n, P] of profiles, by way of packed records."""
    array, _ = RecordReader(spec, {}).read(pack_profiles(spec, rows, 0))
    return model_matrix(spec.profile, array, 0)


def _redeemed_in_time(tables: Tables) -> dict[int, set[tuple[int, int]]]:
    """By campaign: (household, category) of coupons redeemed within the window, and (household, -1) for the mailing."""
    table = tables.redemptions.merge(tables.campaigns[["campaign", "start"]], on="campaign")
    table = table[table.day - table.start <= pd.Timedelta(days=WINDOW_DAYS)]
    result: dict[int, set[tuple[int, int]]] = {}
    columns = (table[name].tolist() for name in ("campaign", "household", "category"))
    for number, who, what in zip(*columns, strict=True):
        result.setdefault(number, set()).update({(who, what), (who, -1)})
    return result
