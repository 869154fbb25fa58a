"""Rounds through the real service: what is decided, reported, exported and learned is what the world says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from takt.catalog.workspace import load_workspace
from takt.cli.exits import CallRefusedError
from takt.cli.messages import Question
from takt.clock import DAY_US
from takt.errors import PreconditionError
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt_training.logged.load import load
from takt_training.simulation import workspace
from takt_training.simulation.campaign import Plan, Result, go_through
from takt_training.simulation.learners import LEARNERS, named
from takt_training.simulation.learning import goal_of, lessons, settings
from takt_training.simulation.run import Extent, plan
from takt_training.simulation.serving import SimulatedClock, served
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, WINDOW_DAYS
from takt_training.simulation.world import BEGINNING_US, moment_us, put

EXTENT = Extent(rounds=2, decisions=1000, seeds=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A population of 1,200."""
    return plan(EXTENT, 0, tmp_path_factory.mktemp("simulation"))


@pytest.fixture(scope="module")
def result(made: Plan) -> Result:
    """Two weeks of somebody who learns after each."""
    return go_through(made, LEARNERS["squarecb"], lambda *_: None)


def test_what_was_decided_is_in_the_log_at_its_simulated_time(made: Plan, result: Result) -> None:
    """Every decision once, on Monday to Wednesday of its week, with what came of it; nobody is asked twice a week."""
    spec = load_workspace(result.workspace).spec
    logged = load(result.archive, spec, goal_of(settings(LEARNERS["squarecb"], 1, 0)))

    days = (logged.decisions.time_us - BEGINNING_US) // DAY_US
    assert made.rounds * made.decisions == len(logged.decisions) == len(logged.slots)
    assert {0, 1, 2, 7, 8, 9} == set(days.tolist())
    assert sum(one.contacts for one in result.rounds) == int((~logged.slots.silent).sum())
    assert sum(one.unsubscribed for one in result.rounds) == int(logged.slots.reacted.sum()) > 0
    week = days // 7 * len(logged.decisions.person.names) + logged.decisions.person.codes
    assert len(np.unique(week)) == len(week)


def test_the_first_round_is_chance_and_the_next_is_not(result: Result) -> None:
    """Each of nine choices has a ninth in the first round; then the catalog is another, with the learner's rule."""
    spec = load_workspace(result.workspace).spec
    logged = load(result.archive, spec, goal_of(settings(LEARNERS["squarecb"], 1, 0)))
    first = logged.time_us < moment_us(1, 0, 0)

    np.testing.assert_allclose(1 / (len(OFFERS) + 1), logged.slots.offer_propensity[first])
    assert logged.slots.offer_propensity[~first].std() > 0.01
    assert 2 == len(set(logged.decisions.exploration.codes.tolist()))
    assert 2 == len(set(logged.decisions.model.codes.tolist()))


def test_a_model_is_judged_by_the_scores_that_the_service_gives(made: Plan, result: Result, tmp_path: Path) -> None:
    """Every offer's best arm has the total that an explained answer tells."""
    assert result.policy is not None
    customers = made.customers
    people = np.arange(0, 1200, 40)
    known = customers.at(2, people, np.linspace(0, 4, len(people)))
    names = [f"p{person}" for person in people]
    totals = result.policy.totals(known)
    clock = SimulatedClock(moment_us(2, 0, 9))
    with EmbeddedServer(tmp_path / "store") as store:
        embedded_store_id(store)
        with served(result.workspace, result.bundle, store.url, clock) as service:
            put(service, names, known)
            questions = [
                Question(
                    request_id=name,
                    profile_id=name,
                    placements=(workspace.PLACEMENT,),
                    dry_run=True,
                    explain="full",
                )
                for name in names
            ]
            answers = service.decide(questions)
            with pytest.raises(CallRefusedError, match="nowhere"):
                service.decide([Question(request_id="r", profile_id="p", placements=("nowhere",))])

    for row, name in enumerate(names):
        (placement,) = answers[name].placements
        assert len(OFFERS) == len(placement.candidates)
        for told in placement.candidates:
            cell = (row, TIMINGS.index(told.timing), TONALITIES.index(told.tonality), OFFERS.index(told.offer))
            assert told.score.total == pytest.approx(totals[cell], abs=1e-3)
            assert told.score.total == pytest.approx(totals[row, :, :, cell[3]].max(), abs=1e-3)
        assert answers[name].decided_at.ToMicroseconds() == clock.now_us()


def test_the_best_constant_action_is_all_that_its_learner_does(made: Plan) -> None:
    """Everybody gets it, and its regret is that of the truth."""
    found = go_through(made, LEARNERS["constant"], lambda *_: None)

    assert [1000, 1000] == [one.contacts for one in found.rounds]
    assert found.course.value == made.bounds.constant.value
    assert all(one.regret > 0 for one in found.rounds)


def test_lessons_grow_apart_and_end_with_the_last_round() -> None:
    """Early rounds each teach; later ones are learned from together."""
    assert (1, 2, 3, 5, 7, 10, 14, 20) == lessons(20)
    assert (1, 2) == lessons(2)


def test_learners_are_found_by_name() -> None:
    """In the order given; one that is unknown, or twice there, is refused."""
    assert ("squarecb", "uniform") == tuple(one.name for one in named(("squarecb", "uniform")))
    assert tuple(LEARNERS) == tuple(one.name for one in named(()))
    with pytest.raises(PreconditionError, match="'squarcb' is no learner; did you mean 'squarecb'"):
        named(("squarcb",))
    with pytest.raises(PreconditionError, match="twice"):
        named(("greedy", "greedy"))


def test_a_clock_does_not_go_back() -> None:
    """What has passed has passed."""
    clock = SimulatedClock(WINDOW_DAYS * DAY_US)

    with pytest.raises(ValueError, match="has passed"):
        clock.turn(DAY_US)
