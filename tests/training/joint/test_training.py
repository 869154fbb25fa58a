"""The reference model on an invented log: it finds what is there, keeps its promises, and refuses what cannot be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from takt.errors import ModelError, PreconditionError
from takt.features.matrix import model_columns
from takt.model.bundle import read_bundle
from takt.model.check import check_bundle
from takt_training.joint import bundle
from takt_training.joint.contacts import NONE, Contacts, Untold
from takt_training.joint.curves import Curve
from takt_training.joint.judgement import Judgement, OfferLevel, judge
from takt_training.joint.report import figures, report, summary, write_report
from takt_training.joint.settings import Settings, parse_settings
from takt_training.joint.training import Trained, log_odds, train
from takt_training.metrics import auc
from takt_training.report.document import Table
from tests.training.joint.shop import ARMS, OFFERS, SPEC, shop, truth

SETTINGS = """
name: shop
goal: purchase
window: 7d
unit: EUR
heads: [baseline, value, reaction, uncertainty]
monotone: {offer.price: down}
weights: {clip: 100}
model: {rate: 0.01, epochs: 40}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One training run, written."""

    contacts: Contacts
    trained: Trained
    found: Judgement
    directory: Path


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Trained once on 20,000 decisions; offer-7 appears only at the end, unknown to training."""
    return _run(_with_a_late_offer(shop(20_000)), parse_settings(SETTINGS), tmp_path_factory.mktemp("bundle"))


def _with_a_late_offer(contacts: Contacts) -> Contacts:
    """The last offer was never shown before the test."""
    early = contacts.time_us < np.quantile(contacts.time_us, 0.8)
    kept = ~(early & (contacts.offer == OFFERS - 1))
    names = ("row", "context", "offer", "timing", "tonality", "time_us", "person", "happened", "reward", "propensity")
    return replace(
        contacts,
        **{name: getattr(contacts, name)[kept] for name in names},
        reacted=None if contacts.reacted is None else contacts.reacted[kept],
    )


def _run(contacts: Contacts, settings: Settings, directory: Path) -> Outcome:
    trained = train(contacts, SPEC, ARMS, settings)
    found = judge(contacts, trained)
    bundle.write(trained, contacts, directory, metrics=summary(found))
    return Outcome(contacts, trained, found, directory)


def _offers() -> list[str]:
    return [f"offer-{i}" for i in range(OFFERS)]


def test_it_finds_what_a_logistic_regression_cannot(outcome: Outcome) -> None:
    """A threshold and interactions are found: better than the baseline beyond chance, and near the truth."""
    contacts, trained = outcome.contacts, outcome.trained
    test = trained.parts.test[~contacts.silent[trained.parts.test]]
    best = auc(truth(contacts)[test], contacts.happened[test])

    assert outcome.found.difference.low > 0.01
    assert best - outcome.found.model.auc.value < 0.03


def test_it_is_calibrated(outcome: Outcome) -> None:
    """Observed over expected near one, and an error near that of perfect estimates."""
    assert 0.9 < outcome.found.model.observed_over_expected < 1.1
    assert outcome.found.model.ece < outcome.found.perfect_ece[1] + 0.01


def test_the_bundle_keeps_the_contract_with_real_axes(outcome: Outcome) -> None:
    """`takt model check` refuses nothing; timings and tonalities have axes of their own."""
    report = check_bundle(
        outcome.directory, spec=SPEC, timings=ARMS.timings, tonalities=ARMS.tonalities, offers=_offers()
    )
    golden = read_bundle(outcome.directory).golden

    assert () == report.refusals
    assert (3, 2) == golden.outputs["acceptance"].shape[1:3]
    assert {"acceptance", "baseline", "value", "reaction", "uncertainty"} == set(golden.outputs)


def test_the_moment_and_the_tone_follow_the_person(outcome: Outcome) -> None:
    """Premium people accept warm words more than others do, as in the truth; the difference is between people."""
    contacts = outcome.contacts
    rows = np.flatnonzero(~contacts.silent)[:400]
    found = bundle.run(
        read_bundle(outcome.directory).model,
        {
            "profile": contacts.profile[contacts.row[rows]],
            "context": contacts.context[rows],
            "offers": contacts.offers,
            "offer_code": np.arange(1, OFFERS + 1),
        },
    )["acceptance"]
    logit = np.log(found / (1 - found))
    warmth = (logit[:, :, 1] - logit[:, :, 0]).mean((1, 2))
    premium = contacts.profile[contacts.row[rows], 3] == 1

    assert warmth[premium].mean() - warmth[~premium].mean() > 0.8


def test_a_higher_price_never_raises_acceptance(outcome: Outcome) -> None:
    """For anybody, any arm, any price: held on the exported graph."""
    worst = bundle.check_monotone(read_bundle(outcome.directory).model, outcome.contacts, 0, "down")

    assert worst <= bundle.SLACK


def test_a_graph_that_breaks_the_promise_is_found(outcome: Outcome) -> None:
    """The same graph with one sign turned is refused."""
    model = onnx.load_model_from_string(read_bundle(outcome.directory).model)
    for constant in model.graph.initializer:
        if constant.name == "monotone_sign":
            turned = onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(constant), constant.name)
            constant.CopyFrom(turned)

    with pytest.raises(ModelError, match="moves the wrong way"):
        bundle.check_monotone(model.SerializeToString(), outcome.contacts, 0, "down")


def test_an_unseen_offer_is_judged_by_its_attributes(outcome: Outcome) -> None:
    """An offer of the test period that training never saw is ranked better than chance among people."""
    assert "offer-7" not in outcome.trained.encoded.vocabulary
    assert outcome.found.unseen is not None
    assert outcome.found.unseen.auc.low > 0.6


def test_further_heads_have_the_right_level(outcome: Outcome) -> None:
    """Without a contact 5% would have bought; value and reaction are what they were."""
    heads = {head.name: head for head in outcome.found.heads}

    assert heads["baseline"].expected == pytest.approx(0.05, abs=0.02)
    assert heads["value"].expected == pytest.approx(heads["value"].observed, rel=0.15)
    assert heads["reaction"].expected == pytest.approx(heads["reaction"].observed, rel=0.3)  # some 90 to calibrate by
    assert heads["reaction"].auc is not None
    assert heads["reaction"].auc > 0.6


def test_doubt_is_larger_for_what_was_never_seen(outcome: Outcome) -> None:
    """The standard error of an unseen offer exceeds that of a known one, for everybody."""
    golden = read_bundle(outcome.directory).golden
    doubt = golden.outputs["uncertainty"][:, 0, 0, :]
    codes = golden.inputs["offer_code"]

    assert (doubt[:, codes == 0].min(1) > doubt[:, codes > 0].max(1)).all()


def test_what_matters_is_told(outcome: Outcome) -> None:
    """Price and recency are found important; the weekday, which means nothing, is not."""
    losses = {one.column: one.loss for one in outcome.found.importance}

    assert min(losses["offer.price"], losses["profile.recency"]) > 0.02
    assert abs(losses["context.weekday"]) < 0.01


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Graph, golden rows and manifest of a second run are those of the first."""
    settings = parse_settings("name: shop\nheads: [value]\nmodel: {epochs: 3}\n")
    one, two = (_run(shop(4000), settings, tmp_path / name) for name in ("one", "two"))

    for name in ("model.onnx", "golden.npz", "manifest.json"):
        assert (one.directory / name).read_bytes() == (two.directory / name).read_bytes()


def test_isotonic_calibration_lives_in_the_graph(outcome: Outcome, tmp_path: Path) -> None:
    """A curve of pieces gives in the graph what it gives in numpy; `write` holds one against the other."""
    curve = Curve(knots=(-3.0, -1.0, 0.0), levels=(-2.0, -1.5, 0.5))
    head = replace(outcome.trained.acceptance, curve=curve)
    bent = replace(outcome.trained, heads={"acceptance": head}, doubt=None)

    bundle.write(bent, outcome.contacts, tmp_path, metrics={})

    assert [-3.0, -2.0, -1.5, -0.5, 1.5] == pytest.approx(curve.apply(np.array([-4.0, -3.0, -1.0, -0.5, 1.0])).tolist())


def test_a_graph_that_disagrees_is_not_written(outcome: Outcome) -> None:
    """The model changed, the graph did not: refused before anything is on disk."""
    other = replace(outcome.trained.acceptance, curve=Curve(shift=0.5))
    changed = replace(outcome.trained, heads={**outcome.trained.heads, "acceptance": other})

    with pytest.raises(ModelError, match="graph's acceptance differs"):
        bundle.check_parity(changed, outcome.contacts, read_bundle(outcome.directory).model)


def test_the_report_says_it_in_words_and_figures(outcome: Outcome, tmp_path: Path) -> None:
    """Split, baseline, calibration beside the perfect one, importance, offers, heads and weights, on one page."""
    notes = ("Made up.", "Observational: nobody was drawn.", "orphan_events: 3")
    write_report(outcome.trained, outcome.found, tmp_path, notes=notes)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))

    assert {"report.html", "report.json"} == {path.name for path in tmp_path.iterdir()}
    assert all(figure["ok"] for figure in figures(outcome.found).values())
    assert figures(outcome.found) == told["figures"]
    for word in (
        "left out",
        "logistic regression",
        "exactly right",
        "uses most",
        "effective number of rows",
        "P(a negative one)",
        "Made up.",
        "<b>orphan events:</b> 3",
        "had not seen",
        "What another policy would earn",
        'aria-label="Reliability',
    ):
        assert word in text
    assert text.index("nobody was drawn") < text.index("Data and split")
    assert outcome.trained.parts.boundary_us == told["split"]["boundary_us"]


def test_the_report_is_the_same_each_time(outcome: Outcome, tmp_path: Path) -> None:
    """Page and figures, byte for byte."""
    for name in ("one", "two"):
        write_report(outcome.trained, outcome.found, tmp_path / name)

    for name in ("report.html", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_offers_that_are_off_are_told(outcome: Outcome) -> None:
    """One that few accept of whom many were expected to is named, however many others have more contacts."""
    levels = tuple(OfferLevel(f"offer-{n:02d}", 1000, 100.0, 100) for n in range(30))
    off = (*levels, OfferLevel("offer-off", 200, 60.0, 20))

    (section,) = [
        one for one in report(outcome.trained, replace(outcome.found, offers=off)).sections if "by" in one.title
    ]

    assert section.lead.startswith("1 of 31 offers were")
    assert "offer-off" in {row[0] for block in section.blocks if isinstance(block, Table) for row in block.rows}


def test_a_planted_leak_is_refused_by_name() -> None:
    """A column that knows the outcome, or is only there after it, stops the training; trusted, it may pass."""
    contacts = shop(3000)
    for knowing in (contacts.happened * 1.0 + 0.1, np.where(contacts.happened, 3.0, np.nan)):
        context = contacts.context.copy()
        context[:, 0] = knowing
        leaky = replace(contacts, context=context)
        with pytest.raises(ModelError, match=r"context\.hour: .* alone predicts the outcome with an AUC of 1\.000"):
            train(leaky, SPEC, ARMS, Settings("x"))
    trusting = parse_settings("name: x\ntrusted: [context.hour]\nmodel: {epochs: 1}\n")

    assert "context.hour" in {leak.column for leak in train(leaky, SPEC, ARMS, trusting).leaks}


def test_nothing_of_the_test_is_learned_from(outcome: Outcome) -> None:
    """By time with an embargo of the window, by person, by both: parts are apart."""
    parts, contacts = outcome.trained.parts, outcome.contacts
    learned = np.concatenate([parts.fit, parts.stop, parts.calibrate])

    assert (contacts.time_us[learned] + parts.embargo_us < contacts.time_us[parts.test].min()).all()
    for by in ("person", "both"):
        split = parse_settings(f"name: x\nwindow: 7d\nsplit: {{by: {by}}}\nmodel: {{epochs: 1}}\n")
        apart = train(contacts, SPEC, ARMS, split).parts
        learned = np.concatenate([apart.fit, apart.stop, apart.calibrate])
        assert not set(contacts.person[learned]) & set(contacts.person[apart.test])


def test_too_little_is_said_to_be_too_little() -> None:
    """No silence for a baseline, a window longer than the log, a handful of rows: each has its message."""
    contacts = shop(3000, silence=0.0)
    for settings, message in (
        ("name: x\nheads: [baseline]\n", "baseline needs decisions for silence"),
        ("name: x\nwindow: 300d\n", "nothing is left to learn from"),
    ):
        with pytest.raises((ModelError, PreconditionError), match=message):
            train(contacts, SPEC, ARMS, parse_settings(settings))
    with pytest.raises(ModelError, match="contacts to learn from"):
        train(shop(150), SPEC, ARMS, Settings("x", window_us=86_400_000_000))
    with pytest.raises(ModelError, match="reaction needs to know"):
        train(replace(contacts, reacted=None), SPEC, ARMS, parse_settings("name: x\nheads: [reaction]\n"))


def test_log_odds_of_silence_need_no_offer(outcome: Outcome) -> None:
    """The baseline is judged on rows without an offer."""
    silent = np.flatnonzero(outcome.contacts.offer == NONE)[:50]
    found = log_odds(outcome.contacts, outcome.trained, outcome.trained.heads["baseline"], silent)

    assert np.isfinite(found).all()
    assert len(model_columns(SPEC.offer)) == outcome.contacts.offers.shape[1]


def test_a_baseline_knows_which_offers_are_taken_anyway(tmp_path: Path) -> None:
    """Where silences tell of each offer, one that many take anyway has a high baseline, and others a low one."""
    contacts = shop(8000, silence=0.4)
    rng = np.random.default_rng(1)
    silences = np.flatnonzero(contacts.silent)
    row, offer = np.repeat(silences, OFFERS), np.tile(np.arange(OFFERS), len(silences))
    anyway = np.where(offer == 2, 0.4, 0.02)
    contacts = replace(contacts, untold=Untold(row, offer, rng.random(len(row)) < anyway))
    settings = parse_settings("name: shop\nheads: [baseline]\nmodel: {epochs: 20, rate: 0.01}\n")

    outcome = _run(contacts, settings, tmp_path)

    golden = read_bundle(outcome.directory).golden
    known = golden.inputs["offer_code"] > 0
    baseline = golden.outputs["baseline"][:14, 0, 0, known].mean(0)
    codes = golden.inputs["offer_code"][known] - 1
    names = [outcome.trained.encoded.vocabulary[code] for code in codes]
    assert baseline[names.index("offer-2")] > 0.3
    assert max(baseline[i] for i, name in enumerate(names) if name != "offer-2") < 0.08
    assert outcome.found.heads[0].auc is not None
    assert outcome.found.heads[0].auc > 0.8


ADDED = """
name: shop
window: 7d
heads: [baseline, uncertainty]
lift: added
monotone: {offer.price: down}
split: {by: person}
model: {epochs: 40, patience: 4, rate: 0.01}
"""
TAKEN_ANYWAY = np.arange(OFFERS) % 2 == 1
"""Offers of the kitchen, which 30% take without being told of them, and no more when they are."""


def _taken_anyway(n: int) -> Contacts:
    """Contacts and silences offer by offer; what is said adds to what happens anyway, but for some offers."""
    contacts = shop(n, silence=0.3)
    rng = np.random.default_rng(2)
    silences = np.flatnonzero(contacts.silent)
    row, offer = np.repeat(silences, OFFERS), np.tile(np.arange(OFFERS), len(silences))
    anyway = np.where(TAKEN_ANYWAY, 0.3, 0.02)
    lift = np.where(TAKEN_ANYWAY[contacts.offer], 0.0, truth(contacts))
    happened = rng.random(n) < np.where(
        contacts.silent, contacts.happened, 1 - (1 - anyway[contacts.offer]) * (1 - lift)
    )
    return replace(contacts, happened=happened, untold=Untold(row, offer, rng.random(len(row)) < anyway[offer]))


@pytest.fixture(scope="module")
def above(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Acceptance learned above the baseline, on 20,000 decisions; `write` holds the graph against the model."""
    return _run(_taken_anyway(20_000), parse_settings(ADDED), tmp_path_factory.mktemp("above"))


def _outputs(outcome: Outcome) -> dict[str, np.ndarray]:
    contacts = outcome.contacts
    rows = np.flatnonzero(~contacts.silent)[:400]
    return dict(
        bundle.run(
            read_bundle(outcome.directory).model,
            {
                "profile": contacts.profile[contacts.row[rows]],
                "context": contacts.context[rows],
                "offers": contacts.offers,
                "offer_code": np.arange(1, OFFERS + 1),
            },
        )
    )


def test_what_a_contact_adds_is_told_from_what_happens_anyway(above: Outcome) -> None:
    """Next to nothing where 30% come by themselves; a lot where nobody does."""
    found = _outputs(above)
    added = found["acceptance"] - found["baseline"]
    mean, anyway = added.mean((0, 1, 2)), found["baseline"].mean((0, 1, 2))

    assert (added >= 0).all()
    assert anyway[TAKEN_ANYWAY].tolist() == pytest.approx([0.3] * 4, abs=0.04)
    assert anyway[~TAKEN_ANYWAY].tolist() == pytest.approx([0.02] * 4, abs=0.01)
    assert mean[TAKEN_ANYWAY].max() < 0.06
    assert mean[~TAKEN_ANYWAY].min() > 0.15


def test_above_a_baseline_everything_else_is_kept(above: Outcome) -> None:
    """Contract, promises, calibration; doubt has the axes of acceptance, and is smaller where little is added."""
    report = check_bundle(
        above.directory, spec=SPEC, timings=ARMS.timings, tonalities=ARMS.tonalities, offers=_offers()
    )
    doubt = _outputs(above)["uncertainty"]

    assert () == report.refusals
    assert bundle.check_monotone(read_bundle(above.directory).model, above.contacts, 0, "down") <= bundle.SLACK
    assert 0.9 < above.found.model.observed_over_expected < 1.1
    assert above.found.model.ece < above.found.perfect_ece[1] + 0.01
    assert above.found.difference.low > 0
    assert (3, 2, OFFERS) == doubt.shape[1:]
    assert np.isfinite(doubt).all()
    assert (doubt > 0).all()


def test_a_lift_is_calibrated_above_the_baseline(above: Outcome, tmp_path: Path) -> None:
    """Isotonic pieces bend what is added, not what happens anyway; the graph says the same."""
    trained = train(above.contacts, SPEC, ARMS, parse_settings(f"{ADDED}calibration: isotonic\n"))
    bundle.write(trained, above.contacts, tmp_path, metrics={})

    assert trained.acceptance.curve.knots
    assert trained.acceptance.over is trained.heads["baseline"]
    assert judge(above.contacts, trained).model.observed_over_expected == pytest.approx(1.0, abs=0.12)


def test_a_lift_needs_to_know_what_happens_anyway() -> None:
    """Silences that tell nothing of single offers, or no baseline: refused, with what would be right."""
    for settings in ("name: x\nlift: added\n", "name: x\nlift: added\nheads: [baseline]\n"):
        with pytest.raises(ModelError, match=r"lift: added needs the head baseline, .*attribution: person"):
            train(shop(3000), SPEC, ARMS, parse_settings(settings))
