"""A bundle judged by a log of its own workspace: the real graph, the real catalog, outcomes that are invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.arbitration.score import total
from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.eligibility.filters import filter_offers
from takt.errors import PreconditionError
from takt.features.columns import Columns
from takt.features.matrix import model_matrix
from takt.model.onnx import load_scorer
from takt_training.logged.dataset import NONE, SCORE, Candidates, Coded, Decisions, Logged, Slots, SlotState
from takt_training.logged.goal import Goal
from takt_training.offpolicy import from_log
from takt_training.offpolicy.after_training import thinned
from takt_training.offpolicy.comparison import IN_FORCE, Comparison, compare
from takt_training.offpolicy.estimators import Refused, Value
from takt_training.offpolicy.report import policy_sections, policy_warnings, report
from takt_training.offpolicy.run import notes
from takt_training.offpolicy.scoring import Judge
from takt_training.report.files import write_report

ROOT = Path(__file__).parents[3]
DAY_US = 86_400_000_000
BEGIN_US = 1_795_431_600_000_000
ROWS, OFFERS = 3000, 4


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The example workspace."""
    return load_workspace(ROOT / "examples" / "complete_journey")


@pytest.fixture(scope="module")
def judge(catalog: Catalog) -> Judge:
    """The committed bundle under it."""
    return Judge(load_scorer(ROOT / "models" / "complete-journey" / "1.0.0", catalog), catalog)


@pytest.fixture(scope="module")
def log(catalog: Catalog) -> Logged:
    """Thirty days of draws among silence and four offers, each with the same probability; the first offer is liked."""
    rng = np.random.default_rng(5)
    spec = catalog.spec
    profile = np.repeat(spec.profile.default, ROWS)
    profile["num"] = rng.gamma(2.0, 1.0, profile["num"].shape).astype(np.float32)
    placement = next(p for p in range(len(catalog.placements)) if catalog.placement_offers[p].sum() >= OFFERS)
    shown = [o for o in range(len(catalog.offers)) if catalog.placement_offers[placement, o]][:OFFERS]
    offer = rng.integers(-1, OFFERS, ROWS).astype(np.int32)
    silent = offer == NONE
    timing = int(np.argmax(catalog.placement_timings[placement]))
    happened = (rng.random(ROWS) < np.where(offer == 0, 0.4, 0.1)) & ~silent
    one = np.zeros(ROWS, np.int32)
    person = rng.integers(0, 400, ROWS).astype(np.int32)
    arm = np.where(silent, NONE, 0).astype(np.int32)
    decisions = Decisions(
        id=np.array([f"{n:048x}".encode() for n in range(ROWS)]),
        time_us=BEGIN_US + np.sort(rng.integers(0, 30 * DAY_US, ROWS)),
        person=Coded(person, tuple(f"p{n}" for n in range(400))),
        catalog=Coded(one, (catalog.version,)),
        model=Coded(one, ("m/1",)),
        stage=Coded(one, ("use",)),
        exploration=Coded(one, ("epsilon(epsilon=1)",)),
        attempts=np.ones(ROWS, np.int16),
        profile=profile,
        known=np.ones(ROWS, bool),
        context=np.repeat(spec.context.default, ROWS),
    )
    slots = Slots(
        decision=np.arange(ROWS),
        placement=Coded(one, (catalog.placements[placement].id,)),
        channel=Coded(one, (catalog.channels[catalog.placements[placement].channel].id,)),
        slot=np.zeros(ROWS, np.int16),
        offer=Coded(offer, tuple(catalog.offers[o].id for o in shown)),
        timing=Coded(arm, (catalog.timings[timing].id,)),
        tonality=Coded(arm, (catalog.tonalities[0],)),
        form_of_address=Coded(arm, ("NEUTRAL",)),
        treatment=Coded(arm, ("t",)),
        offer_propensity=np.full(ROWS, 1 / (OFFERS + 1)),
        arm_propensity=np.where(silent, 1.0, 0.5),
        candidates=Candidates(np.arange(ROWS + 1) * OFFERS, np.tile(np.arange(OFFERS, dtype=np.int32), ROWS)),
        score=np.zeros(ROWS, SCORE),
        opens_us=decisions.time_us,
        state=np.where(silent, SlotState.SILENCE, SlotState.SHOWN).astype(np.uint8),
        happened=happened,
        reward=happened.astype(np.float64),
        reached=Candidates(np.zeros(ROWS + 1, np.int64), np.zeros(0, np.int32)),
        reacted=np.zeros(ROWS, bool),
    )
    return Logged(spec, decisions, slots)


@pytest.fixture(scope="module")
def found(log: Logged, catalog: Catalog, judge: Judge) -> Comparison:
    """The bundle against itself as champion."""
    return compare(log, catalog, judge, judge, window_us=DAY_US, boundary_us=BEGIN_US + 10 * DAY_US)


def test_scores_are_those_of_the_service(log: Logged, catalog: Catalog, judge: Judge) -> None:
    """Acceptance of the graph and value of the catalog, put together by the formula that arbitrates."""
    rows = np.flatnonzero(log.slots.offer.codes != NONE)[:20]
    part = log.take(rows)
    ids = [offer.id for offer in catalog.offers]
    made = model_matrix(catalog.spec.offer, catalog.offer_table, 0)
    acceptance = judge.scorer.score(part.profile(), part.context(), made, judge.scorer.offer_codes(ids)).acceptance
    profiles = Columns(catalog.spec.profile, log.decisions.profile[rows])
    contexts = Columns(catalog.spec.context, log.decisions.context[rows])
    worth = filter_offers(catalog, profiles, contexts, part.time_us).value
    timing = [one.id for one in catalog.timings].index(part.slots.timing.names[0])
    placement = [one.id for one in catalog.placements].index(part.slots.placement.names[0])
    cost = catalog.channels[catalog.placements[placement].channel].contact_cost

    scored = judge.score(part)

    for row, name in enumerate(part.slots.offer.texts()):
        o = ids.index(name)
        chance = float(acceptance[row, min(timing, acceptance.shape[1] - 1), 0, min(o, acceptance.shape[3] - 1)])
        expected = total(
            chance, catalog.arbitration.exponent, 0.0, worth[row, o], 1.0, catalog.lever[o], 0.0, 0.0, cost
        )
        assert pytest.approx(chance) == scored.acceptance[row]
        assert pytest.approx(expected) == scored.drawn[row]
        assert scored.total[row, 1 + part.slots.offer.codes[row]] >= scored.drawn[row] - 1e-9


def test_the_best_constant_is_found_and_worth_what_it_is(found: Comparison) -> None:
    """The offer that four in ten like, chosen on the first days and judged on the rest."""
    by_name = {one.policy: one for one in found.values}
    best = by_name["best constant"]

    assert found.chosen is not None
    assert 1 == found.chosen.action
    assert isinstance(best, Value)
    assert best.dr.low < 0.4 < best.dr.high
    assert {"logged", "uniform", "best constant", "champion", "candidate"} == set(by_name)
    assert all(one.support.weights_add_up for one in found.values)


def test_a_candidate_gains_nothing_over_itself(found: Comparison) -> None:
    """Paired on the same draws, the difference is exactly zero."""
    (gain,) = [gain for gain in found.gains if gain.other == "champion"]

    assert gain.interval is not None
    assert (0.0, 0.0, 0.0) == (gain.interval.value, gain.interval.low, gain.interval.high)


def test_the_window_before_the_boundary_is_in_neither_part(log: Logged, found: Comparison) -> None:
    """One day of draws is missing between the two."""
    day = (log.time_us + DAY_US >= found.boundary_us) & (log.time_us < found.boundary_us)

    assert len(log.slots) - int(day.sum()) == sum(found.rows)


def test_too_small_a_part_is_refused(log: Logged, catalog: Catalog, judge: Judge) -> None:
    """The message says how many there are, and what moves the boundary."""
    with pytest.raises(PreconditionError, match=r"0 draws before the boundary .* needs at least 200: .* --from"):
        compare(log, catalog, judge, None, window_us=DAY_US, boundary_us=BEGIN_US)


def test_no_shows_earn_nothing_and_unknown_ones_take_no_part(log: Logged) -> None:
    """A hold of which nothing is known yet is left out; one that expired counts as what it earned."""
    state = log.slots.state.copy()
    state[:10] = SlotState.UNKNOWN
    state[10:30] = SlotState.NO_SHOW
    changed = replace(log, slots=replace(log.slots, state=state))

    assert ROWS - 10 == len(from_log.draws(from_log.known(changed)))


def test_the_report_says_what_is_not_shown(found: Comparison, judge: Judge, tmp_path: Path) -> None:
    """Not better than the champion, not better than the best constant; goals that silence cannot have."""
    told = report(found, title="t", notes=notes((judge,), 0, Goal(("accept",), DAY_US)))
    write_report(told, tmp_path)

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "it may have seen what judges it" in told.warnings[0]
    assert any("not shown to beat the champion" in warning for warning in told.warnings)
    assert any("earns less than the best constant action" in warning for warning in told.warnings)
    for word in ("best constant", "Slot by slot", "Does the choice follow the offers", "silence earns nothing"):
        assert word in text
    kept = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["comparison"]
    refused = [one.policy for one in found.values if isinstance(one, Refused)]
    assert refused == [one["policy"] for one in kept["values"] if "shortfalls" in one]


def test_without_a_champion_it_stands_beside_the_models_that_decided(
    log: Logged, catalog: Catalog, judge: Judge
) -> None:
    """What was estimated at the time is in the log: a model that knew the truth then is better wherever it is told."""
    score = log.slots.score.copy()
    score["acceptance"] = np.where(log.slots.silent, np.nan, np.where(log.slots.offer.codes == 0, 0.4, 0.1))
    told = replace(log, slots=replace(log.slots, score=score))

    found = compare(told, catalog, judge, None, window_us=DAY_US, boundary_us=BEGIN_US + 10 * DAY_US, uses=False)

    assert found.estimates is not None
    assert (IN_FORCE, ()) == (found.estimates.beside, found.estimates.importance)
    assert {"logged", "uniform", "best constant", "candidate"} == {one.policy for one in found.values}
    assert found.estimates.groups
    assert all(one.worse for one in found.estimates.groups)
    sections = {section.title: section for section in policy_sections(found)}
    assert "as they estimated at the time" in sections["Where it is worse"].lead
    assert any("models in force are better" in warning for warning in policy_warnings(found))


def test_a_long_log_is_thinned_by_decision(log: Logged) -> None:
    """Whole decisions are kept, evenly, and few enough."""
    few, every = thinned(log, most=1000)

    assert 3 == every
    assert {0} == set((few.slots.decision % 3).tolist())
    assert 1000 == len(few.slots)
    assert (log, 1) == thinned(log)
