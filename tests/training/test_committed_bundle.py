"""The committed model on the real households: the report's claims are found again through the file that is served."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

from takt.features.spec import FeatureSpec
from takt.model.bundle import Bundle, read_bundle
from takt_training.complete_journey import recipe
from takt_training.complete_journey.examples import WINDOW_DAYS, campaign_examples
from takt_training.complete_journey.households import household_features
from takt_training.complete_journey.tables import Tables, load_tables
from takt_training.complete_journey.workspace import AS_OF, offers_yaml
from takt_training.metrics import auc, expected_calibration_error
from takt_training.split import time_split

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "models" / "complete-journey" / "1.0.0"


@pytest.fixture(scope="module")
def real() -> Tables:
    """The real tables; some seconds."""
    return load_tables()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The committed bundle, verified."""
    return read_bundle(DIRECTORY)


def test_the_data_are_those_that_were_documented(real: Tables) -> None:
    """Households, campaigns, mailings and redemptions as counted in the documentation."""
    assert (2469, 27, 6589, 2102) == (
        len(real.households),
        len(real.campaigns),
        len(real.mailings),
        len(real.redemptions),
    )
    assert 801 == len(real.demographics)
    assert 25 == (real.coupons.category < 0).sum()


def test_redemptions_lie_on_days_that_the_household_shopped(real: Tables) -> None:
    """Read as New York's, nearly every redemption date has a basket of that household; read as UTC, fewer have."""
    baskets = pd.MultiIndex.from_frame(real.baskets[["household", "day"]])
    redemptions = pd.MultiIndex.from_frame(real.redemptions[["household", "day"]])

    assert redemptions.isin(baskets).mean() > 0.99


def test_the_committed_model_reaches_its_bars_on_later_campaigns(
    real: Tables, spec: FeatureSpec, bundle: Bundle
) -> None:
    """Features, packing, graph and all: AUC of the mailings' acceptance, averaged over timings, and its calibration."""
    later = real.campaigns[real.campaigns.start >= pd.Timestamp(recipe.BOUNDARY)]
    examples = campaign_examples(replace(real, campaigns=later), spec)
    fold = time_split(examples.contacted, window_days=WINDOW_DAYS, boundary=recipe.BOUNDARY, data_end=recipe.DATA_END)
    mailings = np.flatnonzero([name == "" for name in examples.offer_ids])
    pairs = np.flatnonzero(np.isin(examples.offer, mailings) & fold.test[examples.row])
    rows = examples.row[pairs]
    acceptance = recipe.run(
        bundle.model,
        {
            "profile": examples.profile[rows],
            "context": np.tile(np.array([[18, 4]], np.float32), (len(rows), 1)),
            "offers": examples.offers[mailings],
            "offer_code": np.zeros(len(mailings), np.int64),
        },
    )
    offer = np.searchsorted(mailings, examples.offer[pairs])
    probability = acceptance.astype(np.float64).mean(1)[np.arange(len(rows)), 0, offer]
    accepted = examples.accepted[pairs]
    claimed = json.loads((DIRECTORY / "report.json").read_text(encoding="utf-8"))["figures"]

    found = auc(probability, accepted)

    assert (2238, 228) == (len(rows), int(accepted.sum()))
    assert found >= 0.82
    assert pytest.approx(claimed["auc"]["value"], abs=1e-3) == found
    assert expected_calibration_error(probability, accepted) <= 0.025
    assert all(figure["ok"] for figure in claimed.values())


def test_the_catalog_is_what_the_data_give(real: Tables) -> None:
    """`offers.yaml` is what its command writes, with at least fifty offers."""
    text = offers_yaml(real, AS_OF)

    assert (ROOT / "examples" / "complete_journey" / "offers.yaml").read_text(encoding="utf-8") == text
    assert text.count("- id:") >= 50


def test_real_features_as_of_a_day_are_those_of_the_data_cut_there(real: Tables) -> None:
    """What is computed from all the data is what can be computed from the past alone."""
    day = date(2017, 5, 8)

    pd.testing.assert_frame_equal(household_features(real, day), household_features(real.before(day), day))
