"""The reference model on real households: learned from campaigns that had closed, judged by those that came later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from msgspec.structs import replace

from takt.features.spec import load_spec
from takt.model.bundle import read_bundle
from takt_training import metrics
from takt_training.complete_journey import recipe
from takt_training.complete_journey.examples import WINDOW_DAYS, campaign_examples
from takt_training.complete_journey.report import AUC_BAR, DIFFERENCE_BAR, ECE_BAR, LOG_SCALED
from takt_training.complete_journey.tables import load_tables
from takt_training.split import time_split
from tests.proofs.figures import SHOWN, Figures

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "complete-journey" / "1.0.0"
HOUSEHOLD_FOLDS = 5
FEATURES = ROOT / "examples" / "complete_journey" / "features.yaml"


def complete_journey(figures: Figures, quick: bool) -> None:
    """By time: the committed graph on later campaigns; in full the recipe is trained anew beside its baselines."""
    figures.step("The Complete Journey: campaigns from October on, by the graph that is served")
    _committed(figures)
    if not quick:
        figures.step("The Complete Journey: trained anew, beside its baselines")
        _trained(figures)


def _committed(figures: Figures) -> None:
    tables, spec = load_tables(), load_spec(FEATURES.read_text(encoding="utf-8"))
    later = tables.campaigns[tables.campaigns.start >= pd.Timestamp(recipe.BOUNDARY)]
    examples = campaign_examples(replace(tables, campaigns=later), spec)
    fold = time_split(examples.contacted, window_days=WINDOW_DAYS, boundary=recipe.BOUNDARY, data_end=recipe.DATA_END)
    mailings = np.flatnonzero([name == "" for name in examples.offer_ids])
    pairs = np.flatnonzero(np.isin(examples.offer, mailings) & fold.test[examples.row])
    rows = examples.row[pairs]
    acceptance = recipe.run(
        read_bundle(BUNDLE).model,
        {
            "profile": examples.profile[rows],
            "context": np.tile(np.array([[18, 4]], np.float32), (len(rows), 1)),
            "offers": examples.offers[mailings],
            "offer_code": np.zeros(len(mailings), np.int64),
        },
    )
    offer = np.searchsorted(mailings, examples.offer[pairs])
    chance = acceptance.astype(np.float64).mean(1)[np.arange(len(rows)), 0, offer]
    accepted = examples.accepted[pairs]
    found = metrics.auc_interval(chance, accepted, examples.person[rows], draws=500)
    figures.check("journey_contacts", len(rows), "== 2238")
    figures.check("journey_redeemed", int(accepted.sum()), "== 228")
    figures.check("journey_auc", round(found.value, 4), f">= {AUC_BAR}")
    figures.check("journey_auc_95", f"{found.low:.4f} to {found.high:.4f}", SHOWN)
    figures.check("journey_ece", round(metrics.expected_calibration_error(chance, accepted), 4), f"<= {ECE_BAR}")
    figures.check("journey_ece_if_exactly_right", round(metrics.ece_of_perfect(chance)[1], 4), SHOWN)
    ratio = round(metrics.observed_over_expected(chance, accepted), 3)
    figures.check("journey_observed_over_expected", ratio, ">= 0.8")
    figures.check("journey_observed_over_expected_at_most", ratio, "<= 1.25")


def _trained(figures: Figures) -> None:
    spec = load_spec(FEATURES.read_text(encoding="utf-8"))

    def step(name: str, share: float) -> None:
        if not share:
            figures.note(name)

    trained, examples = recipe.train(load_tables(), spec, step=step)
    gap = trained.mailings.differences[LOG_SCALED]
    figures.check("journey_trained_auc", round(trained.mailings.model.auc.value, 4), f">= {AUC_BAR}")
    figures.check("journey_minus_logistic", round(gap.value, 4), f"> {DIFFERENCE_BAR}")
    figures.check("journey_minus_logistic_95", f"{gap.low:.4f} to {gap.high:.4f}", SHOWN)

    figures.step(f"The Complete Journey: {HOUSEHOLD_FOLDS} folds by household")
    found = recipe.by_household(examples, folds=HOUSEHOLD_FOLDS, step=step)
    figures.check("journey_by_household_contacts", found.contacts, SHOWN)
    figures.check("journey_by_household_redeemed", found.accepted, SHOWN)
    figures.check("journey_by_household_auc", round(found.auc.value, 4), f">= {AUC_BAR}")
    figures.check("journey_by_household_auc_95", f"{found.auc.low:.4f} to {found.auc.high:.4f}", SHOWN)
    figures.check("journey_by_household_auc_of_folds", " ".join(f"{auc:.4f}" for auc in found.of_folds), SHOWN)
