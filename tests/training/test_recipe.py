"""The whole recipe on the invented shop: same bytes each time, a graph that agrees with the towers, a kept contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.errors import ModelError
from takt.features.spec import FeatureSpec
from takt.model.bundle import read_bundle
from takt.model.check import check_bundle
from takt_training.calibration import Platt
from takt_training.complete_journey import recipe
from takt_training.complete_journey.report import figures, write_report
from takt_training.complete_journey.tables import Tables
from takt_training.complete_journey.timings import MOMENTS
from takt_training.examples import Examples
from takt_training.export import to_onnx
from takt_training.towers import Settings

QUICK = Settings(steps=60, hidden=3, rank=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the recipe."""

    trained: recipe.Trained
    examples: Examples
    bundle: Path


@pytest.fixture(scope="module")
def outcome(shop: Tables, spec: FeatureSpec, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Trained once, quickly."""
    return _run(shop, spec, tmp_path_factory.mktemp("bundle"))


def _run(shop: Tables, spec: FeatureSpec, directory: Path) -> Outcome:
    trained, examples = recipe.train(shop, spec, settings=QUICK)
    recipe.write(trained, examples, spec, directory)
    return Outcome(trained, examples, directory)


def _platt(scale: float, shift: float) -> Platt:
    return Platt(scale, shift, fitted_scale=scale, fitted_shift=shift, spread=0.1, wald=99.0, groups=5)


def test_the_same_input_gives_the_same_bytes(outcome: Outcome, shop: Tables, spec: FeatureSpec, tmp_path: Path) -> None:
    """Graph, golden rows and manifest of a second run are those of the first."""
    again = _run(shop, spec, tmp_path / "again")

    for name in ("model.onnx", "golden.npz", "manifest.json"):
        assert (outcome.bundle / name).read_bytes() == (again.bundle / name).read_bytes()


def test_the_bundle_keeps_the_contract(outcome: Outcome, spec: FeatureSpec) -> None:
    """`takt model check` finds nothing to refuse."""
    report = check_bundle(
        outcome.bundle,
        spec=spec,
        timings=[moment.name for moment in MOMENTS],
        tonalities=recipe.TONALITIES,
        offers=outcome.trained.towers.vocabulary,
    )

    assert () == report.refusals


def test_it_learned_what_there_is_to_learn(outcome: Outcome) -> None:
    """Keen households redeem, and redeem their favourite: the towers beat chance and the best constant offer."""
    assert outcome.trained.mailings.model.auc.low > 0.6
    assert outcome.trained.coupons.gain.low > 0


def test_the_graph_agrees_with_the_towers(outcome: Outcome) -> None:
    """ONNX Runtime and numpy give the same acceptance, calibration, lifts, missing values and absurd codes included."""
    towers, lift, examples = outcome.trained.towers, outcome.trained.lift, outcome.examples
    mailing, coupon = _platt(1.2, -0.3), _platt(0.8, 0.5)
    sizes = (examples.profile.shape[1], 2, examples.offers.shape[1])
    graph = to_onnx(towers, lift, primary=mailing, secondary=coupon, sizes=sizes, metadata={})
    inputs = recipe.golden_inputs(examples, towers.vocabulary)
    codes = inputs["offer_code"].copy()
    codes[:2] = [-3, 10_000]
    inputs = {**inputs, "offer_code": codes}

    found = recipe.run(graph.SerializeToString(), inputs)

    profile, context, offers = (np.asarray(inputs[name], np.float32) for name in ("profile", "context", "offers"))
    logit = towers.persons(profile) @ towers.offers(offers, codes.astype(np.int64)).T
    primary = towers.encoding.kind(offers) < towers.encoding.plan.types
    calibrated = np.where(primary, 1.2 * logit - 0.3, 0.8 * logit + 0.5)
    lifted = lift.apply(profile, context)[:, :, None, None] / (1 + np.exp(-calibrated))[:, None, None, :]
    assert found.shape == (len(profile), len(MOMENTS), 1, len(offers))
    np.testing.assert_allclose(found, np.clip(lifted, 0, 1), atol=1e-5)


def test_an_unseen_offer_is_judged_by_its_attributes(outcome: Outcome) -> None:
    """Code 0 is near what the known code says, not a jump: codes were hidden while training."""
    towers, examples = outcome.trained.towers, outcome.examples
    codes = examples.codes(towers.vocabulary)
    coupons = np.flatnonzero(codes > 0)[:6]
    u = towers.persons(examples.profile[:200])

    known = u @ towers.offers(examples.offers[coupons], codes[coupons]).T
    unseen = u @ towers.offers(examples.offers[coupons], np.zeros(6, np.int64)).T

    assert np.corrcoef(known.ravel(), unseen.ravel())[0, 1] > 0.8
    assert (known != unseen).any()


def test_the_choice_follows_the_person(outcome: Outcome) -> None:
    """Households differ in which coupon comes first."""
    assert outcome.trained.coupons.distinct > 1


def test_another_bundle_in_the_same_place_is_refused(outcome: Outcome, spec: FeatureSpec, tmp_path: Path) -> None:
    """A version's content never changes, unless asked to."""
    recipe.write(outcome.trained, outcome.examples, spec, tmp_path)
    other = replace(outcome.trained, mailing_calibration=_platt(2.0, 0.0))

    with pytest.raises(ModelError, match="holds another bundle"):
        recipe.write(other, outcome.examples, spec, tmp_path)

    recipe.write(other, outcome.examples, spec, tmp_path, overwrite=True)
    assert read_bundle(tmp_path).manifest.metadata.calibration["mailing"]["scale"] == 2.0


def test_the_report_says_what_was_reached_and_what_cannot_be_known(outcome: Outcome, tmp_path: Path) -> None:
    """Figures with their bars for scripts; warnings, a plot and the limits for people."""
    write_report(outcome.trained, outcome.examples, tmp_path)

    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert figures(outcome.trained) == found["figures"]
    assert {"auc", "auc_minus_logistic", "auc_minus_logistic_low", "ece"} == set(found["figures"])
    for word in ("Observational", "Tonality", "best constant", "one rate for everybody"):
        assert word in text
    assert text.count("<circle") == len(outcome.trained.mailings.reliability)


def test_the_report_is_the_same_each_time(outcome: Outcome, tmp_path: Path) -> None:
    """No clock and no order of a set is in it."""
    for name in ("one", "two"):
        write_report(outcome.trained, outcome.examples, tmp_path / name)

    for file in ("report.html", "report.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_missed_bar_is_told(outcome: Outcome) -> None:
    """A model that ranks no better than chance is not ok."""
    quality = replace(outcome.trained.mailings.model, auc=replace(outcome.trained.mailings.model.auc, value=0.5))
    poor = replace(outcome.trained, mailings=replace(outcome.trained.mailings, model=quality))

    assert not figures(poor)["auc"]["ok"]
